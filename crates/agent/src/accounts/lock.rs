//! The lock files of useradd and its kin, which may run from a container hook at this moment.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::tables::Table;
use crate::notice;

/// How long one that is alive is waited for, in seconds.
const PATIENCE: u32 = 10;

/// The locks taken; released when dropped.
#[derive(Debug)]
pub struct Locks(Vec<PathBuf>);

impl Locks {
    /// Waits for those who hold one. Where none can be made, in a read-only folder, it goes on without: whether that matters,
    /// the write will tell.
    pub fn take(folder: &Path) -> Self {
        let mut locks = Self(Vec::new());
        for table in Table::ALL {
            let lock = folder.join(format!("{}.lock", table.name()));
            if !take(&lock) {
                break;
            }
            locks.0.push(lock);
        }
        locks
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        for lock in &self.0 {
            let _ = fs::remove_file(lock);
        }
    }
}

fn take(lock: &Path) -> bool {
    let mut waited = 0;
    loop {
        match OpenOptions::new().write(true).create_new(true).open(lock) {
            Ok(mut file) => {
                let _ = writeln!(file, "{}", std::process::id());
                return true;
            }
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return false,
            Err(_) => {}
        }
        let holder = match fs::read(lock) {
            // Released just now; a link that leads nowhere is held by nobody.
            Err(error) if error.kind() == ErrorKind::NotFound && !lock.is_symlink() => continue,
            holder => holder.unwrap_or_default(),
        };
        if waited < PATIENCE && is_alive(&holder) {
            thread::sleep(Duration::from_secs(1));
            waited += 1;
            continue;
        }
        notice::say(&format!("removing the stale lock {}", lock.display()));
        match fs::remove_file(lock) {
            Err(error) if error.kind() != ErrorKind::NotFound => return false,
            _ => {}
        }
    }
}

/// A lock names the process that holds it; the tools end that with a zero byte.
fn is_alive(holder: &[u8]) -> bool {
    let text = String::from_utf8_lossy(holder);
    let id = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let id = id.parse().ok().filter(|id: &i32| *id > 0);
    id.is_some_and(|id| kill(Pid::from_raw(id), None).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tables_are_locked_and_released_again() {
        let folder = tempfile::tempdir().unwrap();
        let locks = Locks::take(folder.path());
        let own = fs::read_to_string(folder.path().join("gshadow.lock")).unwrap();
        assert_eq!(own.trim(), std::process::id().to_string());
        drop(locks);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_of_a_process_that_is_gone_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("passwd.lock"), "4194305").unwrap();
        assert_eq!(Locks::take(folder.path()).0.len(), 4);
    }

    #[test]
    fn a_lock_that_is_a_link_to_nothing_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("passwd.lock");
        std::os::unix::fs::symlink("/nonexistent", &lock).unwrap();
        assert_eq!(Locks::take(folder.path()).0.len(), 4);
        assert!(!lock.is_symlink());
    }

    #[test]
    fn where_no_lock_can_be_made_there_is_none() {
        assert!(Locks::take(Path::new("/nonexistent")).0.is_empty());
    }

    #[test]
    fn the_holder_is_told_by_its_id() {
        let own = std::process::id();
        assert!(is_alive(format!("{own}\n").as_bytes()) && is_alive(format!("{own}\0").as_bytes()));
        assert!(!is_alive(b"") && !is_alive(b"0") && !is_alive(b"-1") && !is_alive(b"x"));
    }
}
