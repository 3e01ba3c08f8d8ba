//! Where the sockets of the sessions are: a folder that only its owner may enter.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Uid;

/// Names another folder, for tests.
const VARIABLE: &str = "DEVSERVER_SESSIONS";
/// Where an administrator may offer a place to everybody, with the rights of `/tmp`.
const SHARED: &str = "/run/devserver-sessions";
const SOCKET: &str = ".sock";
/// A socket's path has 108 bytes at most (unix(7)).
const LONGEST: usize = 48;

/// The folder, checked.
#[derive(Debug)]
pub struct Folder(PathBuf);

/// Refuses what is no name of a session: it becomes part of a path.
pub fn check(name: &str) -> Result<()> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let begins = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && name.len() <= LONGEST && name.bytes().all(is_plain) {
        return Ok(());
    }
    bail!(
        "{name:?} is not a name of a session: letters, digits, '.', '_' and '-', at most {LONGEST}, the first a letter or digit"
    )
}

/// Opens the user's own folder, and makes it when it is not there.
pub fn open() -> Result<Folder> {
    let own = Uid::effective();
    let place = |variable: &str| std::env::var_os(variable).filter(|v| !v.is_empty());
    let path = match (place(VARIABLE), place("XDG_RUNTIME_DIR")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(path)) => Path::new(&path).join("devserver-sessions"),
        (None, None) if Path::new(SHARED).is_dir() => Path::new(SHARED).join(own.to_string()),
        (None, None) => PathBuf::from(format!("/tmp/devserver-sessions-{own}")),
    };
    let shown = path.display().to_string();
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("failed to create {shown}"));
        }
        _ => {}
    }
    // In a folder like /tmp somebody else may have been faster.
    let found = fs::symlink_metadata(&path).with_context(|| format!("failed to see {shown}"))?;
    if !found.is_dir() || found.uid() != own.as_raw() || found.mode() & 0o077 != 0 {
        bail!("{shown} is not a folder of yours that nobody else may enter; remove it");
    }
    Ok(Folder(path))
}

impl Folder {
    /// Where the keeper of that session listens.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}{SOCKET}"))
    }

    /// Held while one is looked for or made, so that two do not make the same.
    pub fn lock(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.lock"))
    }

    /// Link to the socket of the ssh agent of whoever came last.
    pub fn agent(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.agent"))
    }

    /// Names of the sessions, in their order.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.0).context("failed to list the sessions")?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(SOCKET)?.to_owned()))
            .filter(|name| check(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        for name in ["a", "build-1", "a.b_c", &"x".repeat(48)] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "-a",
            "a b",
            "a\n",
            "ä",
            &"x".repeat(49),
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
