//! Tells people on the terminals that their time runs out. What to say when is pure over the time; the instant comes from
//! a mounted file, so more time given by `devctl extend` counts as soon as the kubelet has refreshed it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::notice;

const FILE: &str = "/etc/devserver/sshd/expiration.json";
/// How often the file, the clock and the terminals are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// When the environment ends and how long before that people are warned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expiration {
    /// Seconds since 1970.
    expires_at: i64,
    /// Seconds before the end.
    warnings: Vec<i64>,
}

/// What a terminal was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    expires_at: i64,
    /// The warning that had come, in seconds before the end; 0 is the end itself.
    stage: Option<i64>,
}

impl Expiration {
    /// The latest warning whose time has come.
    fn stage(&self, now: i64) -> Option<i64> {
        let left = self.expires_at.saturating_sub(now);
        if left <= 0 {
            return Some(0);
        }
        self.warnings.iter().copied().filter(|w| left <= *w).min()
    }

    /// What a terminal is to be told now, if anything: each warning once, a changed end once. A terminal that is new
    /// hears the latest warning only.
    fn due(&self, told: Option<Told>, now: i64) -> Option<Told> {
        let (expires_at, stage) = (self.expires_at, self.stage(now));
        let news = Told { expires_at, stage };
        let is_due = match told {
            None => stage.is_some(),
            Some(before) if before.expires_at != expires_at => true,
            Some(before) => match (stage, before.stage) {
                (Some(stage), Some(before)) => stage < before,
                (Some(_), None) => true,
                (None, _) => false,
            },
        };
        is_due.then_some(news)
    }

    fn line(&self, name: &str, now: i64) -> String {
        let left = self.expires_at.saturating_sub(now);
        if left <= 0 {
            return "*** The time of this environment is over: it is deleted now. ***".to_owned();
        }
        format!(
            "*** This environment is deleted in {} (at {}). Save your work; for more time: devctl extend {name} ***",
            span(left),
            clock(self.expires_at)
        )
    }
}

/// Rounded up to what people count in, so that nobody is told of more time than there is by more than a minute.
pub fn span(seconds: i64) -> String {
    let plural =
        |count: i64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let minutes = seconds.saturating_add(59) / 60;
    match (minutes / 60, minutes % 60) {
        _ if seconds < 60 => plural(seconds, "second"),
        (0, minutes) => plural(minutes, "minute"),
        (hours, 0) => plural(hours, "hour"),
        (hours, minutes) => format!("{} {}", plural(hours, "hour"), plural(minutes, "minute")),
    }
}

/// The time of day of that second.
pub fn clock(at: i64) -> String {
    let minutes = at.rem_euclid(86_400) / 60;
    format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Watches from a thread of its own until the process ends.
pub fn watch(name: String) -> io::Result<()> {
    let watch = move || {
        let mut told = HashMap::new();
        loop {
            look(Path::new(FILE), &name, &mut told);
            thread::sleep(LOOK);
        }
    };
    thread::Builder::new()
        .name("expiration".into())
        .spawn(watch)?;
    Ok(())
}

fn look(file: &Path, name: &str, told: &mut HashMap<PathBuf, Told>) {
    let terminals = notice::terminals();
    told.retain(|terminal, _| terminals.contains(terminal));
    let Some(expiration) = read(file) else {
        return;
    };
    let now = now();
    for terminal in terminals {
        if let Some(news) = expiration.due(told.get(&terminal).copied(), now) {
            notice::tell(&terminal, &expiration.line(name, now));
            told.insert(terminal, news);
        }
    }
}

/// `None` where there is no end, and where the file is not understood: a warning less is no reason to stop.
fn read(file: &Path) -> Option<Expiration> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_at(expires_at: i64) -> Expiration {
        Expiration {
            expires_at,
            warnings: vec![3600, 900, 300],
        }
    }

    /// The instants at which a terminal that is there all the time is told something.
    fn heard(expiration: &Expiration, seconds: std::ops::Range<i64>) -> Vec<i64> {
        let mut told = None;
        seconds
            .filter(|now| match expiration.due(told, *now) {
                Some(news) => {
                    told = Some(news);
                    true
                }
                None => false,
            })
            .collect()
    }

    #[test]
    fn each_warning_comes_once_at_its_second_and_the_end_once() {
        assert_eq!(
            heard(&ends_at(10_000), 0..11_000),
            [6400, 9100, 9700, 10_000]
        );
    }

    #[test]
    fn a_late_terminal_hears_the_latest_warning_only() {
        assert_eq!(heard(&ends_at(10_000), 9200..10_100), [9200, 9700, 10_000]);
        assert_eq!(heard(&ends_at(10_000), 9990..10_100), [9990, 10_000]);
        assert_eq!(heard(&ends_at(10_000), 12_000..12_100), [12_000]);
    }

    #[test]
    fn a_changed_end_is_told_once_and_counts_anew() {
        let told = ends_at(10_000).due(None, 9800).unwrap();
        let later = ends_at(20_000);
        let extended = later.due(Some(told), 9801).unwrap();
        assert_eq!(extended.stage, None);
        assert_eq!(later.due(Some(extended), 9802), None);
        assert_eq!(later.due(Some(extended), 16_400).unwrap().stage, Some(3600));
    }

    #[test]
    fn a_clock_that_goes_back_repeats_no_warning() {
        let told = ends_at(10_000).due(None, 9800).unwrap();
        assert_eq!(ends_at(10_000).due(Some(told), 9200), None);
        assert_eq!(ends_at(10_000).due(Some(told), 0), None);
    }

    #[test]
    fn lines_say_how_long_and_when() {
        let expiration = ends_at(50_400);
        let line = |now| expiration.line("box", now);
        assert!(
            line(46_800).contains("in 1 hour (at 14:00 UTC)"),
            "{}",
            line(46_800)
        );
        assert!(
            line(46_799).contains("in 1 hour 1 minute "),
            "{}",
            line(46_799)
        );
        assert!(line(50_101).contains("in 5 minutes "), "{}", line(50_101));
        assert!(line(50_399).contains("in 1 second "), "{}", line(50_399));
        assert!(line(50_399).contains("devctl extend box"));
        assert!(line(50_400).contains("is over"));
    }

    #[test]
    fn the_file_of_the_operator_is_read_and_rubbish_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("expiration.json");
        fs::write(&file, r#"{"expiresAt":10000,"warnings":[3600,900,300]}"#).unwrap();
        assert_eq!(read(&file), Some(ends_at(10_000)));
        for rubbish in ["", "{}", r#"{"expiresAt":"soon","warnings":[]}"#] {
            fs::write(&file, rubbish).unwrap();
            assert_eq!(read(&file), None, "{rubbish}");
        }
        assert_eq!(read(Path::new("/nonexistent")), None);
    }
}
