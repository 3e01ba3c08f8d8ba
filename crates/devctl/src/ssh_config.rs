//! The OpenSSH configuration of one DevServer: pure text, nothing is read or written here.
//!
//! Names come from a server and end up in a file that can run programs, so each is checked again here, and a value that
//! cannot be written safely is refused instead of repaired.

use std::path::Path;

use devserver_api::{
    group,
    names::{self, NameError, ServerName},
};

/// Why a value may not stand in an ssh configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// Not a DevServer name.
    #[error("the name {0:?} {1}")]
    Name(String, NameError),
    /// Not a namespace.
    #[error("{0:?} is not a namespace")]
    Namespace(String),
    /// Not a UID.
    #[error("{0:?} is not a UID")]
    Uid(String),
    /// A control character, or something that ssh would expand and has no way to escape.
    #[error("{0:?} cannot be written into an ssh configuration")]
    Value(String),
}

/// The words that say which DevServer is meant, all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    name: ServerName,
    namespace: String,
    context: String,
    uid: String,
}

impl Target {
    /// Checks the words. `context` may be any text; it is kept for devctl and made safe for names of files and hosts.
    pub fn new(context: &str, namespace: &str, name: &str, uid: &str) -> Result<Self, Unsafe> {
        let is_label =
            names::is_subdomain(namespace) && !namespace.contains('.') && namespace.len() <= 63;
        let is_uid = (1..=64).contains(&uid.len())
            && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && uid
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphanumeric());
        Ok(Self {
            name: ServerName::parse(name).map_err(|e| Unsafe::Name(name.to_owned(), e))?,
            namespace: is_label
                .then(|| namespace.to_owned())
                .ok_or_else(|| Unsafe::Namespace(namespace.to_owned()))?,
            context: context.to_owned(),
            uid: is_uid
                .then(|| uid.to_owned())
                .ok_or_else(|| Unsafe::Uid(uid.to_owned()))?,
        })
    }

    /// Beginning of the names of its files. No part can hold `_` but the first, so two targets never share one.
    pub fn stem(&self) -> String {
        format!(
            "{}_{}_{}",
            names::label_safe(&self.context),
            self.namespace,
            self.name
        )
    }

    /// What the user writes after `ssh`.
    pub fn host(&self) -> String {
        format!("{}.{}.devserver", self.name, self.namespace)
    }

    /// The same with the context, for those who have one name in two clusters.
    pub fn host_with_context(&self) -> String {
        format!(
            "{}.{}.{}.devserver",
            self.name,
            self.namespace,
            names::label_safe(&self.context)
        )
    }

    /// Name of the jump host in the same file: one for each DevServer, because each may have another owner.
    pub fn gateway_host(&self) -> String {
        format!("gateway.{}", self.host_name())
    }

    /// Name of the host key: the UID, because a name may be used again for another machine.
    pub fn host_key_alias(&self) -> String {
        format!("{}-{}", group::APP_NAME, self.uid)
    }

    /// What `%h` becomes: with the UID, so that a ControlPath made of it never reaches another machine.
    fn host_name(&self) -> String {
        let short: String = self.uid.chars().take(13).collect();
        format!("{}.{}.{short}.devserver", self.name, self.namespace)
    }
}

/// The way through the platform's one ssh port.
#[derive(Clone, Copy, Debug)]
pub struct Jump<'a> {
    /// Who asks: the name the gateway knows keys by.
    pub user: &'a str,
    /// Name or address.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// The file this is written to: the inner ssh reads the jump host's block from it.
    pub config: &'a Path,
}

/// Name of the gateway's host keys in the known_hosts file.
pub const GATEWAY_ALIAS: &str = "devserver-gateway";

/// All that goes into one file.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Which DevServer.
    pub target: &'a Target,
    /// Who logs in there.
    pub login_user: &'a str,
    /// Absolute path of this program.
    pub devctl: &'a str,
    /// Kubeconfig files as in the variable KUBECONFIG, absolute.
    pub kubeconfig: Option<&'a str>,
    /// Whether the namespace is the one of the context, which gives it the short name.
    pub is_default_namespace: bool,
    /// Private key to offer, when it is not one that ssh finds itself.
    pub identity: Option<&'a Path>,
    /// File with the host keys of this one DevServer.
    pub known_hosts: &'a Path,
    /// The gateway, if that is the way to take; else it is a port-forward through the API server.
    pub jump: Option<Jump<'a>>,
}

