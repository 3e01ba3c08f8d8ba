//! Terminals: when somebody typed, when something was printed, and which program is in the foreground.
//!
//! The kernel sets the access time of `/dev/pts/N` when a program reads input from it (`tty_read`), the modification time
//! when a program writes to it (`tty_write`). Output, resizing, keepalives of ssh and a connection that is only open move
//! neither of them into the access time. Both are kept to eight seconds.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use devserver_activity::Foreground;
use jiff::Timestamp;

use super::processes::Process;

/// Where they are.
pub const FOLDER: &str = "/dev/pts";
/// Shells: in the foreground they wait for the next command.
const SHELLS: [&str; 14] = [
    "ash",
    "bash",
    "busybox",
    "csh",
    "dash",
    "elvish",
    "fish",
    "ksh",
    "login-shell",
    "mksh",
    "nu",
    "sh",
    "tcsh",
    "zsh",
];
/// Seconds to which the kernel keeps the times of terminals.
const GRAIN: i64 = 8;
/// First half of the device numbers of pseudo-terminals (`Documentation/admin-guide/devices.txt`).
const MAJORS: std::ops::RangeInclusive<u64> = 136..=143;

/// One terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Its number.
    pub number: u32,
    /// When input was last read from it, in seconds since 1970.
    pub input: i64,
    /// When something was last written to it.
    pub output: i64,
    /// When it was made, or given to somebody.
    pub made: i64,
}

/// The terminals that are there now.
pub fn look(folder: &Path) -> Vec<Terminal> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let found = fs::symlink_metadata(entry.path()).ok()?;
            found.file_type().is_char_device().then(|| Terminal {
                number,
                input: found.atime(),
                output: found.mtime(),
                made: found.ctime(),
            })
        })
        .collect()
}

/// What was seen of the input before.
#[derive(Debug, Default)]
pub struct Inputs {
    /// By terminal.
    seen: HashMap<u32, i64>,
    last: Option<i64>,
    count: u64,
}

impl Inputs {
    /// Takes a look into account: an access time that has moved means that somebody typed.
    pub fn take(&mut self, terminals: &[Terminal]) {
        let mut is_new = false;
        for terminal in terminals {
            let before = self.seen.insert(terminal.number, terminal.input);
            // To open one is not to type: clients on locked laptops come back by themselves.
            if terminal.input > before.unwrap_or(terminal.made + GRAIN) {
                is_new = true;
                self.last = self.last.max(Some(terminal.input));
            }
        }
        self.seen
            .retain(|number, _| terminals.iter().any(|t| t.number == *number));
        self.count += u64::from(is_new);
    }

    /// When somebody typed last, and how many looks saw it.
    pub fn seen(&self) -> (Option<i64>, u64) {
        (self.last, self.count)
    }
}

/// The programs in the foreground of the terminals, but for shells, by terminal and process group.
pub fn foreground(
    terminals: &[Terminal],
    processes: &[Process],
    known: &mut HashMap<(u32, i32), Timestamp>,
    now: Timestamp,
) -> Vec<Foreground> {
    let mut found = Vec::new();
    let mut there = HashMap::new();
    for terminal in terminals {
        // The leader of the group is the first program of a pipeline; when it has ended, any other will do.
        let leader = processes
            .iter()
            .filter(|p| p.foreground_of(terminal.number))
            .min_by_key(|p| (p.pid != p.group, p.pid));
        let Some(process) = leader.filter(|p| !is_shell(&p.name)) else {
            continue;
        };
        let key = (terminal.number, process.group);
        let since = known.get(&key).copied().unwrap_or(now);
        there.insert(key, since);
        found.push(Foreground {
            program: process.name.clone(),
            terminal: terminal.number,
            since,
            last_output: Timestamp::from_second(terminal.output).ok(),
        });
    }
    *known = there;
    found
}

/// Whether a program with this name is a shell.
pub fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name.trim_start_matches('-'))
}

/// The number of the pseudo-terminal with this device number, as `/proc/PID/stat` has it.
pub fn number(device: i32) -> Option<u32> {
    let device = u64::from(device.cast_unsigned());
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    );
    let block = major.checked_sub(*MAJORS.start())?;
    MAJORS.contains(&major).then_some(())?;
    u32::try_from(block * 256 + minor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_terminals_come_from_their_devices() {
        assert_eq!(number(34816), Some(0), "136:0");
        assert_eq!(number(34816 + 7), Some(7));
        assert_eq!(number((137 << 8) + 1), Some(257));
        for other in [0, 1025, -1] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn input_is_what_moves_the_access_time_and_to_open_a_terminal_is_none() {
        let terminal = |number, input| Terminal {
            number,
            input,
            output: 9999,
            made: 100,
        };
        let mut inputs = Inputs::default();
        inputs.take(&[terminal(0, 100), terminal(1, 108)]);
        inputs.take(&[terminal(0, 100), terminal(1, 108)]);
        assert_eq!(inputs.seen(), (None, 0));
        inputs.take(&[terminal(0, 100), terminal(1, 160)]);
        assert_eq!(inputs.seen(), (Some(160), 1));
        inputs.take(&[terminal(0, 100), terminal(2, 150)]);
        assert_eq!(
            inputs.seen(),
            (Some(160), 2),
            "one that was used before it was first looked at"
        );
        assert_eq!(inputs.seen.len(), 2);
    }
}
