//! Configuration of the SSH daemon, the keys that may log in, and what the agent has to know.

use std::collections::BTreeMap;

use devserver_api::{SshMode, direct, group};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use serde_json::json;

use super::{meta::object_meta, sidecar};
use crate::{
    Environment,
    environment::{Password, Ssh},
};

/// Host keys every environment has, preferred first.
pub const HOST_KEY_ALGORITHMS: [&str; 2] = ["ed25519", "ecdsa"];

/// Where the keys that may log in are mounted.
pub(super) const AUTHORIZED_KEYS_FOLDER: &str = "/etc/devserver/authorized-keys";

/// Who may log in: the keys, and beside them the hash of a password where one may be used. Read at each login, so that a change
/// needs no restart; the hash comes into the account file by the agent.
pub(super) fn authorized_keys(env: &Environment) -> Secret {
    let mut text = String::new();
    for key in &env.ssh.keys {
        text.push_str(&key.line());
        text.push('\n');
    }
    // Here and not in sshd's configuration, because this file is read at each login: what is switched on or off counts at once.
    for authority in &env.ssh.gateway_authorities {
        text.push_str(&direct::authorized_line(authority, &env.uid));
        text.push('\n');
    }
    let mut data = BTreeMap::from([("authorized_keys".to_owned(), ByteString(text.into_bytes()))]);
    if let Some(Password::Hash(hash)) = &env.ssh.password {
        let line = format!("{}\n", hash.as_str());
        data.insert("password-hash".to_owned(), ByteString(line.into_bytes()));
    }
    Secret {
        metadata: object_meta(env, env.name.authorized_keys()),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Everything in it can change without a restart. Text of users is in files of its own, which nobody takes for commands.
pub(super) fn config_map(env: &Environment) -> ConfigMap {
    let mut data = BTreeMap::from([("motd".to_owned(), motd(env))]);
    let mut add = |file: &str, content: String| data.insert(file.to_owned(), content);
    if env.ssh.mode != SshMode::Disabled {
        add("sshd_config", sshd_config(env));
    }
    if let Some(at) = env.expires_at {
        add("expiration.json", expiration(at, &env.warnings));
    }
    if let Some(command) = &env.checkpoint {
        add("checkpoint.json", json!({ "command": command }).to_string());
    }
    if let Some(digest) = &env.activity {
        add(
            "activity.json",
            json!({ "tokenSha256": digest }).to_string(),
        );
    }
    if !env.pip_packages.is_empty() {
        add("pip-requirements.txt", env.pip_packages.join("\n") + "\n");
    }
    if let Some(url) = &env.pip_index_url {
        add("pip.conf", format!("[global]\nindex-url = {url}\n"));
    }
    if sidecar::has_accounts(env) {
        add("passwd", sidecar::passwd(env));
        add("group", sidecar::group_file(env));
    }
    ConfigMap {
        metadata: object_meta(env, env.name.sshd_config()),
        data: Some(data),
        ..ConfigMap::default()
    }
}

/// The greeting, and when it all ends: an instant, because a time left would have to be written again and again.
fn motd(env: &Environment) -> String {
    let end = env.expires_at.map(|at| {
        format!(
            "This machine is deleted at {}; for more time: devctl extend {}\n",
            at.strftime("%Y-%m-%d %H:%M UTC"),
            env.name
        )
    });
    env.ssh.motd.clone() + &end.unwrap_or_default()
}

/// What the agent warns of. Seconds since 1970, because it knows no calendar.
fn expiration(at: Timestamp, warnings: &[u64]) -> String {
    json!({ "expiresAt": at.as_second(), "warnings": warnings }).to_string()
}

/// `sshd_config(5)`. Nothing the user wrote is in it.
fn sshd_config(env: &Environment) -> String {
    let ssh = &env.ssh;
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    format!(
        "\
{listen}
HostKey /etc/devserver/host-keys/ssh_host_ed25519_key
HostKey /etc/devserver/host-keys/ssh_host_ecdsa_key
PidFile none
LogLevel VERBOSE
UseDNS no

# Who may enter: one user, by {how}. The mounted Secret is read at each login, so that a changed key counts at once
# and a file in the home never does.
AllowUsers {user}
PermitRootLogin no
PubkeyAuthentication yes
PasswordAuthentication {password}
PermitEmptyPasswords no
KbdInteractiveAuthentication no
{keys}
MaxAuthTries 6
LoginGraceTime 30
MaxStartups 20:30:100
{penalties}

# No algorithm that OpenSSH's own clients since 8.5 would not choose anyway.
KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com
HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256

AllowAgentForwarding {agent_forwarding}
AllowTcpForwarding yes
X11Forwarding no
PermitTunnel no
GatewayPorts no
PermitUserEnvironment no
AcceptEnv LANG LC_*
SetEnv DEVSERVER=true{docker}
# Dead clients are noticed after two minutes; live ones are never cut for being idle.
ClientAliveInterval 30
ClientAliveCountMax 4
TCPKeepAlive yes
PrintMotd {motd}
Subsystem sftp {tools}/libexec/sftp-server
",
        listen = format_args!("Port {}", port(ssh.mode)),
        how = if ssh.password.is_some() {
            "key or password"
        } else {
            "key"
        },
        user = env.login.user,
        password = yes_no(ssh.password.is_some()),
        keys = keys_from(env),
        penalties = penalties(ssh),
        agent_forwarding = yes_no(ssh.agent_forwarding),
        docker = docker_host(env),
        // In a sidecar /etc/motd is not ours to make: the login shell prints the message.
        motd = yes_no(ssh.mode != SshMode::Sidecar),
        tools = group::TOOLS,
    )
}

/// A further variable of every session, where there is a daemon.
fn docker_host(env: &Environment) -> String {
    let set = || format!(" DOCKER_HOST={}", group::DOCKER_HOST);
    env.features
        .docker
        .as_ref()
        .map(|_| set())
        .unwrap_or_default()
}

/// The port sshd listens on.
pub(super) fn port(mode: SshMode) -> i32 {
    match mode {
        SshMode::Sidecar => group::SIDECAR_SSH_PORT,
        SshMode::InContainer | SshMode::Disabled => group::SSH_PORT,
    }
}

fn keys_from(env: &Environment) -> String {
    match env.ssh.mode {
        // It is the login user itself and could check nothing with more rights than a file has. The volume belongs to
        // root and is read-only, but the kubelet makes its folder writable by all, which StrictModes dislikes.
        SshMode::Sidecar => format!(
            "AuthorizedKeysFile {AUTHORIZED_KEYS_FOLDER}/authorized_keys\n\
             AuthorizedKeysCommand none\n\
             StrictModes no"
        ),
        SshMode::InContainer | SshMode::Disabled => format!(
            "AuthorizedKeysFile none\n\
             AuthorizedKeysCommand {tools}/bin/devserver-agent authorized-keys %u{login}\n\
             AuthorizedKeysCommandUser root\n\
             StrictModes yes",
            tools = group::TOOLS,
            login = if env.login.is_of_image() {
                format!(" {}", env.login.user)
            } else {
                String::new()
            },
        ),
    }
}

fn penalties(ssh: &Ssh) -> &'static str {
    if ssh.password.is_some() {
        "# A password can be guessed: who fails waits, even if others come from the same address.\n\
         PerSourcePenalties yes"
    } else {
        "# Node ports and the API server make all clients look alike: a stranger's failures would lock out the owner.\n\
         # Only keys are accepted, so there is nothing to guess.\n\
         PerSourcePenalties no"
    }
}
