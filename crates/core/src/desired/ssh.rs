//! Configuration of the SSH daemon and the keys that may log in.

use std::collections::BTreeMap;

use devserver_api::group;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};

use super::meta::object_meta;
use crate::Environment;

/// Host keys every environment has, preferred first.
pub const HOST_KEY_ALGORITHMS: [&str; 2] = ["ed25519", "ecdsa"];

pub(super) fn authorized_keys(env: &Environment) -> Secret {
    let mut text = String::new();
    for key in &env.ssh.keys {
        text.push_str(&key.line());
        text.push('\n');
    }
    Secret {
        metadata: object_meta(env, env.name.authorized_keys()),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            "authorized_keys".to_owned(),
            ByteString(text.into_bytes()),
        )])),
        ..Secret::default()
    }
}

pub(super) fn config_map(env: &Environment) -> ConfigMap {
    ConfigMap {
        metadata: object_meta(env, env.name.sshd_config()),
        data: Some(BTreeMap::from([
            (
                "sshd_config".to_owned(),
                sshd_config(env.ssh.agent_forwarding),
            ),
            ("motd".to_owned(), env.ssh.motd.clone()),
        ])),
        ..ConfigMap::default()
    }
}

/// `sshd_config(5)`. Nothing the user wrote is in it.
pub fn sshd_config(agent_forwarding: bool) -> String {
    let yes_no = if agent_forwarding { "yes" } else { "no" };
    format!(
        "\
Port {port}
HostKey /etc/devserver/host-keys/ssh_host_ed25519_key
HostKey /etc/devserver/host-keys/ssh_host_ecdsa_key
PidFile none
LogLevel VERBOSE
UseDNS no

# Who may enter: one user, by key. The command reads the mounted Secret, so that a changed key counts at once
# and a file in the home never does.
AllowUsers {user}
PermitRootLogin no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
AuthorizedKeysCommand {tools}/bin/devserver-agent authorized-keys %u
AuthorizedKeysCommandUser root
StrictModes yes
MaxAuthTries 6
LoginGraceTime 30
MaxStartups 20:30:100
# Node ports and the API server make all clients look alike: a stranger's failures would lock out the owner.
# Only keys are accepted, so there is nothing to guess.
PerSourcePenalties no

# No algorithm that OpenSSH's own clients since 8.5 would not choose anyway.
KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com
HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256

AllowAgentForwarding {yes_no}
AllowTcpForwarding yes
X11Forwarding no
PermitTunnel no
GatewayPorts no
PermitUserEnvironment no
AcceptEnv LANG LC_*
SetEnv DEVSERVER=true
# Dead clients are noticed after two minutes; live ones are never cut for being idle.
ClientAliveInterval 30
ClientAliveCountMax 4
TCPKeepAlive yes
PrintMotd yes
Subsystem sftp {tools}/libexec/sftp-server
",
        port = group::SSH_PORT,
        user = group::LOGIN_USER,
        tools = group::TOOLS,
    )
}
