//! What a client says on a session channel of a direct login, on its way to the environment.
//!
//! The library tops the client's window up as bytes come, whether anybody has taken them or not. Holding the connection up
//! instead would hold up the answers, too, and with them what makes room: an environment that says back what it is told
//! would stand still for ever. So what is not taken is kept here, and the window becomes so small that hardly more comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use russh::{Pty, Sig};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Bytes that may wait before the client is slowed down.
const HIGH: usize = 1 << 20;
/// Bytes that may wait at all, of one connection: the windows that clients have to begin with, and some more.
const MOST: usize = 32 << 20;
/// Window of a client that is slowed down. Not nothing: the library looks at a window only when something comes.
const TRICKLE: u32 = 64;
/// How long such a client waits for each of them.
const PAUSE: Duration = Duration::from_millis(20);
/// The same, when much is waiting.
const LONG_PAUSE: Duration = Duration::from_secs(1);
/// How long a client waits for room before it is sent away.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What runs in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The login shell.
    Shell,
    /// A command.
    Exec(Vec<u8>),
    /// A subsystem, such as `sftp`.
    Subsystem(String),
}

/// A terminal's size: columns, rows, and both in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u32, pub u32, pub u32, pub u32);

/// What a client says.
#[derive(Clone, Debug)]
pub enum Event {
    /// A terminal, please.
    Pty(String, Size, Vec<(Pty, u32)>),
    /// A variable.
    Env(String, String),
    /// Begin.
    Start(Start),
    /// The terminal has another size.
    Resize(Size),
    /// A signal for what runs.
    Signal(Sig),
    /// Standard input.
    Data(Bytes),
    /// Its end.
    Eof,
}

impl Event {
    fn cost(&self) -> usize {
        let text = match self {
            Self::Pty(term, _, modes) => term.len() + modes.len() * 8,
            Self::Env(name, value) => name.len() + value.len(),
            Self::Start(Start::Exec(command)) => command.len(),
            Self::Start(Start::Subsystem(name)) => name.len(),
            Self::Data(data) => data.len(),
            Self::Start(Start::Shell) | Self::Resize(_) | Self::Signal(_) | Self::Eof => 0,
        };
        text + size_of::<Self>()
    }
}

/// Bytes that wait, of all sessions of a connection.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<AtomicUsize>);

impl Held {
    /// The window that clients get next.
    pub fn window(&self, usual: u32) -> u32 {
        if self.0.load(Relaxed) > HIGH {
            TRICKLE
        } else {
            usual
        }
    }

    /// Slows the client down while much is waiting; `false`: it has to go.
    pub async fn has_room(
        &self,
        came: usize,
        patience: Duration,
        is_low_on_memory: impl Fn() -> bool,
    ) -> bool {
        let held = || self.0.load(Relaxed);
        if held() <= HIGH {
            return true;
        }
        if came <= TRICKLE as usize {
            sleep(if held() > MOST / 2 { LONG_PAUSE } else { PAUSE }).await;
        }
        let limit = Instant::now() + patience;
        loop {
            let most = if is_low_on_memory() { HIGH } else { MOST };
            if held() <= most {
                return true;
            }
            if Instant::now() > limit {
                return false;
            }
            sleep(PAUSE).await;
        }
    }
}

/// Where the connection puts what comes.
#[derive(Debug)]
pub struct Outbox {
    events: UnboundedSender<Event>,
    held: Held,
    closed: CancellationToken,
}

/// Where the session takes it.
#[derive(Debug)]
pub struct Inbox {
    events: UnboundedReceiver<Event>,
    held: Held,
    /// Cancelled when the client has closed the channel.
    pub closed: CancellationToken,
}

/// Both ends, of one session of a connection.
#[allow(
    clippy::disallowed_methods,
    reason = "bounded by bytes and not by messages: see `Held::has_room`"
)]
pub fn inbox(held: &Held) -> (Outbox, Inbox) {
    let (sender, receiver) = unbounded_channel();
    let closed = CancellationToken::new();
    let outbox = Outbox {
        events: sender,
        held: held.clone(),
        closed: closed.clone(),
    };
    let inbox = Inbox {
        events: receiver,
        held: held.clone(),
        closed,
    };
    (outbox, inbox)
}

impl Outbox {
    /// Something came.
    pub fn put(&self, event: Event) {
        let cost = event.cost();
        self.held.0.fetch_add(cost, Relaxed);
        if self.events.send(event).is_err() {
            self.held.0.fetch_sub(cost, Relaxed);
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl Inbox {
    /// The next; it counts as waiting until it is dropped.
    pub async fn take(&mut self) -> Option<Taken> {
        let event = self.events.recv().await?;
        Some(Taken {
            weight: Weight(event.cost(), self.held.clone()),
            event,
        })
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.events.close();
        while let Ok(event) = self.events.try_recv() {
            self.held.0.fetch_sub(event.cost(), Relaxed);
        }
    }
}

/// What was taken, and what it weighs while it is carried on.
#[derive(Debug)]
pub struct Taken {
    /// What was said.
    pub event: Event,
    /// Dropped when it has been carried on.
    pub weight: Weight,
}

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Weight(usize, Held);

impl Drop for Weight {
    fn drop(&mut self) {
        self.1.0.fetch_sub(self.0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(count: usize) -> Event {
        Event::Data(Bytes::from(vec![0; count]))
    }

    #[tokio::test]
    async fn who_is_not_taken_from_is_slowed_down_and_at_last_sent_away() {
        let held = Held::default();
        let (outbox, mut inbox) = inbox(&held);
        outbox.put(data(10));
        assert_eq!(held.window(8 << 20), 8 << 20);
        let patience = Duration::ZERO;
        assert!(held.has_room(10, patience, || true).await);
        outbox.put(data(HIGH));
        assert_eq!(held.window(8 << 20), TRICKLE);
        assert!(held.has_room(10, patience, || false).await);
        // Short of memory, a connection that holds much is not waited for without end.
        assert!(!held.has_room(10, patience, || true).await);
        outbox.put(data(MOST));
        assert!(!held.has_room(10, patience, || false).await);
        for _ in 0..3 {
            drop(inbox.take().await.unwrap());
        }
        assert_eq!(held.0.load(Relaxed), 0);
    }

    #[test]
    fn what_nobody_took_counts_no_more_when_the_session_is_over() {
        let held = Held::default();
        let (outbox, inbox) = inbox(&held);
        outbox.put(data(5));
        drop(inbox);
        outbox.put(data(5));
        assert_eq!(held.0.load(Relaxed), 0);
        assert!(!outbox.closed.is_cancelled());
    }
}
