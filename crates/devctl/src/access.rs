//! The ssh files of one DevServer on this machine: written, found, removed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use devserver_api::{DevServer, GatewayStatus, group};
use kube::ResourceExt as _;

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
    files, keys,
    known_hosts::{self, NoHostKeys},
    kube::Place,
    ssh_config::{Entry, GATEWAY_ALIAS, Jump, Target, Unsafe, is_gateway_user, session_file},
};

/// What was written, and how to use it.
#[derive(Debug)]
pub struct Access {
    /// Which DevServer.
    pub target: Target,
    /// Who logs in there.
    pub login_user: String,
    /// For `ssh -F`.
    pub session: PathBuf,
}

/// The DevServer as the client knows it, its names checked.
pub fn target(place: &Place, server: &DevServer) -> Outcome<Target> {
    let uid = server.uid().unwrap_or_default();
    // The namespace asked for, not the one in the answer: only the first was the user's choice.
    Target::new(&place.context, &place.namespace, &server.name_any(), &uid).map_err(|e| refused(&e))
}

/// Environment variable that chooses the way to a DevServer: `gateway` (the default, where there is one) or `api`.
pub const VIA: &str = "DEVCTL_SSH_VIA";

/// Writes the files, from the host keys in the status.
pub fn write(place: &Place, server: &DevServer) -> Outcome<Access> {
    write_with(place, server, None)
}

/// The same, with the private key that the user named.
pub fn write_with(place: &Place, server: &DevServer, key: Option<&Path>) -> Outcome<Access> {
    let target = target(place, server)?;
    let paths = Paths::of(&files::ssh_dir()?, &target.stem());
    let told = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    let host_keys = told.map_or(&[][..], |s| &s.host_keys);
    let login_user = told.map_or(group::LOGIN_USER, |s| s.user.as_str());
    let mut known = known_hosts::render(&target.host_key_alias(), host_keys)
        .map_err(|e| no_host_keys(server, &e))?;
    let gateway = gateway(server)?;
    if let Some((gateway, _)) = &gateway {
        known += &known_hosts::render(GATEWAY_ALIAS, &gateway.host_keys)
            .map_err(|e| no_host_keys(server, &e))?;
    }
    let devctl = program()?;
    let kubeconfig = match &place.kubeconfig {
        Some(list) => Some(
            list.to_str()
                .ok_or_else(|| refused(&Unsafe::Value(list.to_string_lossy().into_owned())))?,
        ),
        None => None,
    };
    let identity = match key {
        Some(key) => {
            Some(std::path::absolute(key).map_err(|e| Failure::io("failed to find the key", &e))?)
        }
        None => keys::identity_for(server, &files::user_ssh_dir()?)
            .or_else(|| recorded_identity(&paths.config)),
    };
    let entry = Entry {
        target: &target,
        login_user,
        devctl: &devctl,
        kubeconfig,
        is_default_namespace: place.namespace == place.default_namespace,
        identity: identity.as_deref(),
        known_hosts: &paths.known_hosts,
        jump: gateway.as_ref().map(|(gateway, user)| Jump {
            user,
            host: &gateway.host,
            port: gateway.port,
            config: &paths.config,
        }),
    };
    let config = entry.render().map_err(|e| refused(&e))?;
    let session = session_file(&paths.config).map_err(|e| refused(&e))?;
    // The keys first: a configuration without them could only fail.
    write_changed(&paths.known_hosts, &known)?;
    write_changed(&paths.config, &config)?;
    write_changed(&paths.session, &session)?;
    Ok(Access {
        target,
        login_user: login_user.to_owned(),
        session: paths.session,
    })
}

/// The key that was named at an earlier time and is still there: it opens the gateway, which plain ssh's `-i` does not reach.
fn recorded_identity(config: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(config).ok()?;
    let quoted = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("IdentityFile "))?;
    let path = quoted.strip_prefix('"')?.strip_suffix('"')?;
    // What had to be escaped is not read back: it would take ssh's own parser to be sure of it.
    let is_plain = !path.contains(['\\', '%', '"']);
    Some(PathBuf::from(path)).filter(|path| is_plain && path.is_file())
}

