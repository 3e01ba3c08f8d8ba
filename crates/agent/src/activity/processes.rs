//! All processes, as `/proc` shows them to the login user.

use std::fs;
use std::path::Path;

use super::terminals;
use crate::procfs;

/// Milliseconds of a tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture there is.
const TICK: u64 = 10;
/// Processes that are looked at, at most.
const MOST: usize = 8192;

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its start, in ticks since boot: with the id it is unique.
    pub start: u64,
    /// Short name.
    pub name: String,
    /// Parent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Number of the controlling terminal.
    pub terminal: Option<u32>,
    /// Process group in the foreground of that terminal.
    pub terminal_group: i32,
    /// Processor time, in milliseconds.
    pub cpu: u64,
    /// Pages in memory.
    pub pages: u64,
}

/// What a process has read and written, where it may be known: of the user's own processes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Io {
    /// Bytes read, from anything.
    pub read: u64,
    /// Bytes written, to anything.
    pub written: u64,
    /// Bytes from and to disks.
    pub disk: u64,
}

impl Process {
    /// Whether it is in the foreground of that terminal.
    pub fn foreground_of(&self, terminal: u32) -> bool {
        self.terminal == Some(terminal) && self.group == self.terminal_group
    }

    /// What it has read and written.
    pub fn io(&self, proc: &Path) -> Option<Io> {
        let text = fs::read_to_string(proc.join(self.pid.to_string()).join("io")).ok()?;
        parse_io(&text)
    }

    /// Whether it is the server of an editor: code-server, or the one that desktop editors put into the home.
    pub fn is_editor(&self, proc: &Path) -> bool {
        if !(self.name == "node" || self.name.starts_with("code") || self.name == "MainThread") {
            return false;
        }
        let line = fs::read(proc.join(self.pid.to_string()).join("cmdline")).unwrap_or_default();
        is_editor(&line)
    }
}

/// Workers of the editor have a `--type`; they read for themselves.
fn is_editor(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    let has = |end: &[u8]| words.iter().any(|word| word.ends_with(end));
    let is_worker = words.iter().any(|word| word.starts_with(b"--type="));
    let is_server =
        has(b"/out/node/entry.js") || has(b"/out/node/entry") || has(b"/out/server-main.js");
    is_server && !is_worker
}

/// All that are there now.
pub fn look(proc: &Path) -> Vec<Process> {
    let all = procfs::stats(proc).take(MOST);
    all.filter_map(|stat| parse(&stat)).collect()
}

/// `proc_pid_stat(5)`; fields are counted from the last bracket, because the name may hold anything.
fn parse(line: &str) -> Option<Process> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, fields) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // The first of these is field 3 in the manual.
    let field = |number: usize| fields.get(number - 3).copied();
    let whole = |number: usize| field(number)?.parse::<u64>().ok();
    let id = |number: usize| field(number)?.parse::<i32>().ok();
    if field(3)? == "Z" {
        return None;
    }
    Some(Process {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        parent: id(4)?,
        group: id(5)?,
        terminal: terminals::number(id(7)?),
        terminal_group: id(8)?,
        cpu: whole(14)?.saturating_add(whole(15)?).saturating_mul(TICK),
        start: whole(22)?,
        pages: whole(24)?,
    })
}

fn parse_io(text: &str) -> Option<Io> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse::<u64>().ok()
    };
    let disk = value("read_bytes:")?.saturating_add(value("write_bytes:")?);
    Some(Io {
        read: value("rchar:")?,
        written: value("wchar:")?,
        disk,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name_of_the_program() {
        let line = "42 (a) S 1 (b) R 41 40 39 34817 40 4194304 1 0 0 0 30 12 0 0 20 0 1 0 777 1000000 250 1";
        let process = parse(line).unwrap();
        assert_eq!((process.pid, process.parent, process.group), (42, 41, 40));
        assert_eq!((process.cpu, process.start, process.pages), (420, 777, 250));
        assert!(process.foreground_of(1) && !process.foreground_of(0));
        assert_eq!(parse(&line.replace(" R 41", " Z 41")), None);
        assert_eq!(parse("42 (a) R 1"), None);
    }

    #[test]
    fn this_very_process_is_found_with_its_reads() {
        let proc = Path::new("/proc");
        let own = i32::try_from(std::process::id()).unwrap();
        let found = look(proc).into_iter().find(|p| p.pid == own).unwrap();
        let before = found.io(proc).unwrap();
        fs::read("/proc/version").unwrap();
        assert!(found.io(proc).unwrap().read > before.read);
        assert!(found.pages > 0 && !found.is_editor(proc));
    }

    #[test]
    fn editors_are_known_by_what_they_run_and_their_workers_left_out() {
        let line = |words: &[&str]| is_editor(words.join("\0").as_bytes());
        assert!(line(&[
            "/opt/devserver-editor/bin/node",
            "/opt/devserver-editor/code-server/out/node/entry.js",
            "--auth"
        ]));
        assert!(line(&[
            "/home/dev/.vscode-server/bin/x/node",
            "/home/dev/.vscode-server/bin/x/out/server-main.js",
            "--host"
        ]));
        assert!(!line(&[
            "node",
            "/x/out/server-main.js",
            "--type=extensionHost"
        ]));
        assert!(!line(&["node", "/home/dev/app/server.js"]));
    }
}
