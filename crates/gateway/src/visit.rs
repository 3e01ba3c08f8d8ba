//! One connection: what its parts share.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use crate::{access::Grant, audit::Line, escape, fingerprint::Fingerprint, gateway::Gateway};

/// Keys of one connection that are told in the audit, if it never gets in.
const TOLD: usize = 16;

/// What a client tried in vain.
#[derive(Clone, Debug, Default)]
pub struct Tries {
    /// The user that was tried last.
    pub user: String,
    /// The keys.
    pub keys: Vec<Fingerprint>,
    /// Why the last one did not count.
    pub reason: &'static str,
}

/// One connection.
pub struct Visit {
    /// All of them.
    pub gateway: Arc<Gateway>,
    /// Its number.
    pub number: u64,
    /// The client.
    pub client: SocketAddr,
    /// Since when.
    pub since: Instant,
    /// Cancelled when the connection is over: whatever works for it stops.
    pub gone: CancellationToken,
    /// Cancelled when the client was told to go and may not stay.
    pub leaves: CancellationToken,
    grant: Mutex<Option<Grant>>,
    tries: Mutex<Option<Tries>>,
}

impl Visit {
    /// Somebody came.
    pub fn new(gateway: Arc<Gateway>, client: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            number: gateway.number(),
            gateway,
            client,
            since: Instant::now(),
            gone: CancellationToken::new(),
            leaves: CancellationToken::new(),
            grant: Mutex::default(),
            tries: Mutex::default(),
        })
    }

    /// A line of the audit about it.
    pub fn line(&self, event: &'static str) -> Line {
        Line::new(event, self.number, self.client.ip(), self.client.port())
    }

    /// Writes the line.
    pub async fn tell(&self, line: Line) {
        self.gateway.edges.audit.tell(line).await;
    }

    /// Who they are, once that is known.
    pub fn grant(&self) -> Option<Grant> {
        self.grant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether that is known.
    pub fn is_known(&self) -> bool {
        self.grant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// They have shown who they are.
    pub fn let_in(&self, grant: Grant) {
        *self.grant.lock().unwrap_or_else(PoisonError::into_inner) = Some(grant);
    }

    /// They tried in vain.
    pub fn tried(&self, user: &str, key: Option<Fingerprint>, reason: &'static str) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = tries.get_or_insert_default();
        tries.user = user.chars().take(escape::LONGEST).collect();
        tries.reason = reason;
        if let Some(key) = key.filter(|key| tries.keys.len() < TOLD && !tries.keys.contains(key)) {
            tries.keys.push(key);
        }
    }

    /// What they tried in vain.
    pub fn tries(&self) -> Option<Tries> {
        self.tries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
