//! The hash of the password that may log in, where the platform allows one. sshd reads /etc/passwd only; whoever can read it
//! inside is the user, or has become root already.

use std::fs;
use std::path::Path;

use crate::notice;

/// What is mounted, if it may be written into an account file; told if not.
pub fn read(file: &Path) -> Option<String> {
    let text = fs::read(file).ok()?;
    let hash = checked(&text);
    if hash.is_none() {
        notice::say(
            "warning: the password hash is not one of crypt(5) with SHA-512, $6$…, as `openssl passwd -6` makes it; \
             no password is right",
        );
    }
    hash
}

/// A colon or a newline would be a field or a line of its own.
fn checked(text: &[u8]) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "./$=".contains(c);
    let hash = str::from_utf8(text).ok()?.trim_end_matches('\n');
    let (_, sum) = hash.strip_prefix("$6$")?.split_once('$')?;
    (!sum.is_empty() && hash.chars().all(is_allowed)).then(|| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_sha_512_is_taken_with_and_without_rounds() {
        for hash in ["$6$salt$abc./DEF", "$6$rounds=5000$salt$abc"] {
            assert_eq!(checked(format!("{hash}\n").as_bytes()), Some(hash.into()));
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        for text in [
            "",
            "plain",
            "$y$j9T$x$y",
            "$6$a$b:0:0::/root:/bin/sh",
            "$6$a$b\nevil:x:0:0::/:/bin/sh",
            "$6$$(id)$x y",
            "$6$a$",
            "$6$a",
        ] {
            assert_eq!(checked(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(checked(b"$6$a$\xff"), None);
    }

    #[test]
    fn without_a_file_there_is_no_hash() {
        assert_eq!(read(Path::new("/nonexistent")), None);
    }
}
