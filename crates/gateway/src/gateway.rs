//! What all connections have in common.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{self, Proof},
    address::holds,
    audit::Audit,
    authority::Authority,
    dial::Dial,
    fingerprint::Fingerprint,
    key_files::Trusted,
    limits::{Counts, Full, Guard},
    metrics::Metrics,
    penalty::{Offence, Penalties, Refused, Source},
    settings::Settings,
    table::Table,
    wake::Wake,
};

/// The edges: what leads out of the process.
pub struct Edges {
    /// The way to pods.
    pub dial: Arc<dyn Dial>,
    /// The way to start an environment; `None`: there is none.
    pub wake: Option<Arc<dyn Wake>>,
    /// The audit.
    pub audit: Audit,
    /// What the gateway proves itself with in direct mode; `None`: there is no such mode.
    pub authority: Option<Arc<Authority>>,
}

/// What all connections have in common.
pub struct Gateway {
    /// Bounds and rules.
    pub settings: Settings,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The edges.
    pub edges: Edges,
    /// Whether new connections should come here.
    pub ready: Arc<AtomicBool>,
    /// Cancelled when the table holds all there is, for the first time.
    pub filled: CancellationToken,
    /// Cancelled when no new connection is taken any more.
    pub closing: CancellationToken,
    /// Cancelled when open sessions have to end.
    pub ending: CancellationToken,
    /// Every connection and channel.
    pub tasks: TaskTracker,
    /// Connections whose user is not known yet, by source.
    pub strangers: Arc<Counts<Source>>,
    /// Connections of users.
    pub users: Arc<Counts<String>>,
    /// All connections.
    pub connections: Arc<Counts<()>>,
    /// Resident memory in bytes, as last looked at.
    pub memory: AtomicU64,
    table: RwLock<Table>,
    changes: watch::Sender<u64>,
    trusted: RwLock<Arc<Trusted>>,
    penalties: Mutex<Penalties>,
    started: Instant,
    next: AtomicU64,
}

impl Gateway {
    /// Nobody here, nothing known.
    pub fn new(settings: Settings, trusted: Trusted, edges: Edges) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::new(Metrics::new()),
            edges,
            ready: Arc::default(),
            filled: CancellationToken::new(),
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
            strangers: Counts::new(
                settings.max_unauthenticated_per_source,
                settings.max_unauthenticated,
            ),
            users: Counts::new(settings.max_connections_per_user, usize::MAX),
            connections: Counts::new(usize::MAX, settings.max_connections),
            memory: AtomicU64::new(0),
            table: RwLock::default(),
            changes: watch::Sender::new(0),
            trusted: RwLock::new(Arc::new(trusted)),
            penalties: Mutex::new(Penalties::new(settings.rules)),
            started: Instant::now(),
            next: AtomicU64::new(1),
            settings,
        })
    }

    /// Asks the table; never held across a wait.
    pub fn ask<T>(&self, question: impl FnOnce(&Table) -> T) -> T {
        question(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the table and wakes whoever waits for a change.
    pub fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let result = change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|version| *version += 1);
        result
    }

    /// Tells of each change of the table.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Keys that an administrator wrote down.
    pub fn trusted(&self) -> Arc<Trusted> {
        Arc::clone(&self.trusted.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// They were written anew.
    pub fn trust(&self, trusted: Trusted) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trusted);
    }

    /// Number for the next connection.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// What a key of somebody proves, if anything.
    pub fn prove(&self, user: &str, key: Fingerprint) -> Option<Proof> {
        let trusted = self.trusted();
        if trusted.revoked.contains(&key) {
            return None;
        }
        if trusted
            .users
            .get(user)
            .is_some_and(|keys| keys.contains(&key))
        {
            return Some(Proof::Trusted(key));
        }
        self.ask(|table| access::is_known(table, user, key))
            .then_some(Proof::Key(key))
    }

    /// Whether somebody may come in now, before anything is read; the word says why not.
    pub fn admit(&self, address: IpAddr) -> Result<Guard<Source>, &'static str> {
        if self.is_low_on_memory() {
            return Err("memory");
        }
        let source = Source::of(address);
        if !self.is_exempt(address) {
            let now = self.now();
            let mut penalties = self
                .penalties
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            penalties
                .admit(source, now)
                .map_err(|refused| match refused {
                    Refused::Penalty => "penalty",
                    Refused::Rate => "rate",
                })?;
        }
        self.strangers.enter(source).map_err(|full| match full {
            Full::Each => "unauthenticated_of_source",
            Full::All => "unauthenticated",
        })
    }

    /// Whether nobody new may take memory.
    pub fn is_low_on_memory(&self) -> bool {
        let used = self.memory.load(Ordering::Relaxed);
        self.settings.max_memory.is_some_and(|most| used >= most)
    }

    /// The source did something wrong.
    pub fn punish(&self, address: IpAddr, offence: Offence) {
        if self.is_exempt(address) {
            return;
        }
        let now = self.now();
        let mut penalties = self
            .penalties
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        penalties.punish(Source::of(address), offence, now);
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        let mut exempt = self.settings.exempt.iter();
        exempt.any(|network| holds(*network, address.to_canonical()))
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
