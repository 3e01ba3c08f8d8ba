//! What people carry for us and cannot read or change: AES-256-GCM by the `cookie` crate, bound to what it is for.

use cookie::{Cookie, CookieJar, Key};
use serde::{Serialize, de::DeserializeOwned};

/// Encrypts and decrypts with the key that all replicas share.
#[derive(Clone, Debug)]
pub struct Sealer(Key);

impl Sealer {
    /// With at least [`crate::config::KEY_BYTES`] bytes.
    pub fn new(key: &[u8]) -> Result<Self, cookie::KeyError> {
        Key::try_from(key).map(Self)
    }

    /// Text for a cookie or an address. It opens for the same purpose only.
    pub fn seal<T: Serialize>(&self, purpose: &str, value: &T) -> Option<String> {
        let text = serde_json::to_string(value).ok()?;
        let mut jar = CookieJar::new();
        jar.private_mut(&self.0)
            .add(Cookie::new(purpose.to_owned(), text));
        // The standard alphabet is neither for cookies' nor for addresses' sake good; this one is for both.
        jar.get(purpose).map(|sealed| {
            sealed
                .value()
                .replace('+', "-")
                .replace('/', "_")
                .replace('=', "")
        })
    }

    /// What was sealed for this purpose with this key; anything else is nothing.
    pub fn open<T: DeserializeOwned>(&self, purpose: &str, sealed: &str) -> Option<T> {
        let mut text = sealed.replace('-', "+").replace('_', "/");
        text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
        let cookie = Cookie::new(purpose.to_owned(), text);
        let opened = CookieJar::new().private(&self.0).decrypt(cookie)?;
        serde_json::from_str(opened.value()).ok()
    }
}

/// Random words that nobody can guess: 128 bits.
pub fn secret() -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// Compares without telling by time where the difference is.
pub fn is_same(a: &str, b: &str) -> bool {
    subtle::ConstantTimeEq::ct_eq(a.as_bytes(), b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&[byte; 64]).unwrap()
    }

    #[test]
    fn it_opens_for_its_purpose_with_its_key_and_unchanged() {
        let sealed = sealer(1).seal("session", &"alice").unwrap();
        assert!(
            sealed
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        );
        assert_eq!(
            sealer(1).open::<String>("session", &sealed).as_deref(),
            Some("alice")
        );
        assert_eq!(sealer(1).open::<String>("ticket", &sealed), None);
        assert_eq!(sealer(2).open::<String>("session", &sealed), None);
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let opened = sealer(1).open::<String>("session", &changed);
            // The last letter of base64 may hold bits that mean nothing.
            assert!(opened.is_none() || at + 1 == sealed.len(), "{at}");
        }
        for noise in ["", "=", "ä", "%00", "..."] {
            assert_eq!(sealer(1).open::<String>("session", noise), None);
        }
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(secret(), secret());
        assert!(is_same("a", "a") && !is_same("a", "b") && !is_same("a", "ab"));
    }
}
