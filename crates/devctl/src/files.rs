//! Where devctl keeps its files, and how it writes them: whole or not at all, for their owner only.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use directories::BaseDirs;

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Overrides the folder of devctl's own files.
pub const CONFIG_DIR: &str = "DEVCTL_CONFIG_DIR";
/// Overrides the folder of what can be had again.
pub const CACHE_DIR: &str = "DEVCTL_CACHE_DIR";

fn base() -> Outcome<BaseDirs> {
    BaseDirs::new().ok_or_else(|| {
        Failure::new(Exit::Error, "your home folder is not known").remedy("set HOME")
    })
}

/// Folder of the ssh configuration files, such as `~/.config/devctl/ssh`.
pub fn ssh_dir() -> Outcome<PathBuf> {
    let config = match std::env::var_os(CONFIG_DIR).filter(|v| !v.is_empty()) {
        Some(dir) => absolute(Path::new(&dir))?,
        None => base()?.config_dir().join("devctl"),
    };
    Ok(config.join("ssh"))
}

/// Folder of what can be had again, such as `~/.cache/devctl`.
pub fn cache_dir() -> Outcome<PathBuf> {
    match std::env::var_os(CACHE_DIR).filter(|v| !v.is_empty()) {
        Some(dir) => absolute(Path::new(&dir)),
        None => Ok(base()?.cache_dir().join("devctl")),
    }
}

/// A file for its owner only, made when it is not there.
pub fn open_private(path: &Path) -> Outcome<fs::File> {
    fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| Failure::io(format!("failed to open {}", path.display()), &e))
}

/// The user's home.
pub fn home() -> Outcome<PathBuf> {
    Ok(base()?.home_dir().to_owned())
}

/// The user's own `~/.ssh`.
pub fn user_ssh_dir() -> Outcome<PathBuf> {
    Ok(base()?.home_dir().join(".ssh"))
}

/// Makes a path absolute without following links.
pub fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path)
        .map_err(|e| Failure::io(format!("failed to resolve {}", path.display()), &e))
}

/// Creates a folder and its parents for their owner only; folders that exist keep their rights.
pub fn make_private_dir(dir: &Path) -> Outcome {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Failure::io(format!("failed to create {}", dir.display()), &e))
}

/// Writes a file so that readers see the old or the new content, never a part of it.
///
/// The rename replaces a symbolic link at `path` and never writes through it.
pub fn write_private(path: &Path, content: &str) -> Outcome {
    write_with_mode(path, content, 0o600)
}

/// [`write_private`] with the rights given.
pub fn write_with_mode(path: &Path, content: &str, mode: u32) -> Outcome {
    let dir = path.parent().unwrap_or(Path::new("."));
    make_private_dir(dir)?;
    replace(dir, path, content, mode)
        .map_err(|e| Failure::io(format!("failed to write {}", path.display()), &e))
}

fn replace(dir: &Path, path: &Path, content: &str, mode: u32) -> io::Result<()> {
    // The name begins with a dot and has no `.config` end, so that ssh's Include pattern never sees it.
    let mut file = tempfile::Builder::new()
        .prefix(".devctl-")
        .suffix(".tmp")
        .tempfile_in(dir)?;
    file.write_all(content.as_bytes())?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Removes a file; one that is not there is removed already.
pub fn remove(path: &Path) -> Outcome<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Failure::io(
            format!("failed to remove {}", path.display()),
            &e,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn d10_files_and_folders_are_for_their_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a/b/c");
        write_private(&file, "x").unwrap();
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(mode(file.parent().unwrap().parent().unwrap()), 0o700);
    }

    #[test]
    fn d10_a_link_is_replaced_never_written_through() {
        let root = tempfile::tempdir().unwrap();
        let (victim, link) = (root.path().join("victim"), root.path().join("link"));
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        write_private(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&link).unwrap(), "new");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn nothing_is_left_beside_the_file() {
        let root = tempfile::tempdir().unwrap();
        write_private(&root.path().join("f"), "1").unwrap();
        write_private(&root.path().join("f"), "2").unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(remove(&root.path().join("f")).unwrap());
        assert!(!remove(&root.path().join("f")).unwrap());
    }
}