impl Entry<'_> {
    /// The `Host` block.
    pub fn render(&self) -> Result<String, Unsafe> {
        let target = self.target;
        let mut hosts = vec![target.host(), target.host_with_context()];
        if self.is_default_namespace {
            hosts.push(format!("devserver-{}", target.name));
        }
        let mut lines = vec![
            "# Written by devctl; changes are overwritten.".to_owned(),
            format!("Host {}", hosts.join(" ")),
            format!("    HostName {}", target.host_name()),
            // Else a `CanonicalizeHostname always` of the user would look the name up in DNS and match again.
            "    CanonicalizeHostname no".to_owned(),
            format!("    User {}", user_value(self.login_user)?),
            format!("    Port {}", group::SSH_PORT),
            format!("    ProxyCommand {}", self.proxy_command()?),
        ];
        lines.extend(self.trust(&target.host_key_alias())?);
        if let Some(jump) = &self.jump {
            lines.push(format!("Host {}", target.gateway_host()));
            lines.push(format!("    HostName {}", host_value(jump.host)?));
            lines.push("    CanonicalizeHostname no".to_owned());
            lines.push(format!("    User {}", user_value(jump.user)?));
            lines.push(format!("    Port {}", jump.port));
            lines.push("    ProxyCommand none".to_owned());
            lines.push("    PreferredAuthentications publickey".to_owned());
            lines.extend(self.trust(GATEWAY_ALIAS)?);
        }
        Ok(lines.join("\n") + "\n")
    }

    /// By what a host is known and with what one logs in. No other file may vouch for it, and nothing is learnt on first use.
    fn trust(&self, alias: &str) -> Result<Vec<String>, Unsafe> {
        let mut lines = vec![
            format!("    HostKeyAlias {alias}"),
            format!("    UserKnownHostsFile {}", path_value(self.known_hosts)?),
            "    GlobalKnownHostsFile /dev/null".to_owned(),
            "    StrictHostKeyChecking yes".to_owned(),
            "    CheckHostIP no".to_owned(),
            "    UpdateHostKeys no".to_owned(),
            "    VerifyHostKeyDNS no".to_owned(),
            "    ForwardAgent no".to_owned(),
            "    ServerAliveInterval 15".to_owned(),
            "    ServerAliveCountMax 8".to_owned(),
        ];
        if let Some(identity) = self.identity {
            lines.push(format!("    IdentityFile {}", path_value(identity)?));
        }
        Ok(lines)
    }

    fn proxy_command(&self) -> Result<String, Unsafe> {
        match &self.jump {
            Some(jump) => self.jump_command(jump),
            None => self.forward_command(),
        }
    }

    /// Not ProxyJump: that would ask the gateway for `%h`, which is made to be unique, not to be found.
    fn jump_command(&self, jump: &Jump<'_>) -> Result<String, Unsafe> {
        let config = jump
            .config
            .to_str()
            .ok_or_else(|| Unsafe::Value(jump.config.to_string_lossy().into_owned()))?;
        let (name, namespace) = (&self.target.name, &self.target.namespace);
        let to = format!("{name}.{namespace}:{}", group::SSH_PORT);
        let host = self.target.gateway_host();
        let words = ["ssh", "-F", config, "-W", &to, "--", &host];
        let quoted: Result<Vec<_>, _> = words.into_iter().map(shell_word).collect();
        Ok(quoted?.join(" "))
    }

    fn forward_command(&self) -> Result<String, Unsafe> {
        let mut words = vec![self.devctl, "ssh-proxy"];
        if let Some(kubeconfig) = self.kubeconfig {
            words.extend(["--kubeconfig", kubeconfig]);
        }
        // With `=`, so that a context named like an option stays a value.
        let context = format!("--context={}", self.target.context);
        words.extend([context.as_str(), "--namespace", &self.target.namespace]);
        words.extend(["--uid", &self.target.uid, "--", self.target.name.as_str()]);
        let quoted: Result<Vec<_>, _> = words.into_iter().map(shell_word).collect();
        Ok(quoted?.join(" "))
    }
}

/// The file `devctl ssh` hands to `ssh -F`: our block first, because ssh keeps the first value it finds, then what ssh
/// would have read without `-F`.
pub fn session_file(entry_file: &Path) -> Result<String, Unsafe> {
    Ok(format!(
        "# Written by devctl; changes are overwritten.\nInclude {}\nMatch all\nInclude ~/.ssh/config\nInclude /etc/ssh/ssh_config\n",
        glob_value(entry_file)?
    ))
}

/// One word for the shell that runs a ProxyCommand, `%` doubled for ssh.
fn shell_word(word: &str) -> Result<String, Unsafe> {
    if word.chars().any(char::is_control) {
        return Err(Unsafe::Value(word.to_owned()));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&b);
    let escaped = word.replace('%', "%%");
    if !word.is_empty() && word.bytes().all(plain) {
        return Ok(escaped);
    }
    Ok(format!("'{}'", escaped.replace('\'', r"'\''")))
}

/// A name or address of a host.
fn host_value(host: &str) -> Result<&str, Unsafe> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
    let is_host = host.len() <= 253
        && host.bytes().all(plain)
        && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':');
    is_host
        .then_some(host)
        .ok_or_else(|| Unsafe::Value(host.to_owned()))
}

/// Whether the gateway can know a user of that name: the characters it takes, none of which means anything to ssh.
pub fn is_gateway_user(user: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._@:".contains(&b);
    user.len() <= 253
        && user.bytes().all(plain)
        && user.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn user_value(user: &str) -> Result<&str, Unsafe> {
    Some(user)
        .filter(|user| is_gateway_user(user))
        .ok_or_else(|| Unsafe::Value(user.to_owned()))
}

/// A path as a quoted value; ssh has no way to escape `${`.
fn path_value(path: &Path) -> Result<String, Unsafe> {
    let text = path
        .to_str()
        .ok_or_else(|| Unsafe::Value(path.to_string_lossy().into_owned()))?;
    if text.chars().any(char::is_control) || text.contains("${") || !path.is_absolute() {
        return Err(Unsafe::Value(text.to_owned()));
    }
    Ok(format!(
        "\"{}\"",
        text.replace('%', "%%")
            .replace('\\', r"\\")
            .replace('"', "\\\"")
    ))
}

/// A path after `Include`, where ssh takes `*?[` as a pattern and, by its version, `%` as a token or as itself.
pub fn glob_value(path: &Path) -> Result<String, Unsafe> {
    let text = path
        .to_str()
        .ok_or_else(|| Unsafe::Value(path.to_string_lossy().into_owned()))?;
    let special = |c: char| {
        c.is_control()
            || matches!(
                c,
                '*' | '?' | '[' | ']' | '{' | '}' | '%' | '$' | '\\' | '"' | '\''
            )
    };
    let checked = text.strip_suffix("/*.config").unwrap_or(text);
    if checked.chars().any(special) || !path.is_absolute() {
        return Err(Unsafe::Value(text.to_owned()));
    }
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
mod tests;
