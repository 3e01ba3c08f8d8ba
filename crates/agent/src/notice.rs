//! Words to people: a line on every terminal, and the reason Kubernetes shows for a dead container.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

const TERMINALS: &str = "/dev/pts";
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Writes one line to every logged-in terminal. Best effort: a terminal that does not take it is
/// skipped, because a stopped one must not hold up the shutdown.
pub fn tell_terminals(line: &str) {
    for terminal in terminals() {
        tell(&terminal, line);
    }
}

/// Writes one line to a terminal, if it takes it.
pub fn tell(terminal: &Path, line: &str) {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags((OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
        .open(terminal);
    if let Ok(mut file) = file {
        let _ = write!(file, "\r\n{line}\r\n");
    }
}

/// The terminals that are open now.
pub fn terminals() -> Vec<PathBuf> {
    terminals_in(Path::new(TERMINALS))
}

/// Something that happened, as one line of JSON for whoever collects the container's log.
pub fn log(event: &serde_json::Value) {
    eprintln!("{event}");
}

/// The numbered devices; `ptmx`, beside them, makes new terminals and is not one.
fn terminals_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let is_numbered = entry
                .file_name()
                .to_str()
                .is_some_and(|n| n.parse::<u32>().is_ok());
            is_numbered && entry.file_type().is_ok_and(|kind| kind.is_char_device())
        })
        .map(|entry| entry.path())
        .collect()
}

/// Leaves `text` where the kubelet reads the reason of a container's end. Only an existing file is
/// written: outside a pod there is none, and none must appear.
pub fn write_termination_log(text: &str) {
    if let Ok(mut file) = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(TERMINATION_LOG)
    {
        let _ = writeln!(file, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_devices_are_terminals() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0"), "a file, not a device").unwrap();
        fs::write(folder.path().join("ptmx"), "").unwrap();
        assert!(terminals_in(folder.path()).is_empty());
        assert!(terminals_in(Path::new("/nonexistent")).is_empty());
    }
}
