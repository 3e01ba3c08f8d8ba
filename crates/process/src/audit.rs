//! The audit of a process: one JSON object per line, apart from the logs.
//!
//! Lines are written by a thread of their own through a bounded queue: a slow disk slows the process down and loses nothing.

use std::{
    io::Write,
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

/// Lines that may wait for the disk.
const QUEUE: usize = 4096;

/// One line. JSON escapes whatever somebody else has written.
pub trait Line: Serialize + Send + 'static {
    /// When it was told (RFC 3339).
    fn stamp(&mut self, time: String);
}

/// What waits for the disk.
#[derive(Debug)]
enum Entry<L> {
    Line(Box<L>),
    /// Answered when all before it are written.
    Flush(oneshot::Sender<()>),
}

/// Where lines go.
#[derive(Clone, Debug)]
pub struct Audit<L> {
    queue: mpsc::Sender<Entry<L>>,
    lost: Arc<AtomicU64>,
}

impl<L: Line> Audit<L> {
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
        let (queue, mut waiting) = mpsc::channel::<Entry<L>>(QUEUE);
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
    pub async fn tell(&self, mut line: L) {
        line.stamp(Timestamp::now().to_string());
        if self.queue.send(Entry::Line(Box::new(line))).await.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same from where nothing can wait.
    pub fn tell_later(&self, line: L) {
        let audit = Self {
            queue: self.queue.clone(),
            lost: Arc::clone(&self.lost),
        };
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
pub fn write(into: &mut impl Write, line: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    into.write_all(&text)?;
    into.flush()
}
