//! Words to people: a line on every terminal, and the reason Kubernetes shows for a dead container.

use std::fs::{self, FileTimes, OpenOptions};
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

/// Writes one line to a terminal, if it takes it. When something was last printed there stays as it was: what is told to people
/// is no sign of life of the program that they left in the foreground.
pub fn tell(terminal: &Path, line: &str) {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags((OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
        .open(terminal);
    if let Ok(mut file) = file {
        let printed = file.metadata().and_then(|found| found.modified());
        let _ = write!(file, "\r\n{line}\r\n");
        if let Ok(printed) = printed {
            let _ = file.set_times(FileTimes::new().set_modified(printed));
        }
    }
}

/// What the start of the environment has to say, in the container's log.
pub fn say(text: &str) {
    eprintln!("startup: {text}");
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
    use std::fs::File;
    use std::io::Read as _;
    use std::time::{Duration, SystemTime};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn a_line_is_shown_and_is_no_output_of_a_program() {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let terminal = ptsname(&controller, Vec::new()).unwrap();
        let terminal = PathBuf::from(terminal.into_string().unwrap());
        // Somebody has it open, or what is written is lost.
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(&terminal)
            .unwrap();
        // Terminals have whole seconds.
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let hour_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs() - 3600);
        let times = FileTimes::new()
            .set_modified(hour_ago)
            .set_accessed(hour_ago);
        open.set_times(times).unwrap();
        tell(&terminal, "*** words ***");
        let mut shown = [0; 64];
        let count = File::from(controller).read(&mut shown).unwrap();
        let shown = String::from_utf8_lossy(&shown[..count]).into_owned();
        assert!(shown.contains("*** words ***"), "{shown:?}");
        let found = open.metadata().unwrap();
        assert_eq!(found.modified().unwrap(), hour_ago);
        assert_eq!(found.accessed().unwrap(), hour_ago, "it is no input");
    }

    #[test]
    fn only_numbered_devices_are_terminals() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0"), "a file, not a device").unwrap();
        fs::write(folder.path().join("ptmx"), "").unwrap();
        assert!(terminals_in(folder.path()).is_empty());
        assert!(terminals_in(Path::new("/nonexistent")).is_empty());
    }
}
