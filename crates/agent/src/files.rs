//! Changes to files of the image, at every start: what is right already is not written again, and nobody reads half a file.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown, symlink,
};
use std::path::{Path, PathBuf};
use std::process;

/// The bits of a mode that say who may do what.
const MODE: u32 = 0o7777;

/// A file made beside the one whose place it takes; gone when it does not come to that.
#[derive(Debug)]
pub struct Staged {
    part: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// With the owner and mode of the file it replaces, else with `mode`.
    pub fn new(target: &Path, content: &[u8], mode: u32) -> io::Result<Self> {
        let replaced = fs::metadata(target).ok();
        let staged = Self::beside(target);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged.part)?;
        file.write_all(content)?;
        let mode = replaced.as_ref().map_or(mode, |old| old.mode() & MODE);
        if let Some(old) = replaced {
            give(&file, &old)?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(staged)
    }

    /// The name only. What a start that was cut short left under it is removed.
    fn beside(target: &Path) -> Self {
        let mut part = OsString::from(target);
        part.push(format!(".devserver.{}", process::id()));
        let part = PathBuf::from(part);
        let _ = fs::remove_file(&part);
        let target = target.to_owned();
        Self { part, target }
    }

    /// Puts it in place.
    pub fn put(&self) -> io::Result<()> {
        fs::rename(&self.part, &self.target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part);
    }
}

fn give(file: &File, to_owner_of: &Metadata) -> io::Result<()> {
    let (now, old) = (file.metadata()?, to_owner_of);
    if (now.uid(), now.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

/// The file has this content; `mode` counts for a new one only. By rename where that is possible; a file that is a mount of
/// its own can only be written in place.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| is_same(&old, content)) {
        return Ok(());
    }
    let Err(error) = Staged::new(path, content, mode).and_then(|staged| staged.put()) else {
        return Ok(());
    };
    if !path.is_file() {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(content)
}

/// Whether two texts are the same but for newlines at their ends.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let trimmed = |text: &[u8]| {
        let end = text.iter().rposition(|byte| *byte != b'\n');
        end.map_or(0, |last| last + 1)
    };
    one.get(..trimmed(one)) == other.get(..trimmed(other))
}

/// `path` is a symbolic link to `target`, whatever it was before.
pub fn link(target: &Path, path: &Path) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let staged = Staged::beside(path);
    symlink(target, &staged.part)?;
    staged.put()
}

/// The file belongs to root, and nobody else may read or write it.
pub fn close_to_all_but_root(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if (found.uid(), found.gid()) != (0, 0) {
        chown(path, Some(0), Some(0))?;
    }
    if found.mode() & MODE != 0o400 {
        fs::set_permissions(path, Permissions::from_mode(0o400))?;
    }
    Ok(())
}

/// A copy of a program that runs with root's rights whoever calls it.
pub fn install_setuid(program: &Path, path: &Path) -> io::Result<()> {
    let staged = Staged::beside(path);
    fs::copy(program, &staged.part)?;
    chown(&staged.part, Some(0), Some(0))?;
    // Afterwards: a new owner takes the bit away.
    fs::set_permissions(&staged.part, Permissions::from_mode(0o4755))?;
    staged.put()
}

/// The folder is there and has this mode. A symbolic link is followed.
pub fn folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    if fs::metadata(path)?.mode() & MODE == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Whether it is a file that may be run.
pub fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & MODE
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_new_file_has_the_mode_asked_for_and_an_old_one_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shadow");
        replace(&path, b"one\n", 0o440).unwrap();
        assert_eq!(mode(&path), 0o440);
        fs::set_permissions(&path, Permissions::from_mode(0o0)).unwrap();
        replace(&path, b"two\n", 0o644).unwrap();
        assert_eq!(
            (mode(&path), names(folder.path())),
            (0, vec!["shadow".into()])
        );
    }

    #[test]
    fn what_differs_in_newlines_at_its_end_only_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("group");
        fs::write(&path, "root:x:0:").unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        replace(&path, b"root:x:0:\n", 0o644).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), before);
        replace(&path, b"root:x:0:dev\n", 0o644).unwrap();
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        assert!(is_same(b"", b"\n\n") && !is_same(b"a", b"\na"));
    }

    #[test]
    fn a_file_that_never_takes_its_place_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Staged::new(&folder.path().join("passwd"), b"x", 0o644).unwrap());
        assert!(names(folder.path()).is_empty());
        assert!(replace(&folder.path().join("none/passwd"), b"x", 0o644).is_err());
    }

    #[test]
    fn a_link_takes_the_place_of_a_file_and_of_another_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("motd");
        fs::write(&path, "old").unwrap();
        for target in ["/one", "/two", "/two"] {
            link(Path::new(target), &path).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
        }
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn a_folder_gets_its_mode_also_when_it_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/empty");
        folder_twice(&path);
        assert_eq!(mode(&path), 0o1777);
        assert!(!is_program(&path));
    }

    fn folder_twice(path: &Path) {
        folder(path, 0o755).unwrap();
        folder(path, 0o1777).unwrap();
    }
}
