//! Keeps the editor running: started as the login user when the environment is prepared, and again, later and later, when it
//! ends. What it says stands in the container's log, each line marked.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::children::Children;
use crate::health::Health;
use crate::{login_user, notice};

const SCRIPT: &str = "/opt/devserver/libexec/start-editor";
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// One that ran this long was not broken: the next wait is the first again.
const STEADY: Duration = Duration::from_secs(60);
/// Longest line that is kept whole, so that no output fills the memory.
const LONGEST_LINE: u64 = 8192;

/// Runs it from a thread of its own until the process ends.
pub fn watch(children: Arc<Children>, health: Arc<Health>) -> io::Result<()> {
    let watch = move || {
        // Before that the accounts and the home are being made.
        while health.check().is_err() {
            thread::sleep(Duration::from_millis(100));
        }
        let mut wait = FIRST_WAIT;
        while !health.is_ending() {
            let begun = Instant::now();
            let status = run(&children);
            if health.is_ending() {
                return;
            }
            wait = next_wait(wait, begun.elapsed());
            let seconds = wait.as_secs();
            notice::log(&json!({"event": "editor", "status": status, "again_in_seconds": seconds}));
            thread::sleep(wait);
        }
    };
    thread::Builder::new().name("editor".into()).spawn(watch)?;
    Ok(())
}

/// How long to wait after one that ran for `ran`, when the wait before was `wait`.
fn next_wait(wait: Duration, ran: Duration) -> Duration {
    if ran >= STEADY {
        return FIRST_WAIT;
    }
    (wait * 2).min(LONGEST_WAIT)
}

/// Its exit status; `None` when it could not be started.
fn run(children: &Children) -> Option<u8> {
    let started = io::pipe().and_then(|(reader, writer)| {
        let mut command = login_user::quiet_command("/bin/sh", &[SCRIPT.to_owned()]);
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        Ok((reader, children.start(&mut command)?))
    });
    match started {
        Ok((reader, started)) => {
            // It goes on as long as anything that was started in the editor holds the other end.
            let _ = thread::Builder::new()
                .name("editor log".into())
                .spawn(move || log(reader));
            started.ended.recv().ok()
        }
        Err(error) => {
            eprintln!("devserver-agent: failed to start the editor: {error}");
            None
        }
    }
}

fn log(reader: PipeReader) {
    let mut reader = BufReader::new(reader);
    while let Ok(Some(line)) = next_line(&mut reader) {
        if !line.is_empty() {
            eprintln!("editor: {line}");
        }
    }
}

/// The next line, or the part of it that fits; `None` at the end.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = reader.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    let text = String::from_utf8_lossy(&line);
    Ok((count > 0).then(|| text.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_that_keeps_ending_is_started_later_and_later() {
        let mut wait = FIRST_WAIT;
        let mut waits = Vec::new();
        for _ in 0..8 {
            wait = next_wait(wait, Duration::from_secs(1));
            waits.push(wait.as_secs());
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(next_wait(wait, STEADY), FIRST_WAIT);
    }

    #[test]
    fn lines_come_whole_and_endless_ones_in_parts() {
        let text = format!("one\r\n\n{}", "x".repeat(10_000));
        let mut reader = text.as_bytes();
        let mut lengths = Vec::new();
        while let Some(line) = next_line(&mut reader).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [3, 0, 8192, 10_000 - 8192]);
    }
}
