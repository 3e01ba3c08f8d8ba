//! What a new home begins with: the files of /etc/skel.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;

use crate::notice;

const SKELETON: &str = "/etc/skel";
/// What the file system made, not the user.
const NOBODYS: &str = "lost+found";

/// Copies it into a home that is empty.
pub fn copy(home: &Path) {
    let skeleton = Path::new(SKELETON);
    if skeleton.is_dir()
        && let Err(error) = copy_into_empty(skeleton, home)
    {
        say_failed(&error);
    }
}

/// Why it is not there.
pub fn say_failed(error: &io::Error) {
    notice::say(&format!(
        "warning: the files of {SKELETON} were not copied: {error}"
    ));
}

fn copy_into_empty(skeleton: &Path, home: &Path) -> io::Result<()> {
    let names = fs::read_dir(home).map_err(at(home))?;
    let names: io::Result<Vec<OsString>> = names.map(|entry| Ok(entry?.file_name())).collect();
    if names.map_err(at(home))?.iter().any(|name| name != NOBODYS) {
        return Ok(());
    }
    folder(skeleton, home)
}

/// Goes on behind what cannot be copied, and returns the first such error.
fn folder(from: &Path, to: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let copied = entry
            .metadata()
            .map_err(at(&from))
            .and_then(|found| one(&found, &from, &to));
        result = result.and(copied);
    }
    result
}

/// Rights as for a new file: what the umask forbids is not copied.
fn one(found: &Metadata, from: &Path, to: &Path) -> io::Result<()> {
    let (kind, mode) = (found.file_type(), found.mode() & 0o777);
    if kind.is_dir() {
        // Without the owner's rights nothing could be copied into it.
        DirBuilder::new()
            .mode(mode | 0o700)
            .create(to)
            .map_err(at(to))?;
        folder(from, to)
    } else if kind.is_symlink() {
        let target = fs::read_link(from).map_err(at(from))?;
        symlink(target, to).map_err(at(to))
    } else if kind.is_file() {
        let mut source = File::open(from).map_err(at(from))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let mut copy = options.open(to).map_err(at(to))?;
        io::copy(&mut source, &mut copy).map_err(at(to))?;
        Ok(())
    } else {
        Ok(())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn skeleton() -> tempfile::TempDir {
        let skeleton = tempfile::tempdir().unwrap();
        let path = skeleton.path();
        fs::create_dir(path.join(".config")).unwrap();
        fs::write(path.join(".config/tool"), "content").unwrap();
        fs::set_permissions(path.join(".config/tool"), PermissionsExt::from_mode(0o600)).unwrap();
        symlink(".config/tool", path.join("link")).unwrap();
        skeleton
    }

    #[test]
    fn an_empty_home_gets_files_folders_and_links() {
        let (skeleton, home) = (skeleton(), tempfile::tempdir().unwrap());
        fs::create_dir(home.path().join(NOBODYS)).unwrap();
        copy_into_empty(skeleton.path(), home.path()).unwrap();
        let tool = home.path().join(".config/tool");
        assert_eq!(fs::read_to_string(&tool).unwrap(), "content");
        assert_eq!(fs::metadata(&tool).unwrap().mode() & 0o777, 0o600);
        let link = fs::read_link(home.path().join("link")).unwrap();
        assert_eq!(link, Path::new(".config/tool"));
    }

    #[test]
    fn a_home_with_anything_in_it_stays_as_it_is() {
        let (skeleton, home) = (skeleton(), tempfile::tempdir().unwrap());
        symlink("/nonexistent", home.path().join(".hidden")).unwrap();
        copy_into_empty(skeleton.path(), home.path()).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn behind_a_file_that_cannot_be_copied_it_goes_on_and_says_so() {
        let (skeleton, home) = (skeleton(), tempfile::tempdir().unwrap());
        fs::write(home.path().join("link"), "taken").unwrap();
        let error = folder(skeleton.path(), home.path()).unwrap_err();
        assert!(error.to_string().contains("link: "), "{error}");
        assert!(home.path().join(".config/tool").exists());
        assert!(copy_into_empty(skeleton.path(), Path::new("/nonexistent")).is_err());
    }
}
