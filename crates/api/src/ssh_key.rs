//! One OpenSSH public key: one line, a known algorithm, nothing before it, re-encoded by us before use.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest, Sha256};

/// Bits below which an RSA key is refused (NIST SP 800-57: 2048 is not enough after 2030).
pub const RSA_MIN_BITS: usize = 2048;

const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// Why a text is not a public key that may log in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// The private half. Never echoed.
    #[error(
        "is a PRIVATE key: it is no longer private, make a new pair; the public key is in the file that ends in .pub"
    )]
    Private,
    /// More than one line, or a control character.
    #[error("must be one line without control characters")]
    NotOneLine,
    /// Begins with something that is not an algorithm, such as options.
    #[error("must begin with a key type such as ssh-ed25519; options before it are not allowed")]
    Algorithm,
    /// The base64 part does not decode to a key of the type named.
    #[error(
        "is damaged: the part after the type is not a key of that type; copy the whole line of the .pub file"
    )]
    Blob,
    /// Too short to be safe.
    #[error(
        "is an RSA key of {0} bits; at least {RSA_MIN_BITS} are needed, better make one with `ssh-keygen -t ed25519`"
    )]
    WeakRsa(usize),
    /// A comment that is too long or not printable ASCII.
    #[error("has a comment that is not printable ASCII of at most 128 characters")]
    Comment,
}

/// A checked public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: &'static str,
    blob: Vec<u8>,
    comment: String,
}

impl PublicKey {
    /// Checks the text; a single line end at the end is forgiven, because editors put it there.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.trim_matches(' ');
        if line.is_empty() {
            return Err(KeyError::Empty);
        }
        if line.chars().any(char::is_control) {
            return Err(KeyError::NotOneLine);
        }
        let mut words = line.splitn(3, ' ');
        let named = words.next().unwrap_or_default();
        let algorithm = ALGORITHMS
            .iter()
            .copied()
            .find(|a| *a == named)
            .ok_or(KeyError::Algorithm)?;
        let blob = words
            .next()
            .and_then(|word| STANDARD.decode(word).ok())
            .ok_or(KeyError::Blob)?;
        let comment = words.next().unwrap_or_default().trim_matches(' ');
        if comment.len() > 128 || !comment.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(KeyError::Comment);
        }
        check_blob(algorithm, &blob)?;
        Ok(Self {
            algorithm,
            blob,
            comment: comment.to_owned(),
        })
    }

    /// The line for `authorized_keys`, made anew from what was understood.
    pub fn line(&self) -> String {
        let blob = STANDARD.encode(&self.blob);
        if self.comment.is_empty() {
            format!("{} {blob}", self.algorithm)
        } else {
            format!("{} {blob} {}", self.algorithm, self.comment)
        }
    }

    /// The key itself in its wire form (RFC 4253 §6.6); fingerprints are hashes of it.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:` and base64 without padding, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(&self.blob))
        )
    }

    /// Whether both are the same key, whatever their comments say.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

/// RFC 4253 §6.6: the blob is a list of length-prefixed strings, the first of which names the algorithm again.
fn check_blob(algorithm: &str, blob: &[u8]) -> Result<(), KeyError> {
    let mut rest = blob;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (field, after) = take_string(rest).ok_or(KeyError::Blob)?;
        fields.push(field);
        rest = after;
    }
    if fields.first() != Some(&algorithm.as_bytes()) {
        return Err(KeyError::Blob);
    }
    let lengths: Vec<usize> = fields.iter().skip(1).map(|f| f.len()).collect();
    match (algorithm, lengths.as_slice()) {
        ("ssh-ed25519", [32])
        | ("ecdsa-sha2-nistp256", [8, 65])
        | ("ecdsa-sha2-nistp384", [8, 97])
        | ("ecdsa-sha2-nistp521", [8, 133])
        | ("sk-ssh-ed25519@openssh.com", [32, 1..=64])
        | ("sk-ecdsa-sha2-nistp256@openssh.com", [8, 65, 1..=64]) => Ok(()),
        ("ssh-rsa", [1..=8, _]) => {
            let bits = fields.get(2).map_or(0, |n| modulus_bits(n));
            if bits < RSA_MIN_BITS {
                Err(KeyError::WeakRsa(bits))
            } else {
                Ok(())
            }
        }
        _ => Err(KeyError::Blob),
    }
}

fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().skip_while(|b| **b == 0).collect::<Vec<_>>();
    significant.first().map_or(0, |first| {
        significant.len() * 8 - first.leading_zeros() as usize
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R user@example.com";

    #[test]
    fn a_key_is_read_and_written_back_the_same() {
        assert_eq!(PublicKey::parse(GOOD).unwrap().line(), GOOD);
        assert_eq!(PublicKey::parse(&format!("{GOOD}\n")).unwrap().line(), GOOD);
    }

    #[test]
    fn a_second_line_is_refused() {
        assert_eq!(
            PublicKey::parse(&format!("{GOOD}\n{GOOD}")),
            Err(KeyError::NotOneLine)
        );
        assert_eq!(
            PublicKey::parse(&format!("{GOOD}\r")),
            Err(KeyError::NotOneLine)
        );
    }

    #[test]
    fn options_are_refused() {
        for options in [
            "command=\"id\" ",
            "environment=\"A=b\",no-pty ",
            "cert-authority ",
        ] {
            assert_eq!(
                PublicKey::parse(&format!("{options}{GOOD}")),
                Err(KeyError::Algorithm)
            );
        }
    }

    #[test]
    fn a_private_key_is_refused_and_not_echoed() {
        let text = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n";
        let error = PublicKey::parse(text).unwrap_err();
        assert_eq!(error, KeyError::Private);
        assert!(!error.to_string().contains("b3Blb"));
    }

    #[test]
    fn the_placeholder_of_the_documents_is_refused() {
        assert_eq!(PublicKey::parse("ssh-rsa AAAA..."), Err(KeyError::Blob));
    }

    #[test]
    fn a_type_that_differs_from_the_blob_is_refused() {
        assert_eq!(
            PublicKey::parse(&GOOD.replace("ssh-ed25519 ", "ssh-rsa ")),
            Err(KeyError::Blob)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_accepted_one_is_one_line(text in ".{0,400}") {
            if let Ok(key) = PublicKey::parse(&text) {
                prop_assert!(!key.line().contains('\n'));
            }
        }
    }
}
