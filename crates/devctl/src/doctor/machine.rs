//! Checks of this machine: the ssh client, the keys, the Include line.

use std::path::Path;

use super::Check;
use crate::{failure::Outcome, include, keys};

/// Oldest OpenSSH that has all that the configuration files use.
const OLDEST: (u32, u32) = (8, 0);

/// What `ssh -V` said; an error is what the system said instead.
pub fn ssh_client(said: Result<&str, &std::io::Error>) -> Check {
    const NAME: &str = "ssh client";
    let install = "install the OpenSSH client; on Debian: apt install openssh-client";
    let said = match said {
        Ok(said) => said.trim(),
        Err(error) => return Check::fail(NAME, format!("ssh cannot be run: {error}"), install),
    };
    match version(said) {
        None => Check::warn(NAME, format!("'{said}' is not OpenSSH"), install),
        Some(version) if version < OLDEST => Check::warn(
            NAME,
            said,
            format!("use OpenSSH {}.{} or newer", OLDEST.0, OLDEST.1),
        ),
        Some(_) => Check::ok(NAME, said),
    }
}

/// `(10, 0)` of `OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1`.
fn version(said: &str) -> Option<(u32, u32)> {
    let (_, rest) = said.split_once("OpenSSH_")?;
    // On Windows a word stands between.
    let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (major, rest) = rest.split_once('.')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

/// Whether a new DevServer would have a key.
pub fn ssh_key(ssh_dir: &Path) -> Check {
    const NAME: &str = "ssh key";
    let make = "make one: ssh-keygen -t ed25519";
    match keys::discover(ssh_dir).and_then(|path| keys::read(&path).map(|_| path)) {
        Ok(path) => Check::ok(NAME, path.display().to_string()),
        Err(failure) => Check::warn(
            NAME,
            failure.to_string().lines().next().unwrap_or_default(),
            make,
        ),
    }
}

/// Whether plain ssh and editors find DevServers.
pub fn ssh_include(config: &Path, line: &Outcome<String>) -> Check {
    const NAME: &str = "ssh config";
    let enable = "for plain ssh, scp, rsync and editors: devctl config ssh-include --enable";
    let is_enabled = line
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|line| include::is_enabled(config, line).map_err(|failure| failure.to_string()));
    match is_enabled {
        Ok(true) => Check::ok(NAME, "plain ssh and editors find DevServers"),
        Ok(false) => Check::warn(
            NAME,
            "only devctl finds DevServers; plain ssh does not",
            enable,
        ),
        Err(said) => Check::warn(NAME, said.lines().next().unwrap_or_default(), enable),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn the_version_of_every_openssh_is_understood() {
        for (said, expected) in [
            (
                "OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1 1 Jul 2025\n",
                Verdict::Ok,
            ),
            ("OpenSSH_9.9p1, LibreSSL 3.3.6", Verdict::Ok),
            ("OpenSSH_for_Windows_8.6p1, LibreSSL 3.4.3", Verdict::Ok),
            ("OpenSSH_7.4p1, OpenSSL 1.0.2k-fips", Verdict::Warn),
            ("Dropbear v2022.83", Verdict::Warn),
            ("OpenSSH_", Verdict::Warn),
        ] {
            assert_eq!(ssh_client(Ok(said)).verdict, expected, "{said}");
        }
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(ssh_client(Err(&missing)).verdict, Verdict::Fail);
    }

    #[test]
    fn a_machine_without_key_and_include_line_is_told_how_to_make_them() {
        let home = tempfile::tempdir().unwrap();
        let line = Ok("Include \"/x/*.config\"".to_owned());
        let config = home.path().join("config");
        assert_eq!(ssh_key(home.path()).verdict, Verdict::Warn);
        assert_eq!(ssh_include(&config, &line).verdict, Verdict::Warn);
        include::enable(&config, line.as_ref().unwrap()).unwrap();
        assert_eq!(ssh_include(&config, &line).verdict, Verdict::Ok);
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R me@laptop";
        std::fs::write(home.path().join("id_ed25519.pub"), key).unwrap();
        assert_eq!(ssh_key(home.path()).verdict, Verdict::Ok);
        std::fs::write(home.path().join("id_ed25519.pub"), "broken").unwrap();
        assert_eq!(ssh_key(home.path()).verdict, Verdict::Warn);
    }
}
