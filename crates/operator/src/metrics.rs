//! Counters, in Prometheus' naming; every label has few values.

mod environments;
mod idle;

use std::sync::Arc;

use devserver_core::Clocks;
use devserver_process::pages;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

pub use environments::{Environments, PATH as ENVIRONMENTS_PATH};
pub use idle::Idle;

use crate::{error::Error, usage::UsageMetrics};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Write {
    verb: &'static str,
    kind: &'static str,
}

/// All counters of the operator.
pub struct Metrics {
    registry: Registry,
    looks: Family<Outcome, Counter>,
    seconds: Histogram,
    writes: Family<Write, Counter>,
    expirations: Family<Outcome, Counter>,
    idle: Idle,
    difference: Gauge,
    unreadable: Counter,
    leader: Gauge,
    /// Single environments, on a page of their own.
    pub environments: Environments,
    /// The ledger's.
    pub usage: Arc<UsageMetrics>,
}

impl Metrics {
    /// Names and registers them.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("devserver_operator");
        let looks = Family::<Outcome, Counter>::default();
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let writes = Family::<Write, Counter>::default();
        let (expirations, difference) = (Family::<Outcome, Counter>::default(), Gauge::default());
        registry.register(
            "expirations",
            "Looks at a DevServer whose time is over, by what became of it",
            expirations.clone(),
        );
        registry.register_with_unit(
            "clock_difference",
            "How far the API server's clock is ahead of this machine's",
            Unit::Seconds,
            difference.clone(),
        );
        let idle = Idle::new(&mut registry);
        let (unreadable, leader) = (Counter::default(), Gauge::default());
        registry.register(
            "reconciles",
            "Looks at a DevServer, by how they ended",
            looks.clone(),
        );
        registry.register_with_unit(
            "reconcile",
            "Time of a look at a DevServer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register("writes", "Writes to the API server", writes.clone());
        registry.register(
            "unreadable_objects",
            "Custom resources that could not be read",
            unreadable.clone(),
        );
        registry.register("leader", "1 while this replica works", leader.clone());
        let usage = Arc::new(UsageMetrics::default());
        usage.register(&mut registry);
        let outcomes = ["ok"].into_iter().chain(Error::CATEGORIES);
        pages::at_zero(&looks, outcomes.map(|outcome| Outcome { outcome }));
        let outcomes = ["deleted", "waits", "clock_skew"];
        pages::at_zero(&expirations, outcomes.map(|outcome| Outcome { outcome }));
        Self {
            registry,
            looks,
            seconds,
            writes,
            expirations,
            idle,
            difference,
            unreadable,
            leader,
            environments: Environments::default(),
            usage,
        }
    }

    /// A look ended; `outcome` is `ok` or an error's category.
    pub fn looked(&self, outcome: &'static str, took: std::time::Duration) {
        self.looks.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Something was written.
    pub fn wrote(&self, verb: &'static str, kind: &'static str) {
        self.writes.get_or_create(&Write { verb, kind }).inc();
    }

    /// A DevServer's time is over: `deleted`, `waits` or `clock_skew`.
    pub fn expired(&self, outcome: &'static str) {
        self.expirations.get_or_create(&Outcome { outcome }).inc();
    }

    /// What is counted of idle environments.
    pub fn idle(&self) -> &Idle {
        &self.idle
    }

    /// What the clocks said.
    pub fn clocks(&self, clocks: Clocks) {
        if let Some(difference) = clocks.difference() {
            self.difference.set(difference.as_secs());
        }
    }

    /// A custom resource could not be read.
    pub fn unreadable(&self) {
        self.unreadable.inc();
    }

    /// Whether this replica works.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// OpenMetrics text.
    pub fn text(&self) -> String {
        pages::text(&self.registry)
    }
}
