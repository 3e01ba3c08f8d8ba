//! What files tell: the editor's heartbeat and history, leases, and how full volumes are.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use devserver_activity::Disk;
use nix::sys::statvfs::statvfs;

/// Entries of a folder that are looked at.
const MOST: usize = 4096;
/// The editor in the browser, and what desktop editors bring along.
const EDITORS: [&str; 4] = [
    ".local/share/code-server",
    ".vscode-server/data",
    ".cursor-server/data",
    ".vscode-server-oss/data",
];

/// code-server touches it each minute while a page is open.
pub fn heartbeat(home: &Path) -> Option<i64> {
    modified(&home.join(".local/share/code-server/heartbeat"))
}

/// When a file was last kept in an editor's history, or something unsaved among its backups. Each file of the history has a
/// folder, whose time moves with each version; what is unsaved is in files below a folder for each workspace.
pub fn edited(home: &Path) -> Option<i64> {
    EDITORS
        .iter()
        .flat_map(|editor| {
            let data = home.join(editor);
            [
                newest(&data.join("User/History"), 0),
                newest(&data.join("Backups"), 2),
            ]
        })
        .flatten()
        .max()
}

/// The newest time of what is in a folder, and so many levels below it.
fn newest(folder: &Path, levels: u8) -> Option<i64> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .take(MOST)
        .filter_map(|entry| {
            let path = entry.path();
            let below = if levels > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                newest(&path, levels - 1)
            } else {
                None
            };
            modified(&path).max(below)
        })
        .max()
}

fn modified(path: &Path) -> Option<i64> {
    fs::symlink_metadata(path).ok().map(|found| found.mtime())
}

/// How full the volume at `path` is. Blocks that only root may use count as used: the user cannot write there.
pub fn disk(path: &Path) -> Option<Disk> {
    let found = statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
    let total = bytes(found.blocks());
    let used = total.saturating_sub(bytes(found.blocks_available()));
    (total > 0).then_some(Disk { total, used })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn touch(path: &Path, second: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(second))
            .unwrap();
    }

    #[test]
    fn a_heartbeat_is_no_edit_and_unsaved_work_is_one() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!((heartbeat(home.path()), edited(home.path())), (None, None));
        let data = home.path().join(".local/share/code-server");
        touch(&data.join("heartbeat"), 500);
        assert_eq!(
            (heartbeat(home.path()), edited(home.path())),
            (Some(500), None)
        );
        touch(&data.join("Backups/1/file/x"), 4_000_000_000);
        assert_eq!(edited(home.path()), Some(4_000_000_000));
        fs::create_dir_all(home.path().join(".vscode-server/data/User/History/-6f")).unwrap();
        assert!(edited(home.path()).is_some());
    }

    #[test]
    fn a_volume_has_a_size_and_no_more_in_use_than_that() {
        let disk = disk(Path::new("/")).unwrap();
        assert!(disk.total > disk.used && disk.used > 0, "{disk:?}");
    }
}
