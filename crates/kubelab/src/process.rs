//! Daemons of a lab: started detached inside its namespace and cgroup, known by process id and start time.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

use crate::{
    command::tail,
    error::{At, Ended, Error},
    paths::LabDir,
};

/// Enters the cgroup, leaves the session, enters the namespace, becomes the program: the process id stays the same
/// all the way, so that the one `spawn` gives is the daemon's. Not `ip netns exec`: it hides the host's cgroups.
const ENTER: &str = r#"echo $$ >"$1"; ns=$2; shift 2; exec setsid nsenter --net="$ns" -- "$@""#;

/// A program of the lab and how to call it.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name in logs, pid files and messages.
    pub name: &'static str,
    /// The program's file.
    pub program: std::path::PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment on top of ours.
    pub env: Vec<(&'static str, String)>,
}

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// Its start in clock ticks since boot.
    pub started: u64,
}

impl Identity {
    /// The running process of this id, if there is one.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            started: start_time(&stat)?,
        })
    }

    /// Whether this very process still runs.
    pub fn is_alive(self) -> bool {
        reap(self.pid);
        Self::of(self.pid) == Some(self)
    }

    /// Kills this very process, and no other that got its id since.
    pub fn kill(self) {
        if self.is_alive() {
            // It may end by itself in between.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Reads a pid file.
    pub fn load(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            started: started.parse().ok()?,
        })
    }

    fn save(self, path: &Path) -> Result<(), Error> {
        fs::write(path, format!("{} {}\n", self.pid, self.started)).at("write", path)
    }
}

/// A started component.
#[derive(Clone, Copy, Debug)]
pub struct Daemon {
    /// The component's name.
    pub name: &'static str,
    /// The process.
    pub identity: Identity,
}

/// Starts a component and writes its pid file. Its output goes to its log.
pub fn start(
    dir: &LabDir,
    scope: &str,
    procs: &Path,
    component: &Component,
) -> Result<Daemon, Error> {
    let log = dir.log(component.name);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .at("open", &log)?;
    let copy = file.try_clone().at("open", &log)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", ENTER, "sh"])
        .arg(procs)
        .arg(Path::new("/run/netns").join(scope))
        .arg(&component.program)
        .args(&component.args)
        .envs(component.env.iter().map(|(key, value)| (key, value)))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy);
    let failed = |status| Error::Command {
        command: component.program.display().to_string(),
        status,
        output: String::new(),
    };
    // Never waited for: daemons outlive us, and `reap` collects those that end before.
    let child = command
        .spawn()
        .map_err(|error| failed(Ended::NotStarted(error)))?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let Some(identity) = Identity::of(pid) else {
        return Err(died(dir, component.name));
    };
    identity.save(&dir.pid_file(component.name))?;
    Ok(Daemon {
        name: component.name,
        identity,
    })
}

/// The error for a component that ended by itself.
pub fn died(dir: &LabDir, component: &str) -> Error {
    let log = dir.log(component);
    Error::Died {
        component: component.to_owned(),
        tail: log_tail(&log),
        log,
    }
}

/// The last twenty lines of a log.
pub fn log_tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let end = bytes
        .get(bytes.len().saturating_sub(16_384)..)
        .unwrap_or_default();
    let tail = tail(&String::from_utf8_lossy(end), 20);
    if tail.is_empty() {
        " nothing, as it is empty".to_owned()
    } else {
        tail
    }
}

/// Collects a child of ours that has ended, so that it does not stay as a zombie. Does nothing for any other process.
pub fn reap(pid: i32) {
    let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
}

/// The start time in a line of `/proc/<pid>/stat`; nothing for a zombie. The name in it may hold blanks and brackets.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    // The state is field 3 of the manual page, the start time field 22.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a b) c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";

    #[test]
    fn start_time_is_found_behind_a_name_with_brackets() {
        assert_eq!(start_time(STAT), Some(98_765));
    }

    #[test]
    fn a_zombie_is_not_running() {
        assert_eq!(start_time(&STAT.replace(") S", ") Z")), None);
    }

    #[test]
    fn a_process_with_another_start_time_is_another_process() {
        let me = Identity::of(std::process::id().cast_signed()).unwrap();
        assert!(me.is_alive());
        let earlier = Identity {
            started: me.started - 1,
            ..me
        };
        assert!(!earlier.is_alive());
        earlier.kill();
        assert!(me.is_alive());
    }

    #[test]
    fn pid_files_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd");
        let identity = Identity {
            pid: 7,
            started: 11,
        };
        identity.save(&path).unwrap();
        assert_eq!(Identity::load(&path), Some(identity));
        fs::write(&path, "7").unwrap();
        assert_eq!(Identity::load(&path), None);
    }
}
