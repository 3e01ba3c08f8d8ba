//! What all requests have in common.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicBool},
    time::Instant,
};

use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::Audit, config::Config, ledger::Ledger, limits::Rate, metrics::Metrics, oidc::Provider,
    seal::Sealer, table::Table,
};

/// What all requests have in common.
pub struct Console {
    /// The configuration.
    pub config: Config,
    /// Encrypts what people carry.
    pub sealer: Sealer,
    /// The identity provider, where it is not a proxy in front.
    pub provider: Option<Provider>,
    /// The console's own way to the API server. Pages never use it as it is, see [`crate::cluster`].
    pub client: Client,
    /// Where usage and costs are asked for; `None`: nowhere.
    pub ledger: Option<Ledger>,
    /// The audit.
    pub audit: Audit,
    /// Counters.
    pub metrics: Metrics,
    /// Whether requests should come here.
    pub ready: Arc<AtomicBool>,
    /// Cancelled when the table holds all there is, for the first time.
    pub filled: CancellationToken,
    /// Cancelled when what is open has to end.
    pub ending: CancellationToken,
    /// Logins by source.
    pub logins: Mutex<Rate>,
    /// Changes by source.
    pub writes: Mutex<Rate>,
    table: RwLock<Table>,
    changes: watch::Sender<u64>,
    connections: Arc<Mutex<HashMap<String, u32>>>,
    started: Instant,
}

impl Console {
    /// Nothing known yet.
    pub fn new(
        config: Config,
        sealer: Sealer,
        provider: Option<Provider>,
        client: Client,
        ledger: Option<Ledger>,
        audit: Audit,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            sealer,
            provider,
            client,
            audit,
            metrics: Metrics::new(),
            ready: Arc::default(),
            filled: CancellationToken::new(),
            ending: CancellationToken::new(),
            logins: Mutex::new(Rate::new(config.limits.logins_per_minute)),
            writes: Mutex::new(Rate::new(config.limits.writes_per_minute)),
            table: RwLock::new(Table::new(config.allow_shared_ports)),
            changes: watch::Sender::new(0),
            connections: Arc::default(),
            started: Instant::now(),
            config,
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

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        Timestamp::now().as_second()
    }

    /// Whether the source may do one more of what that rate counts.
    pub fn may(&self, rate: &Mutex<Rate>, source: IpAddr) -> bool {
        let now = self.started.elapsed().as_secs_f64();
        rate.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(source, now)
    }

    /// One more connection of a user to editors; `None`: they have too many.
    pub fn connect(&self, user: &str) -> Option<Connection> {
        let most = self.config.limits.editor_connections_per_user;
        let mut all = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(user.to_owned()).or_insert(0);
        (*count < most).then(|| {
            *count += 1;
            Connection {
                user: user.to_owned(),
                all: Arc::clone(&self.connections),
            }
        })
    }
}

/// A connection that counts until it is dropped.
pub struct Connection {
    user: String,
    all: Arc<Mutex<HashMap<String, u32>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.user);
            }
        }
    }
}