/// Whether the way leads through the gateway.
pub fn takes_gateway(server: &DevServer) -> bool {
    gateway(server).is_ok_and(|found| found.is_some())
}

/// The gateway to take and the name to give there; `None`: the way leads through the API server.
fn gateway(server: &DevServer) -> Outcome<Option<(GatewayStatus, String)>> {
    let told = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    let gateway = told.and_then(|ssh| ssh.gateway.clone());
    // A name that the gateway cannot know, such as one with a slash from an identity provider, has the other way.
    let owner = server
        .spec
        .owner
        .clone()
        .filter(|owner| is_gateway_user(owner));
    let found = gateway.zip(owner);
    let via = std::env::var(VIA).unwrap_or_default();
    match (via.as_str(), found) {
        ("", found) => Ok(found),
        ("api", _) => Ok(None),
        ("gateway", Some(found)) => Ok(Some(found)),
        ("gateway", None) => Err(Failure::new(
            Exit::Error,
            format!("{VIA} asks for the gateway, and there is none"),
        )
        .remedy(format!(
            "unset {VIA}, or ask an administrator to install the gateway"
        ))),
        _ => Err(Failure::usage(format!(
            "{VIA} must be gateway or api, not {via:?}"
        ))),
    }
}

/// Removes the files of a name, whatever DevServer they were of. `true` when there were some.
pub fn remove(place: &Place, name: &str) -> Outcome<bool> {
    // The UID is in no file name, so any will do.
    let target =
        Target::new(&place.context, &place.namespace, name, "0").map_err(|e| refused(&e))?;
    Paths::of(&files::ssh_dir()?, &target.stem()).remove()
}

/// Removes the files of this context and namespace whose DevServer is not in `live`.
pub fn remove_others(place: &Place, live: &[String]) -> Outcome<Vec<String>> {
    let dir = files::ssh_dir()?;
    // A name of which only the end is unknown.
    let any = Target::new(&place.context, &place.namespace, "x", "0")
        .map_err(|e| refused(&e))?
        .stem();
    let prefix = any.strip_suffix('x').unwrap_or(&any);
    let mut removed = Vec::new();
    for entry in fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        let file = entry.file_name();
        let stem = file.to_str().and_then(|f| f.strip_suffix(".config"));
        let Some(name) = stem.and_then(|s| s.strip_prefix(prefix)) else {
            continue;
        };
        if !live.iter().any(|l| l == name)
            && Paths::of(&dir, &format!("{prefix}{name}")).remove()?
        {
            removed.push(name.to_owned());
        }
    }
    removed.sort();
    Ok(removed)
}

struct Paths {
    config: PathBuf,
    session: PathBuf,
    known_hosts: PathBuf,
}

impl Paths {
    fn of(dir: &Path, stem: &str) -> Self {
        let file = |end: &str| dir.join(format!("{stem}.{end}"));
        Self {
            config: file("config"),
            session: file("session"),
            known_hosts: file("known_hosts"),
        }
    }

    fn remove(&self) -> Outcome<bool> {
        let config = files::remove(&self.config)?;
        files::remove(&self.session)?;
        files::remove(&self.known_hosts)?;
        Ok(config)
    }
}

/// Leaves a file alone that already says so; many logins at once need not replace it each time.
fn write_changed(path: &Path, content: &str) -> Outcome {
    let is_link = fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink());
    if !is_link && fs::read_to_string(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    files::write_private(path, content)
}

fn program() -> Outcome<String> {
    let path = std::env::current_exe()
        .map_err(|e| Failure::io("failed to find the path of devctl", &e))?;
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| refused(&Unsafe::Value(path.to_string_lossy().into_owned())))
}

fn refused(error: &Unsafe) -> Failure {
    Failure::new(Exit::Error, "failed to write the ssh configuration")
        .because(error)
        .remedy("choose a name, context or folder without such characters")
}

fn no_host_keys(server: &DevServer, error: &NoHostKeys) -> Failure {
    Failure::new(Exit::Error, format!("the host keys of DevServer '{}' cannot be checked", server.name_any()))
        .because(error)
        .remedy("devctl never connects to a host it cannot verify; wait until the DevServer is Running, or ask an administrator whether the operator runs")
}
