//! What every look at a DevServer needs.

use std::{sync::Arc, time::Duration};

use devserver_core::Platform;
use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use crate::{
    backoff::Backoff, believed::Believed, caches::Caches, clock::Clock, error::Error, fresh,
    gateway::Gateway, idle, lease::Leadership, metrics::Metrics, notify::Notifier, server::Turns,
    team::Places, usage::Spendings, written::Written,
};

/// What every look at a DevServer needs.
pub struct Context {
    /// Connection to the API server.
    pub client: Client,
    /// Configuration.
    pub platform: Platform,
    /// What the watches have seen.
    pub caches: Caches,
    /// What was written and may not have been seen yet. Shared with the watches.
    pub written: Arc<Written>,
    /// Secrets that were found right a moment ago.
    pub believed: Believed,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Places in quotas of teams that were given a moment ago.
    pub places: Places,
    /// Failures in a row, per DevServer.
    pub backoff: Backoff,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Arc<Clock>,
    /// Whose turn it is to be deleted.
    pub turns: Turns,
    /// Whose turn it is to be stopped, because nobody uses it.
    pub idle_turns: Turns,
    /// Whose home's turn it is to be removed.
    pub trash_turns: Turns,
    /// How agents are asked.
    pub agents: idle::Agents,
    /// What agents said last.
    pub reports: idle::Reports,
    /// How owners are told.
    pub notifier: Arc<Notifier>,
    /// Name of this replica.
    pub identity: String,
    /// The gateway, if there is one.
    pub gateway: Arc<Gateway>,
    /// What teams have spent; `None`: nothing is counted.
    pub spendings: Option<Arc<Spendings>>,
    /// Events for people.
    pub recorder: Recorder,
    /// Time between two looks when nothing is seen to change.
    pub resync: Duration,
}

impl Context {
    /// Before each write: the Lease is held, and what the look is at was read.
    pub fn may_write(&self) -> Result<(), Error> {
        fresh::check()?;
        self.leadership.check()
    }
}

/// Who reports events.
pub fn reporter(identity: &str) -> Reporter {
    Reporter {
        controller: devserver_api::group::FIELD_MANAGER.to_owned(),
        instance: Some(identity.to_owned()),
    }
}
