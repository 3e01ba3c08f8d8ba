//! Counters, in Prometheus' naming. No label has a value that a client chose.

use std::time::Duration;

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

use crate::audit::Mode;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Way {
    mode: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// Why a channel was not opened though its user may have it and the environment runs.
const BROKEN: [&str; 8] = [
    "timeout",
    "unreachable",
    "address",
    "network",
    "no_host_keys",
    "host_key",
    "certificate",
    "protocol",
];

/// All counters of the gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    arrivals: Family<Outcome, Counter>,
    logins: Family<Outcome, Counter>,
    channels: Family<Way, Counter>,
    bytes: Family<Direction, Counter>,
    wakes: Family<Outcome, Counter>,
    dial: Histogram,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections whose user is not known yet.
    pub unauthenticated: Gauge,
    /// Channels that lead to an environment.
    pub open_channels: Gauge,
    /// Resident memory of this process.
    pub memory: Gauge,
    /// Lines of the audit that could not be written.
    pub audit_lost: Gauge,
    /// Custom resources that could not be read.
    pub unreadable: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Names and registers them.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("devserver_gateway"),
            arrivals: Family::default(),
            logins: Family::default(),
            channels: Family::default(),
            bytes: Family::default(),
            wakes: Family::default(),
            dial: Histogram::new(exponential_buckets(0.000_5, 2.0, 15)),
            connections: Gauge::default(),
            unauthenticated: Gauge::default(),
            open_channels: Gauge::default(),
            memory: Gauge::default(),
            audit_lost: Gauge::default(),
            unreadable: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let into = &mut self.registry;
        let help = "Connections that came, by what became of them";
        into.register("arrivals", help, self.arrivals.clone());
        let help = "Attempts to log in, by what became of them";
        into.register("logins", help, self.logins.clone());
        let help = "Channels asked for, by mode and what became of them";
        into.register("channels", help, self.channels.clone());
        let help = "Bytes through channels: up is from the client";
        into.register("bytes", help, self.bytes.clone());
        let help = "Wishes to wake an environment, by what became of them";
        into.register("wakes", help, self.wakes.clone());
        let help = "Time to reach the pod";
        into.register_with_unit("dial", help, Unit::Seconds, self.dial.clone());
        let help = "Connections that are open";
        into.register("connections", help, self.connections.clone());
        let help = "Connections whose user is not known yet";
        into.register(
            "unauthenticated_connections",
            help,
            self.unauthenticated.clone(),
        );
        let help = "Channels that lead to an environment";
        into.register("open_channels", help, self.open_channels.clone());
        let help = "Resident memory";
        into.register_with_unit("memory", help, Unit::Bytes, self.memory.clone());
        let help = "Lines of the audit that could not be written";
        into.register("audit_lines_lost", help, self.audit_lost.clone());
        let help = "Custom resources that could not be read";
        into.register("unreadable_objects", help, self.unreadable.clone());
        self.begin_at_zero();
    }

    /// What alerts and dashboards go by (`deploy/monitoring`).
    fn begin_at_zero(&self) {
        let outcomes = ["accepted", "connections", "memory", "unauthenticated"];
        pages::at_zero(&self.arrivals, outcomes.map(|outcome| Outcome { outcome }));
        let outcomes = ["accepted", "failed"];
        pages::at_zero(&self.logins, outcomes.map(|outcome| Outcome { outcome }));
        let directions = ["up", "down"];
        pages::at_zero(
            &self.bytes,
            directions.map(|direction| Direction { direction }),
        );
        for mode in [Mode::Jump, Mode::Direct] {
            let mode = mode.as_str();
            let way = |outcome| Way { mode, outcome };
            pages::at_zero(&self.channels, ["opened"].map(way));
            pages::at_zero(&self.channels, BROKEN.map(way));
        }
    }

    /// Somebody came: `accepted`, or why not.
    pub fn arrived(&self, outcome: &'static str) {
        self.arrivals.get_or_create(&Outcome { outcome }).inc();
    }

    /// Somebody tried to log in: `accepted` or `failed`.
    pub fn tried(&self, outcome: &'static str) {
        self.logins.get_or_create(&Outcome { outcome }).inc();
    }

    /// A channel was asked for: `opened`, or why not.
    pub fn asked(&self, mode: Mode, outcome: &'static str) {
        let mode = mode.as_str();
        self.channels.get_or_create(&Way { mode, outcome }).inc();
    }

    /// Somebody wanted an environment to start.
    pub fn woke(&self, outcome: &'static str) {
        self.wakes.get_or_create(&Outcome { outcome }).inc();
    }

    /// A channel ended.
    pub fn carried(&self, up: u64, down: u64) {
        for (direction, bytes) in [("up", up), ("down", down)] {
            self.bytes
                .get_or_create(&Direction { direction })
                .inc_by(bytes);
        }
    }

    /// A pod was reached.
    pub fn dialled(&self, took: Duration) {
        self.dial.observe(took.as_secs_f64());
    }

    /// OpenMetrics text.
    pub fn text(&self) -> String {
        pages::text(&self.registry)
    }
}
