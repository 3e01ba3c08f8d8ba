//! Copies the tools image into a volume, for clusters without image volumes. The result must pass
//! sshd's check of its key command: owned by root and writable by nobody else, up to the root.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Nobody but the owner may write; setuid and sticky bits are not carried over.
const MODE_MASK: u32 = 0o755;

/// A file that could not be copied.
#[derive(Debug, Error)]
#[error("failed to copy {path}")]
pub struct Error {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Copies `from` into `to` and returns the number of files. Each file appears under its name
/// complete or not at all, so a container that is started again may copy over a used tree.
/// Other file systems mounted below `from` (`/proc`, `/dev`, the target itself) are left out.
pub fn tree(from: &Path, to: &Path) -> Result<usize, Error> {
    let device = fs::metadata(from).map_err(at(from))?.dev();
    let target = fs::canonicalize(to).map_err(at(to))?;
    let copied = folder(&Source { device, target }, from, to)?;
    // A volume made for a pod is open to all, and belongs to root: where nobody is root it stays as it is.
    match fs::set_permissions(to, Permissions::from_mode(MODE_MASK)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(at(to)(error)),
        _ => Ok(copied),
    }
}

/// What belongs to the tree that is copied.
struct Source {
    device: u64,
    target: PathBuf,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error { path, source }
}

fn folder(source: &Source, from: &Path, to: &Path) -> Result<usize, Error> {
    let mut copied = 0;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (path, name) = (entry.path(), entry.file_name());
        let metadata = entry.metadata().map_err(at(&path))?;
        if metadata.dev() != source.device || path == source.target {
            continue;
        }
        copied += one(source, &path, &metadata, &to.join(name))?;
    }
    Ok(copied)
}

fn one(source: &Source, from: &Path, metadata: &Metadata, to: &Path) -> Result<usize, Error> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        match fs::create_dir(to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at(to)(error));
            }
            _ => {}
        }
        let copied = folder(source, from, to)?;
        set_mode(to, metadata)?;
        return Ok(copied);
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    remove_if_there(&part)?;
    if kind.is_symlink() {
        symlink(fs::read_link(from).map_err(at(from))?, &part).map_err(at(&part))?;
    } else if kind.is_file() {
        fs::copy(from, &part).map_err(at(from))?;
        set_mode(&part, metadata)?;
    } else {
        // Sockets and devices are no part of an image.
        return Ok(0);
    }
    fs::rename(&part, to).map_err(at(to))?;
    Ok(1)
}

fn set_mode(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let mode = metadata.permissions().mode() & MODE_MASK;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at(path))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// A tree with a program, a folder anybody may write to and a link.
    fn image() -> tempfile::TempDir {
        let image = tempfile::tempdir().unwrap();
        let bin = image.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("tool"), "content").unwrap();
        fs::set_permissions(bin.join("tool"), Permissions::from_mode(0o4775)).unwrap();
        fs::set_permissions(&bin, Permissions::from_mode(0o777)).unwrap();
        symlink("tool", bin.join("alias")).unwrap();
        image
    }

    #[test]
    fn copy_is_complete_and_writable_by_the_owner_only() {
        let (image, target) = (image(), tempfile::tempdir().unwrap());
        fs::set_permissions(target.path(), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(tree(image.path(), target.path()).unwrap(), 2);
        let bin = target.path().join("bin");
        assert_eq!(fs::read_to_string(bin.join("tool")).unwrap(), "content");
        assert_eq!(fs::read_link(bin.join("alias")).unwrap(), Path::new("tool"));
        assert_eq!(
            (mode(target.path()), mode(&bin), mode(&bin.join("tool"))),
            (0o755, 0o755, 0o755)
        );
    }

    #[test]
    fn second_copy_replaces_files_and_leaves_no_parts() {
        let (image, target) = (image(), tempfile::tempdir().unwrap());
        tree(image.path(), target.path()).unwrap();
        fs::write(image.path().join("bin/tool"), "newer").unwrap();
        fs::write(
            target.path().join("bin/tool.part"),
            "from a copy that was interrupted",
        )
        .unwrap();
        tree(image.path(), target.path()).unwrap();
        assert_eq!(
            fs::read_to_string(target.path().join("bin/tool")).unwrap(),
            "newer"
        );
        assert!(!target.path().join("bin/tool.part").exists());
    }

    #[test]
    fn target_inside_the_source_is_not_copied_into_itself() {
        let image = image();
        let target = image.path().join("target");
        fs::create_dir(&target).unwrap();
        assert_eq!(tree(image.path(), &target).unwrap(), 2);
        assert!(!target.join("target").exists());
    }

    #[test]
    fn missing_target_is_named_in_the_error() {
        let error = tree(image().path(), Path::new("/nonexistent/target")).unwrap_err();
        assert_eq!(error.to_string(), "failed to copy /nonexistent/target");
    }
}
