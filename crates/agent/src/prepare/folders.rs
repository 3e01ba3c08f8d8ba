//! Folders below /run: those sshd wants, and those that everybody may use.

use std::fs;
use std::io;
use std::path::Path;

use super::Error;
use crate::{files, notice};

/// sshd insists on an empty folder that belongs to root and that nobody else may write to.
const OF_SSHD: [&str; 3] = ["/run/devserver", "/run/devserver/empty", "/run/sshd"];
/// Where named terminals listen (devserver-agent session) and leases are (devserver-agent hold): with the rights of /tmp, and
/// out of the way of those who clean /tmp.
const SHARED: [&str; 2] = ["/run/devserver-sessions", "/run/devserver-holds"];

/// Makes them all.
pub fn make() -> Result<(), Error> {
    for path in OF_SSHD {
        let path = Path::new(path);
        files::folder(path, 0o755).map_err(|source| Error::Folder {
            path: path.to_owned(),
            source,
        })?;
    }
    for path in SHARED {
        if let Err(error) = make_shared(Path::new(path)) {
            notice::say(&format!(
                "warning: {path} cannot be made ({error}); what belongs there is below /tmp"
            ));
        }
    }
    Ok(())
}

fn make_shared(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(io::Error::other("it is a symbolic link"));
    }
    files::folder(path, 0o1777)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_shared_folder_is_for_everybody_and_never_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("holds"), folder.path().join("link"));
        make_shared(&path).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o1777);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&path, &link).unwrap();
        assert!(make_shared(&link).is_err());
        assert_eq!(mode(), 0o700);
    }
}
