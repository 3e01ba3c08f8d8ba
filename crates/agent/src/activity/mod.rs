//! What is going on in the environment, for the operator's idle policy.
//!
//! ```text
//! first process ──pipe── collector (login user): /proc, cgroup, /dev/pts, home ─► one report in each line
//!       └── GET /activity, with the operator's token
//! ```
//!
//! All that is read is the user's to shape, so a process with the user's rights reads it, and the first process takes only
//! the bounded text of a report. The user can end or deceive the collector: then the operator hears nothing, or what the user
//! wants it to hear about this one environment. Nothing is collected where the operator has not asked for it.

mod cgroup;
mod collect;
mod counters;
mod git;
mod gpu;
mod holds;
mod home;
mod notices;
mod processes;
mod run;
mod terminals;
mod warn;

use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use devserver_activity::{LONGEST_REPORT, Notice, Report, digest};
use jiff::Timestamp;
use nix::sys::signal::{Signal, killpg};
use serde::Deserialize;
use serde_json::json;

use crate::children::Children;
use crate::{login_user, notice};

pub use collect::run as collect;
pub use holds::{hold, hold_while};

/// There is one where the operator wants reports.
const FILE: &str = "/etc/devserver/sshd/activity.json";
/// How often the file is looked for.
const LOOK: Duration = Duration::from_secs(10);
/// Wait before a collector that has ended is started again.
const AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Access {
    /// Digest of the operator's token for this environment.
    token_sha256: String,
}

/// The newest report, shared with the endpoint, and what people were told.
#[derive(Debug, Default)]
pub struct Latest {
    report: Mutex<Option<Report>>,
    notices: notices::Notices,
    /// Name of the DevServer, for messages.
    name: String,
}

/// What the endpoint has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Reports are not wanted here.
    Nowhere,
    /// Not the operator.
    Denied,
    /// None was made yet.
    NotYet,
    /// The newest report.
    Report(String),
}

impl Latest {
    /// Of the DevServer of that name.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The answer to somebody who presented this token; and what the operator has people told is told.
    pub fn answer(&self, presented: Option<&str>, notice: Option<&str>) -> Answer {
        let answer = self.answer_with(access(Path::new(FILE)), presented);
        if matches!(answer, Answer::Report(_) | Answer::NotYet)
            && let Some(news) = notice.and_then(Notice::parse)
            && let Some(line) = self.notices.take(&news, &self.name, Timestamp::now())
        {
            notice::tell_terminals(&line);
        }
        answer
    }

    fn answer_with(&self, access: Option<Access>, presented: Option<&str>) -> Answer {
        let Some(access) = access else {
            return Answer::Nowhere;
        };
        let is_operator = presented
            .is_some_and(|token| !token.is_empty() && digest(token) == access.token_sha256);
        if !is_operator {
            return Answer::Denied;
        }
        let Some(mut report) = self.lock().clone() else {
            return Answer::NotYet;
        };
        // When the collector hangs, the distance between the two tells.
        report.at = Timestamp::now();
        report.bound();
        serde_json::to_string(&report).map_or(Answer::NotYet, Answer::Report)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Report>> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` where there is no file, and where it is not understood: then nobody may ask.
fn access(file: &Path) -> Option<Access> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Keeps a collector running, from a thread of its own, as long as reports are wanted.
pub fn watch(children: Arc<Children>, latest: Arc<Latest>, name: String) -> io::Result<()> {
    let watch = move || {
        let mut warned = warn::Warned::default();
        loop {
            if !Path::new(FILE).exists() {
                *latest.lock() = None;
                thread::sleep(LOOK);
                continue;
            }
            let begun = Instant::now();
            let tell = |report: &Report| warned.look(report, &name);
            let ended = collect_once(&children, &latest, tell);
            notice::log(
                &json!({"event": "activity", "collector": ended, "seconds": begun.elapsed().as_secs()}),
            );
            thread::sleep(AGAIN);
        }
    };
    thread::Builder::new()
        .name("activity".into())
        .spawn(watch)?;
    Ok(())
}

/// One collector, until it ends or is no longer wanted.
fn collect_once(children: &Children, latest: &Latest, mut tell: impl FnMut(&Report)) -> String {
    let started = io::pipe().and_then(|(reader, writer)| {
        let mut command = login_user::own_command("collect");
        command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::inherit());
        Ok((reader, children.start(&mut command)?))
    });
    let (reader, started) = match started {
        Ok(started) => started,
        Err(error) => return format!("failed to start: {error}"),
    };
    let mut lines = BufReader::new(reader);
    while let Ok(Some(line)) = next_line(&mut lines) {
        match Report::parse(&line) {
            Ok(report) if Path::new(FILE).exists() => {
                tell(&report);
                *latest.lock() = Some(report);
            }
            Ok(_) => break,
            Err(error) => {
                notice::log(&json!({"event": "activity", "error": error.to_string()}));
                break;
            }
        }
    }
    let _ = killpg(started.pid, Signal::SIGKILL);
    match started.ended.recv_timeout(AGAIN) {
        Ok(status) => format!("ended with status {status}"),
        Err(_) => "does not end".to_owned(),
    }
}

fn next_line(reader: &mut BufReader<PipeReader>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = u64::try_from(LONGEST_REPORT)
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    reader.take(limit).read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest() -> Latest {
        let text = r#"{"at":"2026-01-01T12:00:00Z","sampledAt":"2026-01-01T12:00:00Z","startedAt":"2026-01-01T10:00:00Z"}"#;
        let latest = Latest::of("box");
        *latest.lock() = Some(Report::parse(text.as_bytes()).unwrap());
        latest
    }

    #[test]
    fn d12_a_report_is_for_who_has_the_token_and_for_nobody_where_none_is_wanted() {
        let access = || {
            Some(Access {
                token_sha256: digest("secret"),
            })
        };
        let latest = latest();
        assert_eq!(latest.answer_with(None, Some("secret")), Answer::Nowhere);
        for wrong in [
            None,
            Some(""),
            Some("Secret"),
            Some(digest("secret").as_str()),
        ] {
            assert_eq!(
                latest.answer_with(access(), wrong),
                Answer::Denied,
                "{wrong:?}"
            );
        }
        let empty = || {
            Some(Access {
                token_sha256: digest(""),
            })
        };
        assert_eq!(latest.answer_with(empty(), Some("")), Answer::Denied);
        assert_eq!(
            Latest::default().answer_with(access(), Some("secret")),
            Answer::NotYet
        );
        let Answer::Report(text) = latest.answer_with(access(), Some("secret")) else {
            panic!("no report");
        };
        let report = Report::parse(text.as_bytes()).unwrap();
        assert!(report.at > report.sampled_at, "its age can be told: {text}");
    }

    #[test]
    fn a_file_that_is_not_understood_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("activity.json");
        for rubbish in ["", "{}", r#"{"tokenSha256":1}"#] {
            fs::write(&file, rubbish).unwrap();
            assert!(access(&file).is_none(), "{rubbish}");
        }
        fs::write(&file, r#"{"tokenSha256":"00"}"#).unwrap();
        assert!(access(&file).is_some());
    }
}
