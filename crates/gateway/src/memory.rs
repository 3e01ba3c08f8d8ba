//! How much memory this process has and may have (Linux: `proc(5)`, cgroup v2).

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use crate::gateway::Gateway;

/// Bytes of a page; the kernels we run on have no other size, and a wrong one only moves the bound.
const PAGE: u64 = 4096;
/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Resident bytes of this process.
pub fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

/// Four fifths of what the container may have; `None` where there is no bound.
pub fn default_bound() -> Option<u64> {
    let text = fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?;
    let bytes: u64 = text.trim().parse().ok()?;
    Some(bytes / 5 * 4)
}

/// Looks at it for ever, and at what else is only counted elsewhere.
pub async fn watch(gateway: Arc<Gateway>) {
    let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let bytes = resident().unwrap_or_default();
        gateway.memory.store(bytes, Ordering::Relaxed);
        let metrics = &gateway.metrics;
        metrics.memory.set(gauge(bytes));
        metrics.audit_lost.set(gauge(gateway.edges.audit.lost()));
        metrics
            .unauthenticated
            .set(gauge(gateway.strangers.sum() as u64));
    }
}
