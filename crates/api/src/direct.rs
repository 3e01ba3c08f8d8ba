//! Direct mode: how an environment's sshd knows the gateway. What the operator writes down and what the gateway signs must agree.

use crate::ssh_key::PublicKey;

/// Key of the gateway's ConfigMap: the public halves of its authority, one a line.
pub const GATEWAY_USER_CA_KEYS: &str = "user-ca-keys";

/// The name that a certificate of the gateway must carry to open this DevServer and no other. The UID, because a name can
/// be given again.
pub fn principal(uid: &str) -> String {
    format!("devserver-{uid}")
}

/// The line of `authorized_keys(5)`: certificates of the authority, for this DevServer alone, for sessions and nothing else.
pub fn authorized_line(authority: &PublicKey, uid: &str) -> String {
    format!(
        "cert-authority,restrict,pty,user-rc,principals=\"{}\" {}",
        principal(uid),
        authority.line()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_binds_the_authority_to_one_server_and_to_sessions() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";
        let line = authorized_line(&PublicKey::parse(key).unwrap(), "0b1e");
        assert_eq!(
            line,
            format!("cert-authority,restrict,pty,user-rc,principals=\"devserver-0b1e\" {key}")
        );
    }
}
