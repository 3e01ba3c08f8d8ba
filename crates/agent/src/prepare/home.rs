//! The home: root changes its top folder only; what is below is the login user's own doing.

mod skeleton;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::unistd::{AccessFlags, access};

use super::Error;
use crate::login_user::{self, ID};
use crate::notice;

const SHARED: &str = "/shared";

/// Only the top folder is ever changed here, and only when its owner is wrong: a volume with a million files starts as fast as
/// an empty one.
pub fn make(home: &Path) -> Result<(), Error> {
    let failed = |source| Error::Home {
        path: home.to_owned(),
        source,
    };
    if fs::symlink_metadata(home).is_ok_and(|found| found.is_symlink()) {
        return Err(Error::HomeIsLink(home.to_owned()));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(home)
        .map_err(failed)?;
    let found = fs::symlink_metadata(home).map_err(failed)?;
    let (user, group) = (found.uid(), found.gid());
    if (user, group) == (ID, ID) {
        return Ok(());
    }
    let changed = lchown(home, Some(ID), Some(ID))
        .and_then(|()| fs::set_permissions(home, Permissions::from_mode(0o755)));
    if changed.is_err() {
        let home = home.display();
        notice::say(&format!(
            "warning: the owner of {home} is {user}:{group} and cannot be changed (read-only volume?)"
        ));
    }
    Ok(())
}

/// This program, filling the home with the rights of the login user.
pub struct Filling(io::Result<Child>);

/// Starts it.
pub fn fill_as_login_user() -> Filling {
    let mut command = Command::new("/proc/self/exe");
    Filling(
        command
            .args(["prepare", "home"])
            .stdin(Stdio::null())
            .spawn(),
    )
}

impl Filling {
    /// Waits for its end; what went wrong in the home it says itself.
    pub fn finish(self) {
        if let Err(error) = self.0.and_then(|mut child| child.wait()) {
            skeleton::say_failed(&error);
        }
    }
}

/// What `fill_as_login_user` starts.
pub fn as_login_user() -> ExitCode {
    if let Err(error) = login_user::drop_rights() {
        skeleton::say_failed(&error);
        return ExitCode::FAILURE;
    }
    fill(&login_user::home());
    ExitCode::SUCCESS
}

/// All of it where nobody is root.
pub fn without_root(home: &Path) {
    if !is_writable(home) {
        notice::say(&format!(
            "warning: {} cannot be written; the storage class does not apply fsGroup, or the volume is read-only",
            home.display()
        ));
    }
    // fsGroup opens a home from before to its group, and ssh refuses such keys. As the user itself: a link is no danger.
    close_to_others(&home.join(".ssh"));
    fill(home);
}

fn fill(home: &Path) {
    skeleton::copy(home);
    let shared = Path::new(SHARED);
    if shared.is_dir() && !is_writable(shared) {
        let name = login_user::name();
        notice::say(&format!("note: {SHARED} is read-only for {name}"));
    }
}

fn is_writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

/// Best effort. Links below the folder are not followed.
fn close_to_others(path: &Path) {
    let Ok(found) = fs::metadata(path) else {
        return;
    };
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let _ = fs::set_permissions(path, Permissions::from_mode(mode & !0o077));
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            close_to_others(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn keys_are_closed_to_others_and_links_among_them_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, other) = (folder.path().join(".ssh"), folder.path().join("other"));
        fs::create_dir_all(keys.join("sub")).unwrap();
        for file in [&keys.join("sub/id"), &other] {
            fs::write(file, "x").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o664)).unwrap();
        }
        symlink(&other, keys.join("link")).unwrap();
        close_to_others(&keys);
        let closed = [
            mode(&keys),
            mode(&keys.join("sub")),
            mode(&keys.join("sub/id")),
        ];
        assert_eq!((closed, mode(&other)), ([0o700, 0o700, 0o600], 0o664));
    }

    #[test]
    fn a_home_that_is_a_link_or_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        symlink(folder.path(), &link).unwrap();
        fs::write(&file, "").unwrap();
        assert!(
            make(&link)
                .unwrap_err()
                .to_string()
                .contains("symbolic link")
        );
        assert!(
            make(&file)
                .unwrap_err()
                .to_string()
                .contains("cannot be made")
        );
    }
}
