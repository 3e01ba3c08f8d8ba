//! The audit: one JSON object per line, apart from the logs. Who logged in, what they changed, which editor they opened.
//!
//! Lines are written by a thread of their own through a bounded queue: a slow disk slows the console down and loses nothing.

use std::{
    io::Write,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::table::{Place, ServerId, Target};

/// Lines that may wait for the disk.
const QUEUE: usize = 4096;

/// One line. Absent fields are left out. JSON escapes whatever somebody else has written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// RFC 3339.
    time: String,
    /// `login`, `login_failure`, `logout`, `write`, `editor_open`, `editor_close`, `editor_refuse`.
    event: &'static str,
    /// Address of the client; of whom a trusted proxy named, if one did.
    source: String,
    /// User name as Kubernetes knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// What was done: `create`, `suspend`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    /// DevServer, `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// Which declared port of it; absent: the editor, or nothing of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Bounded word: `ok`, or why not.
    outcome: &'static str,
    /// How long it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
}

impl Line {
    /// Something happened.
    pub fn new(event: &'static str, source: IpAddr, outcome: &'static str) -> Self {
        Self {
            event,
            source: source.to_string(),
            outcome,
            ..Self::default()
        }
    }

    /// By whom.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// What was done.
    #[must_use]
    pub fn action(mut self, action: &'static str) -> Self {
        self.action = Some(action);
        self
    }

    /// To which server.
    #[must_use]
    pub fn server(mut self, id: &ServerId) -> Self {
        self.server = Some(id.to_string());
        self
    }

    /// To which editor or port of a server.
    #[must_use]
    pub fn place(mut self, place: &Place) -> Self {
        self.port = match place.port {
            Target::Editor => None,
            Target::Port(number) => Some(number),
        };
        self.server(&place.id)
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(mut self, outcome: &'static str) -> Self {
        self.outcome = outcome;
        self
    }

    /// How long it lasted.
    #[must_use]
    pub fn lasted(mut self, duration: std::time::Duration) -> Self {
        self.seconds = Some(duration.as_secs());
        self
    }
}

/// What waits for the disk.
enum Entry {
    Line(Box<Line>),
    /// Answered when all before it are written.
    Flush(oneshot::Sender<()>),
}

/// Where lines go.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: mpsc::Sender<Entry>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// Into a file, to which is appended.
    pub fn to_file(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        Self::to(file)
    }

    /// Into anything that can be written to.
    pub fn to(mut into: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (queue, mut waiting) = mpsc::channel::<Entry>(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                while let Some(entry) = waiting.blocking_recv() {
                    match entry {
                        Entry::Line(line) => {
                            if let Err(error) = write(&mut into, &line) {
                                counter.fetch_add(1, Ordering::Relaxed);
                                tracing::error!(%error, "failed to write a line of the audit");
                            }
                        }
                        // Fails only when nobody waits any more.
                        Entry::Flush(done) => drop(done.send(())),
                    }
                }
            })?;
        Ok(Self { queue, lost })
    }

    /// Writes the line; waits while the queue is full.
    pub async fn tell(&self, mut line: Line) {
        line.time = Timestamp::now().to_string();
        if self.queue.send(Entry::Line(Box::new(line))).await.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same from where nothing can wait.
    pub fn tell_later(&self, line: Line) {
        let audit = self.clone();
        // Without a runtime the process has ended, and nobody writes any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { audit.tell(line).await });
        }
    }

    /// Waits until all lines told so far are written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Entry::Flush(done)).await.is_ok() {
            // An error means that the thread is gone, and with it what could be waited for.
            let _ = written.await;
        }
    }

    /// Lines that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// In one write, so that lines do not mix with what others write to the same place.
fn write(into: &mut impl Write, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    into.write_all(&text)?;
    into.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_whatever_a_name_holds_it_stays_one_line_of_json() {
        let mut text = Vec::new();
        let line = Line::new("login", "192.0.2.1".parse().unwrap(), "ok")
            .user("a\"\n{\"event\":\"x\"}\u{1b}[2J");
        write(&mut text, &line).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}'));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "login");
    }
}
