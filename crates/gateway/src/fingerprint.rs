//! SHA-256 of a public key, as `ssh-keygen -l` prints it.

use std::fmt;

use russh::keys::{HashAlg, ssh_key::public::KeyData};
use sha2::{Digest, Sha256};

/// Fingerprint of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of the wire form of a key (RFC 4253 §6.6).
    pub fn of_blob(blob: &[u8]) -> Self {
        Self(Sha256::digest(blob).into())
    }

    /// Of a key that a client showed.
    pub fn of(key: &KeyData) -> Self {
        // Cannot be another algorithm than the one asked for; if it were, no key would match zeros.
        Self(
            key.fingerprint(HashAlg::Sha256)
                .sha256()
                .unwrap_or_default(),
        )
    }

    /// Of one line of a public key file, checked by the same rules as the keys of a DevServer.
    pub fn of_line(line: &str) -> Result<Self, devserver_api::ssh_key::KeyError> {
        let key = devserver_api::ssh_key::PublicKey::parse(line)?;
        Ok(Self::of_blob(key.blob()))
    }

    /// Reads `SHA256:` and 43 characters of base64.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: russh::keys::ssh_key::Fingerprint = text.parse().ok()?;
        parsed.sha256().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", russh::keys::ssh_key::Fingerprint::Sha256(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and fingerprint as `ssh-keygen -lf` tells it.
    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice";

    #[test]
    fn all_ways_to_a_fingerprint_lead_to_the_same() {
        let of_line = Fingerprint::of_line(LINE).unwrap();
        let key = russh::keys::PublicKey::from_openssh(LINE).unwrap();
        assert_eq!(Fingerprint::of(key.key_data()), of_line);
        assert_eq!(Fingerprint::parse(&of_line.to_string()), Some(of_line));
        assert!(of_line.to_string().starts_with("SHA256:"));
        assert_eq!(Fingerprint::parse("MD5:aa"), None);
        assert_eq!(Fingerprint::parse("SHA256:short"), None);
    }
}
