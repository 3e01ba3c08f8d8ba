//! Runs a program of the environment that may hang or never stop talking.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The beginning of what it prints, at most `limit` bytes; `None` when it cannot be run, fails or takes too long. Whatever
/// it has started ends with it.
pub fn output(command: &mut Command, patience: Duration, limit: u64) -> Option<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let group = Pid::from_raw(child.id().cast_signed());
    let out = child.stdout.take()?;
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.take(limit).read_to_end(&mut text);
        text
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            Ok(status) => break status,
            Err(_) => break None,
        }
    };
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
    let text = reader.join().ok()?;
    let is_cut = u64::try_from(text.len()).is_ok_and(|length| length >= limit);
    let is_fine = is_cut || status.is_some_and(|status| status.success());
    is_fine.then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Option<String> {
        output(
            Command::new("/bin/sh").args(["-c", script]),
            Duration::from_secs(2),
            1000,
        )
    }

    #[test]
    fn what_it_prints_is_returned_and_failures_hangs_and_floods_are_bounded() {
        assert_eq!(shell("echo one; echo two").as_deref(), Some("one\ntwo\n"));
        assert_eq!(shell("echo one; exit 3"), None);
        assert_eq!(
            output(&mut Command::new("/nonexistent"), Duration::from_secs(1), 1),
            None
        );
        let begun = Instant::now();
        assert_eq!(shell("sleep 100 & sleep 100"), None);
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(shell("yes").map(|text| text.len()), Some(1000));
    }
}
