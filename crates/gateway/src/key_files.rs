//! Files with keys: this host's own, those an administrator trusts, those that are taken back. Mounted from Secrets and
//! ConfigMaps, so they change while the gateway runs.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use russh::keys::{Algorithm, PrivateKey, PublicKey, ssh_key::public::KeyData};

use crate::{fingerprint::Fingerprint, login::is_user};

/// Why files with keys cannot be used. Never repeats what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not readable.
    #[error("failed to read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("failed to read {path}: line {line} {why}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Not a private key that may be a host key.
    #[error("failed to use {path} as a host key: {why}")]
    HostKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Without one nobody could know that this is the right gateway.
    #[error(
        "failed to find a host key in {0}: put one there, made with `ssh-keygen -t ed25519 -N '' -f ssh_host_ed25519_key`"
    )]
    NoHostKey(PathBuf),
}

/// Keys that an administrator wrote down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trusted {
    /// User to keys.
    pub users: HashMap<String, HashSet<Fingerprint>>,
    /// Authorities whose user certificates count.
    pub authorities: Vec<KeyData>,
    /// Keys that open nothing any more, nor sign certificates that do.
    pub revoked: HashSet<Fingerprint>,
}

/// Where they are.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// Lines `<user> <type> <base64> [comment]`.
    pub authorized_keys: Option<PathBuf>,
    /// Lines as in a public key file.
    pub authorities: Option<PathBuf>,
    /// Lines as in a public key file, or `SHA256:…`.
    pub revoked: Option<PathBuf>,
}

impl Trusted {
    /// Reads all files; one wrong line and none counts, because a key left out by mistake may be a revoked one.
    pub fn read(paths: &Paths) -> Result<Self, Error> {
        let mut trusted = Self::default();
        each_line(paths.authorized_keys.as_deref(), |line| {
            let (user, key) = line.split_once(' ').ok_or("must be a user and a key")?;
            if !is_user(user) {
                return Err("must begin with a user name".to_owned());
            }
            let key = Fingerprint::of_line(key.trim()).map_err(|error| error.to_string())?;
            trusted
                .users
                .entry(user.to_owned())
                .or_default()
                .insert(key);
            Ok(())
        })?;
        each_line(paths.authorities.as_deref(), |line| {
            // The same rules as for keys of users: no options, no short RSA key.
            Fingerprint::of_line(line).map_err(|error| error.to_string())?;
            let key = PublicKey::from_openssh(line).map_err(|error| error.to_string())?;
            trusted.authorities.push(key.key_data().clone());
            Ok(())
        })?;
        each_line(paths.revoked.as_deref(), |line| {
            let key = match Fingerprint::parse(line) {
                Some(key) => key,
                None => Fingerprint::of_line(line).map_err(|error| error.to_string())?,
            };
            trusted.revoked.insert(key);
            Ok(())
        })?;
        Ok(trusted)
    }
}

fn each_line(
    path: Option<&Path>,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Error> {
    let Some(path) = path else {
        return Ok(());
    };
    let text = fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        take(line).map_err(|why| Error::Line {
            path: path.to_owned(),
            line: index + 1,
            why,
        })?;
    }
    Ok(())
}

/// The private keys of a folder: every file that is none of a public key; hidden ones are how Secrets are mounted.
/// Ed25519 first, because that is what clients should remember.
pub fn host_keys(folder: &Path) -> Result<Vec<PrivateKey>, Error> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let public = name.ends_with(".pub") || name.ends_with("-cert");
        if !name.starts_with('.') && !public && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut keys = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
        keys.push(host_key(&text).map_err(|why| Error::HostKey { path, why })?);
    }
    keys.sort_by_key(|key| key.algorithm() != Algorithm::Ed25519);
    if keys
        .first()
        .is_none_or(|key| key.algorithm() != Algorithm::Ed25519)
    {
        return Err(Error::NoHostKey(folder.to_owned()));
    }
    Ok(keys)
}

/// A private key that may be a host key; what is wrong with it, if it may not.
pub fn host_key(text: &str) -> Result<PrivateKey, String> {
    let key = PrivateKey::from_openssh(text)
        .map_err(|_| "not an OpenSSH private key; remove it or make another".to_owned())?;
    if key.is_encrypted() {
        return Err("protected by a passphrase, which nobody is there to type".to_owned());
    }
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key),
        Algorithm::Rsa { .. } => {
            let line = key.public_key().to_openssh().map_err(|e| e.to_string())?;
            Fingerprint::of_line(&line).map_err(|error| error.to_string())?;
            Ok(key)
        }
        other => Err(format!(
            "of type {other}; use ed25519, and rsa for old clients"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice";

    fn read(users: &str, authorities: &str, revoked: &str) -> Result<Trusted, Error> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            Some(path)
        };
        Trusted::read(&Paths {
            authorized_keys: write("users", users),
            authorities: write("authorities", authorities),
            revoked: write("revoked", revoked),
        })
    }

    #[test]
    fn files_of_keys_are_read() {
        let key = Fingerprint::of_line(LINE).unwrap();
        let users = format!("# keys\n\nalice {LINE}\nbob@example.com {LINE}\n");
        let trusted = read(&users, LINE, &format!("{key}\n")).unwrap();
        assert_eq!(trusted.users.len(), 2);
        assert!(trusted.users["alice"].contains(&key));
        assert_eq!(trusted.authorities.len(), 1);
        assert!(trusted.revoked.contains(&key));
    }

    #[test]
    fn one_wrong_line_is_named_and_nothing_counts() {
        for (users, authorities, revoked) in [
            (
                format!("alice {LINE}\n{LINE}"),
                String::new(),
                String::new(),
            ),
            (
                format!("alice {LINE}\nalice command=\"id\" {LINE}"),
                String::new(),
                String::new(),
            ),
            (
                format!("alice {LINE}\nal+ice {LINE}"),
                String::new(),
                String::new(),
            ),
            (
                String::new(),
                format!("{LINE}\n@cert-authority * {LINE}"),
                String::new(),
            ),
            (String::new(), String::new(), format!("{LINE}\nSHA256:x")),
        ] {
            let told = read(&users, &authorities, &revoked)
                .unwrap_err()
                .to_string();
            assert!(told.contains("line 2"), "{told}");
        }
    }

    #[test]
    fn host_keys_begin_with_ed25519_and_there_must_be_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(host_keys(folder.path()), Err(Error::NoHostKey(_))));
        let key =
            PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let text = key
            .to_openssh(russh::keys::ssh_key::LineEnding::LF)
            .unwrap();
        fs::write(folder.path().join("z_key"), text.as_bytes()).unwrap();
        fs::write(folder.path().join("z_key.pub"), "public").unwrap();
        assert_eq!(host_keys(folder.path()).unwrap(), [key]);
        fs::write(folder.path().join("a_key"), "hunter2").unwrap();
        let told = host_keys(folder.path()).unwrap_err().to_string();
        assert!(
            told.contains("a_key") && !told.contains("hunter2"),
            "{told}"
        );
    }
}
