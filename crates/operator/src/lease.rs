//! Who of the replicas works: client-go's leader election over a Lease.
//!
//! Another holder is believed until its lease has not moved for its own duration by *our* monotonic clock, so clocks
//! need not agree. Every write carries the resource version that was read. Who cannot renew in time stops at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::error::Error;

/// How long others wait after the last renewal.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long the holder tries to renew before it gives up; less than [`LEASE_DURATION`].
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two tries.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// Longest wait for one answer: a silent connection must not eat the whole deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// Whether this process may write, asked immediately before each write.
#[derive(Clone)]
pub struct Leadership {
    /// `None`: no election, this process always leads.
    until: Option<Arc<Mutex<Instant>>>,
}

impl Leadership {
    /// Leads without a Lease: one replica, or a test.
    pub fn always() -> Self {
        Self { until: None }
    }

    fn elected() -> Self {
        Self {
            until: Some(Arc::new(Mutex::new(Instant::now()))),
        }
    }

    /// Refuses when the last renewal is too long ago.
    pub fn check(&self) -> Result<(), Error> {
        if self.holds() {
            Ok(())
        } else {
            Err(Error::NotLeader)
        }
    }

    fn holds(&self) -> bool {
        self.until.as_ref().is_none_or(|until| {
            Instant::now() < *until.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    fn extend(&self, until: Instant) {
        if let Some(held) = &self.until {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

/// Takes part in the election.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    leadership: Leadership,
    /// The Lease as last seen to change, and when that was.
    seen: Option<(Lease, Instant)>,
}

impl Elector {
    /// A participant called `identity`.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            leadership: Leadership::elected(),
            seen: None,
        }
    }

    /// To be asked before each write.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until this process holds the Lease.
    pub async fn acquire(&mut self) {
        while !self.attempt().await {
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews until that fails for too long or somebody else holds the Lease; then returns.
    pub async fn hold(&mut self) {
        loop {
            tokio::time::sleep(RETRY_PERIOD).await;
            self.attempt().await;
            if !self.leadership.holds() {
                return;
            }
        }
    }

    /// Gives the Lease back, so that the next holder need not wait for it to run out.
    pub async fn release(&mut self) {
        let Some((lease, _)) = self.seen.clone().filter(|_| self.leadership.holds()) else {
            return;
        };
        self.leadership.extend(Instant::now());
        let released = match self.replace(&released(lease)).await {
            Ok(_) => Ok(()),
            Err(_) => self.release_as_found().await,
        };
        if let Err(error) = released {
            tracing::warn!(
                error,
                "failed to release the lease; the next holder waits for it to run out"
            );
        }
    }

    /// A renewal that the end cut short may have been written all the same, so the Lease is not as it was seen last.
    async fn release_as_found(&self) -> Result<(), String> {
        let found = self.call(self.api.get(&self.name)).await?;
        let holder = found.spec.as_ref().and_then(|s| s.holder_identity.as_ref());
        if holder == Some(&self.identity) {
            self.replace(&released(found)).await?;
        }
        Ok(())
    }

    async fn attempt(&mut self) -> bool {
        // From before the call: the Lease may have been written right after it began.
        let started = Instant::now();
        match self.try_acquire_or_renew().await {
            Ok(true) => {
                self.leadership.extend(started + RENEW_DEADLINE);
                true
            }
            Ok(false) => {
                self.leadership.extend(started);
                false
            }
            Err(error) => {
                tracing::warn!(error, "failed to renew or acquire the lease");
                false
            }
        }
    }

    async fn try_acquire_or_renew(&mut self) -> Result<bool, String> {
        let Some(found) = self.call(self.api.get_opt(&self.name)).await? else {
            let lease = self
                .call(self.api.create(&PostParams::default(), &self.fresh()))
                .await?;
            self.seen = Some((lease, Instant::now()));
            return Ok(true);
        };
        if self
            .seen
            .as_ref()
            .is_none_or(|(known, _)| known.spec != found.spec)
        {
            self.seen = Some((found.clone(), Instant::now()));
        }
        let spec = found.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let since = self.seen.as_ref().map_or_else(Instant::now, |(_, at)| *at);
        let lasts =
            u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let is_ours = holder == self.identity;
        if !holder.is_empty() && !is_ours && since.elapsed() < Duration::from_secs(lasts) {
            return Ok(false);
        }
        let lease = self.replace(&self.renewed(found, is_ours)).await?;
        self.seen = Some((lease, Instant::now()));
        Ok(true)
    }

    fn fresh(&self) -> Lease {
        let empty = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        self.renewed(empty, false)
    }

    fn renewed(&self, mut lease: Lease, is_ours: bool) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = lease.spec.take().unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: if is_ours {
                before.acquire_time
            } else {
                Some(now.clone())
            },
            renew_time: Some(now),
            lease_transitions: Some(if is_ours {
                transitions
            } else {
                transitions + 1
            }),
            ..LeaseSpec::default()
        });
        lease
    }

    /// With the resource version that was read: a lost race is a conflict, not a stolen lease.
    async fn replace(&self, lease: &Lease) -> Result<Lease, String> {
        self.call(self.api.replace(&self.name, &PostParams::default(), lease))
            .await
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, String> {
        tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .map_err(|_| format!("no answer within {} s", CALL_TIMEOUT.as_secs()))?
            .map_err(|error| error.to_string())
    }
}

/// The Lease with nobody who holds it.
fn released(mut lease: Lease) -> Lease {
    if let Some(spec) = lease.spec.as_mut() {
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
    }
    lease
}
