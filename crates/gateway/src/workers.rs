//! The threads that serve connections. A connection with all its channels stays on one of them: what carries a packet on
//! is then woken without a word to another processor, which costs more than the packet does. Many connections keep all
//! processors busy; one is as fast as one processor, as with OpenSSH.

use std::{
    io,
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads; they end when this is dropped, with whatever they were doing.
#[derive(Debug)]
pub struct Workers {
    first: Handle,
    others: Vec<Handle>,
    next: AtomicUsize,
    _end: DropGuard,
}

impl Workers {
    /// One for each processor this process may use.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no descriptor for another one.
    pub fn start() -> io::Result<Self> {
        let end = CancellationToken::new();
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let others = (1..count).map(|_| start_one(end.clone()));
        Ok(Self {
            first: start_one(end.clone())?,
            others: others.collect::<io::Result<_>>()?,
            next: AtomicUsize::new(0),
            _end: end.drop_guard(),
        })
    }

    /// Each in turn: where the next connection is served.
    pub fn next(&self) -> &Handle {
        let place = self.next.fetch_add(1, Relaxed) % (self.others.len() + 1);
        self.others.get(place).unwrap_or(&self.first)
    }
}

fn start_one(end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("connections".to_owned())
        .spawn(move || runtime.block_on(end.cancelled()))?;
    Ok(handle)
}
