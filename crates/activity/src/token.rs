//! Who may ask an agent. The operator holds one key for all environments and presents to each a token made of the key and
//! the environment's UID; the agent knows the digest of that token only. So no environment holds anything that opens
//! another, nothing about them is stored, and the operator reads no Secret of theirs.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Shortest key, in bytes.
const SHORTEST: usize = 32;

/// The operator's key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A key that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of the activity reports must have at least {SHORTEST} bytes and has {0}")]
pub struct KeyError(usize);

impl Key {
    /// Takes the content of the mounted file; blanks around it do not count.
    pub fn new(text: &[u8]) -> Result<Self, KeyError> {
        let key = text.trim_ascii();
        if key.len() < SHORTEST {
            return Err(KeyError(key.len()));
        }
        Ok(Self(key.to_vec()))
    }
}

/// What is presented to the agent of the environment with this UID, as `Authorization: Bearer TOKEN`.
pub fn token(key: &Key, uid: &str) -> String {
    // A key of any length is fine for HMAC (RFC 2104), so this cannot fail.
    Hmac::<Sha256>::new_from_slice(&key.0)
        .map(|mut mac| {
            mac.update(b"devserver activity ");
            mac.update(uid.as_bytes());
            hex(&mac.finalize().into_bytes())
        })
        .unwrap_or_default()
}

/// What the agent compares with: SHA-256 of the token, in hexadecimal digits. Of two digests the time a comparison takes
/// tells nothing about the token.
pub fn digest(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_environment_has_a_token_of_its_own() {
        let key = Key::new(&[b'k'; 32]).unwrap();
        let (one, two) = (token(&key, "uid-1"), token(&key, "uid-2"));
        assert_eq!(one.len(), 64);
        assert!(one != two && one == token(&key, "uid-1"));
        assert_ne!(one, token(&Key::new(&[b'l'; 32]).unwrap(), "uid-1"));
        assert_ne!(digest(&one), one);
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "FIPS 180-2"
        );
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(Key::new(b"  short \n"), Err(KeyError(5)));
        let key = Key::new(&[b'k'; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
