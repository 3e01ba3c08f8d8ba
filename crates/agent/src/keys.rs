//! Answers sshd's `AuthorizedKeysCommand`. The keys come from a mounted Secret, so an edit of the
//! keys counts at the next login and nothing in the user's home decides who gets in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::login_user;

/// Where the Secret with the keys is mounted.
const KEYS_FILE: &str = "/etc/devserver/authorized-keys/authorized_keys";
/// Kubernetes allows a Secret 1 MiB; more than that is not ours.
const MOST_BYTES: u64 = 1 << 20;

/// Prints the keys of `user`: those of the Secret for the login user, none for anybody else. sshd gives its command no variable
/// of the pod, so its configuration says what the login user is called where that is not its usual name.
pub fn print(user: &OsStr, login: Option<&OsStr>) -> io::Result<()> {
    let login = login.unwrap_or(OsStr::new(login_user::NAME));
    write_keys(user, login, Path::new(KEYS_FILE), &mut io::stdout().lock())
}

fn write_keys(user: &OsStr, login: &OsStr, file: &Path, out: &mut impl Write) -> io::Result<()> {
    if user != login {
        return Ok(());
    }
    let mut keys = Vec::new();
    File::open(file)?.take(MOST_BYTES).read_to_end(&mut keys)?;
    out.write_all(&keys)?;
    // A file that ends without a newline would swallow whatever sshd reads next.
    if keys.last().is_some_and(|&byte| byte != b'\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_for(user: &str, content: &str) -> String {
        keys_of("dev", user, content)
    }

    fn keys_of(login: &str, user: &str, content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorized_keys");
        std::fs::write(&file, content).unwrap();
        let mut out = Vec::new();
        write_keys(OsStr::new(user), OsStr::new(login), &file, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn login_user_gets_every_line() {
        assert_eq!(
            keys_for("dev", "ssh-ed25519 A\nssh-ed25519 B"),
            "ssh-ed25519 A\nssh-ed25519 B\n"
        );
    }

    #[test]
    fn root_and_others_get_nothing() {
        for user in ["root", "nobody", "", "Dev", "dev "] {
            assert_eq!(keys_for(user, "ssh-ed25519 A\n"), "", "{user}");
        }
    }

    #[test]
    fn an_image_may_call_the_login_user_otherwise() {
        assert_eq!(
            keys_of("coder", "coder", "ssh-ed25519 A\n"),
            "ssh-ed25519 A\n"
        );
        for user in ["dev", "root"] {
            assert_eq!(keys_of("coder", user, "ssh-ed25519 A\n"), "", "{user}");
        }
    }

    #[test]
    fn missing_file_is_an_error_and_not_an_empty_answer() {
        let error = write_keys(
            OsStr::new("dev"),
            OsStr::new("dev"),
            Path::new("/nonexistent"),
            &mut Vec::new(),
        );
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
