//! Leases that somebody takes inside: `devctl hold 4h`, `devctl hold --for 6h -- make train`. Each is a small file outside of the
//! home, which goes with the container; the operator bounds what it is worth.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use devserver_activity::Hold;
use jiff::{SignedDuration, Timestamp};
use nix::fcntl::OFlag;
use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// Names another folder, for tests.
const VARIABLE: &str = "DEVSERVER_HOLDS";
/// Made at the start of the container, with the rights of `/tmp`.
const SHARED: &str = "/run/devserver-holds";
/// Where there is none.
const FALLBACK: &str = "/tmp/devserver-holds";
/// Leases that are read at most.
const MOST: usize = 64;
const LONGEST_FILE: u64 = 4096;
/// Characters of the command that are kept.
const LONGEST_WHAT: usize = 120;

/// A lease as it stands in its file.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    #[serde(flatten)]
    hold: Hold,
    /// The process it ends with; absent: with its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
}

/// Takes a lease for so many seconds from now, and says until when.
pub fn hold(seconds: u64) -> Result<()> {
    let lease = lease(seconds, String::new(), None)?;
    let until = lease.hold.until;
    write(&folder(), &lease)?;
    println!(
        "This environment is held until {until}, as far as the platform allows; see: devctl why"
    );
    Ok(())
}

/// Runs a program and holds the environment as long as it runs, at most for so many seconds. Returns its exit status.
pub fn hold_while(seconds: u64, program: &OsString, arguments: &[OsString]) -> Result<u8> {
    let words = std::iter::once(program).chain(arguments);
    let what: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let what: String = what.join(" ").chars().take(LONGEST_WHAT).collect();
    // Keys and hang-ups are the program's to answer: it is in the same group. We stay to take the lease back.
    let _ignored = [SIGINT, SIGQUIT, SIGHUP, SIGTERM].map(ignore);
    let mut child = Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("failed to start {}", program.display()))?;
    let own = i32::try_from(std::process::id()).ok();
    let file = write(&folder(), &lease(seconds, what, own)?);
    if let Err(error) = &file {
        eprintln!("devserver-agent: {error:#}; the program runs without a lease");
    }
    let status = child.wait().context("failed to wait for the program")?;
    if let Ok(file) = file {
        let _ = fs::remove_file(file);
    }
    let killed = status
        .signal()
        .and_then(|signal| u8::try_from(128 + signal).ok());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(killed.or(code).unwrap_or(u8::MAX))
}

/// A handler that does nothing: unlike an ignored signal it is not handed down to the program.
fn ignore(signal: i32) -> io::Result<signal_hook::SigId> {
    signal_hook::flag::register(signal, std::sync::Arc::default())
}

fn lease(seconds: u64, what: String, pid: Option<i32>) -> Result<Lease> {
    let since = Timestamp::from_second(Timestamp::now().as_second())?;
    let span = SignedDuration::from_secs(i64::try_from(seconds)?);
    let until = since
        .checked_add(span)
        .context("that is further away than anything can be held")?;
    Ok(Lease {
        hold: Hold {
            by: who(),
            what,
            since,
            until,
        },
        pid,
    })
}

fn who() -> String {
    let own = Uid::current();
    let known = User::from_uid(own).ok().flatten();
    known.map_or_else(|| format!("uid {own}"), |user| user.name)
}

/// Where leases are.
pub fn folder() -> PathBuf {
    match env::var_os(VARIABLE) {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ if Path::new(SHARED).is_dir() => SHARED.into(),
        _ => FALLBACK.into(),
    }
}

/// Whole or not at all: it is made under another name.
fn write(folder: &Path, lease: &Lease) -> Result<PathBuf> {
    match DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("failed to make {}", folder.display()));
        }
        _ => {}
    }
    let name = format!(
        "{}-{}",
        std::process::id(),
        Timestamp::now().as_nanosecond()
    );
    let (part, file) = (
        folder.join(format!(".{name}")),
        folder.join(format!("{name}.json")),
    );
    let written = || -> Result<()> {
        let mut open = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&part)?;
        open.write_all(&serde_json::to_vec(lease)?)?;
        fs::rename(&part, &file)?;
        Ok(())
    };
    written().with_context(|| format!("failed to write {}", file.display()))?;
    Ok(file)
}

/// The leases that are in force. Those that are over are removed, where that is allowed.
pub fn look(folder: &Path, now: Timestamp) -> Vec<Hold> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "json"))
        .take(MOST)
        .filter_map(|entry| {
            let lease = read(&entry.path())?;
            let is_running = lease
                .pid
                .is_none_or(|pid| Path::new(&format!("/proc/{pid}")).exists());
            if lease.hold.until <= now || !is_running {
                let _ = fs::remove_file(entry.path());
                return None;
            }
            Some(lease.hold)
        })
        .collect()
}

/// Links and pipes that somebody may have put there are left alone.
fn read(path: &Path) -> Option<Lease> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(LONGEST_FILE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_seen_until_its_time_or_its_process_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("holds");
        let own = i32::try_from(std::process::id()).unwrap();
        write(&at, &lease(3600, String::new(), None).unwrap()).unwrap();
        write(&at, &lease(60, "make train".into(), Some(own)).unwrap()).unwrap();
        write(&at, &lease(60, "gone".into(), Some(i32::MAX)).unwrap()).unwrap();
        let now = Timestamp::now();
        let mut found = look(&at, now);
        found.sort_by_key(|hold| hold.until);
        assert_eq!(
            found
                .iter()
                .map(|hold| hold.what.as_str())
                .collect::<Vec<_>>(),
            ["make train", ""]
        );
        assert_eq!(look(&at, now + SignedDuration::from_mins(2)).len(), 1);
        assert_eq!(look(&at, now + SignedDuration::from_hours(2)).len(), 0);
        assert_eq!(
            fs::read_dir(&at).unwrap().count(),
            0,
            "what is over is removed"
        );
        assert_eq!(look(Path::new("/nonexistent"), now), []);
    }

    #[test]
    fn links_pipes_and_rubbish_are_no_leases() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("a.json")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("b.json"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        fs::write(folder.path().join("c.json"), "{").unwrap();
        assert_eq!(look(folder.path(), Timestamp::now()), []);
    }
}
