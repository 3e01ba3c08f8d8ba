//! The user's own ssh keys: which public key goes into a new DevServer, which private key belongs to one.
//!
//! Private keys are never opened; that one exists is all that is asked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use devserver_api::{DevServer, ssh_key::PublicKey};

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Names of key pairs in the order they are tried. ssh offers all of them by itself.
const DEFAULTS: [&str; 5] = [
    "id_ed25519",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519_sk",
    "id_rsa",
];

/// Reads and checks one public key file.
pub fn read(path: &Path) -> Outcome<PublicKey> {
    let text = fs::read_to_string(path).map_err(|e| {
        Failure::io(
            format!("failed to read the public key {}", path.display()),
            &e,
        )
        .remedy("give the file that ends in .pub with --ssh-public-key-file")
    })?;
    PublicKey::parse(&text)
        .map_err(|e| Failure::usage(format!("the key file {} {e}", path.display())))
}

/// The public key to use when none is named.
pub fn discover(ssh_dir: &Path) -> Outcome<PathBuf> {
    DEFAULTS
        .iter()
        .map(|name| ssh_dir.join(format!("{name}.pub")))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("no ssh public key found in {}", ssh_dir.display()))
                .remedy("make one with `ssh-keygen -t ed25519`, or name one with --ssh-public-key-file FILE")
        })
}

/// The private key for a DevServer, when ssh would not try it by itself: the pair in `ssh_dir` whose public half the
/// DevServer knows. `None` also when one of the default names fits.
pub fn identity_for(server: &DevServer, ssh_dir: &Path) -> Option<PathBuf> {
    let ssh = &server.spec.ssh;
    let allowed: Vec<PublicKey> = ssh
        .public_key
        .iter()
        .chain(&ssh.public_keys)
        .filter_map(|k| PublicKey::parse(k).ok())
        .collect();
    let mut pairs: Vec<PathBuf> = fs::read_dir(ssh_dir)
        .ok()?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "pub"))
        .filter(|p| {
            fs::read_to_string(p)
                .ok()
                .and_then(|t| PublicKey::parse(&t).ok())
                .is_some_and(|key| allowed.iter().any(|a| a.is_same_key(&key)))
        })
        .map(|p| p.with_extension(""))
        .filter(|p| p.is_file())
        .collect();
    pairs.sort();
    let is_default = |p: &PathBuf| {
        p.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| DEFAULTS.contains(&n))
    };
    if pairs.iter().any(is_default) {
        None
    } else {
        pairs.into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use devserver_api::{DevServerSpec, SshSpec};

    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";

    fn server() -> DevServer {
        let spec: DevServerSpec =
            serde_json::from_value(serde_json::json!({"ssh": {"publicKey": ED25519}})).unwrap();
        DevServer::new("a", spec)
    }

    #[test]
    fn the_first_of_the_usual_names_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(discover(dir.path()).unwrap_err().exit, Exit::NotFound);
        for name in ["id_rsa", "id_ecdsa", "id_ed25519"] {
            fs::write(dir.path().join(format!("{name}.pub")), ED25519).unwrap();
            assert_eq!(
                discover(dir.path()).unwrap(),
                dir.path().join(format!("{name}.pub"))
            );
        }
    }

    #[test]
    fn a_private_key_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("id_ed25519");
        fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n").unwrap();
        let failure = read(&file).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(!failure.to_string().contains("c2VjcmV0"));
    }

    #[test]
    fn a_pair_with_an_unusual_name_is_found_by_its_public_half() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(identity_for(&server(), dir.path()), None);
        fs::write(
            dir.path().join("work.pub"),
            format!("{ED25519} me@laptop\n"),
        )
        .unwrap();
        assert_eq!(
            identity_for(&server(), dir.path()),
            None,
            "the private half is not there"
        );
        fs::write(dir.path().join("work"), "").unwrap();
        assert_eq!(
            identity_for(&server(), dir.path()),
            Some(dir.path().join("work"))
        );
        fs::write(dir.path().join("id_rsa.pub"), ED25519).unwrap();
        fs::write(dir.path().join("id_rsa"), "").unwrap();
        assert_eq!(
            identity_for(&server(), dir.path()),
            None,
            "ssh finds id_rsa itself"
        );
    }

    #[test]
    fn no_keys_in_the_spec_is_no_pair() {
        let mut server = server();
        server.spec.ssh = SshSpec::default();
        assert_eq!(identity_for(&server, Path::new("/nowhere")), None);
    }
}
