//! Locks between processes: one per lab, one for choosing addresses, one per cache entry.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{At, Error};

/// A lock that is held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Lock {
    /// Waits for the lock at this path and takes it.
    pub fn acquire(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).at("make the folder", parent)?;
        }
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path);
            let file = file.at("open the lock", &path)?;
            let file = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| errno.into())
                .at("take the lock", &path)?;
            // Who had it before may have removed the file while we waited: then ours locks nothing.
            if same_file(&file, &path) {
                return Ok(Self { path, _file: file });
            }
        }
    }

    /// Removes the file and lets go. Whoever waits notices and makes a new one.
    pub fn remove(self) {
        // A file that cannot be removed is harmless: it is only a place to meet.
        let _ = fs::remove_file(&self.path);
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_lock_is_not_shared_with_the_one_made_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::acquire(&path).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::acquire(path).unwrap()
        });
        first.remove();
        let second = waiting.join().unwrap();
        assert!(second.path.exists());
    }
}
