//! Hashes of passwords as in `crypt(5)`: what an account file holds in place of a password.

use std::fmt;

/// What SHA-512 takes as a salt at most; programs cut off the rest without a word.
const SALT_MAX: usize = 16;
/// SHA-512 in the alphabet of `crypt(5)`.
const DIGEST: usize = 86;
/// How often may be hashed: less is refused by some programs and raised by others, and with more nobody ever gets in.
const ROUNDS: std::ops::RangeInclusive<u32> = 1000..=9_999_999;

/// A hash with SHA-512 (`$6$`), on one line that no account file can misunderstand. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Why a text is no hash. It does not hold the text, which may be a password or somebody else's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not one line of crypt(5) with SHA-512, `$6$salt$` and 86 characters; `openssl passwd -6` makes one"
)]
pub struct PasswordHashError;

impl PasswordHash {
    /// Reads a hash. One line end behind it is left out, as programs write one.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        is_hash(line)
            .then(|| Self(line.to_owned()))
            .ok_or(PasswordHashError)
    }

    /// The hash, without a line end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_hash(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("$6$") else {
        return false;
    };
    let rest = match rest.strip_prefix("rounds=") {
        None => rest,
        Some(rest) => match rest.split_once('$') {
            Some((rounds, rest)) if are_rounds(rounds) => rest,
            _ => return false,
        },
    };
    let is_text = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
    };
    rest.split_once('$').is_some_and(|(salt, digest)| {
        (1..=SALT_MAX).contains(&salt.len())
            && digest.len() == DIGEST
            && is_text(salt)
            && is_text(digest)
    })
}

fn are_rounds(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0')
        && text.parse().is_ok_and(|rounds| ROUNDS.contains(&rounds))
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl passwd -6 -salt saltsalt password`.
    const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

    #[test]
    fn what_openssl_and_mkpasswd_make_is_read_with_or_without_a_line_end() {
        let many = HASH.replacen("$6$", "$6$rounds=656000$", 1);
        for hash in [HASH, &many] {
            for end in ["", "\n", "\r\n"] {
                let text = format!("{hash}{end}");
                assert_eq!(PasswordHash::parse(&text).unwrap().as_str(), hash);
            }
        }
    }

    #[test]
    fn d3_what_could_mean_something_else_in_an_account_file_is_no_hash() {
        let digest = HASH.rsplit('$').next().unwrap();
        for bad in [
            String::new(),
            "password".to_owned(),
            "*".to_owned(),
            "$6$saltsalt$".to_owned(),
            format!("$6$${digest}"),
            format!("$6$saltsaltsaltsalt1${digest}"),
            format!("$5$saltsalt${digest}"),
            format!("$y$j9T$saltsalt${digest}"),
            format!("$6$rounds=999$saltsalt${digest}"),
            format!("$6$rounds=10000000$saltsalt${digest}"),
            format!("$6$rounds=05000$saltsalt${digest}"),
            format!("$6$rounds=$saltsalt${digest}"),
            format!("{HASH}x"),
            format!(" {HASH}"),
            format!("{HASH} "),
            format!("{HASH}\n\n"),
            format!("{HASH}:0:0::/root:/bin/sh"),
            format!("{HASH}\nevil::0:0::/:/bin/sh"),
            format!("!{HASH}"),
            HASH.replacen('s', "ß", 1),
            HASH.replacen('s', "\0", 1),
        ] {
            assert_eq!(PasswordHash::parse(&bad), Err(PasswordHashError), "{bad:?}");
        }
    }

    #[test]
    fn neither_a_hash_nor_an_error_shows_the_text() {
        let hash = PasswordHash::parse(HASH).unwrap();
        assert!(!format!("{hash:?}").contains("salt$"));
        let error = PasswordHash::parse("hunter2").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
