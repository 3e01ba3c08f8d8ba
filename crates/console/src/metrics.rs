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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    host: &'static str,
    code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Write {
    action: &'static str,
    outcome: &'static str,
}

/// All counters of the console.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    logins: Family<Outcome, Counter>,
    writes: Family<Write, Counter>,
    editors: Family<Outcome, Counter>,
    pages: Histogram,
    dial: Histogram,
    /// Websockets that lead to an editor.
    pub websockets: Gauge,
    /// Pages that are told of changes.
    pub listeners: Gauge,
    /// Lines of the audit that could not be written.
    pub audit_lost: Gauge,
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
            registry: Registry::with_prefix("devserver_console"),
            answers: Family::default(),
            logins: Family::default(),
            writes: Family::default(),
            editors: Family::default(),
            pages: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            dial: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            websockets: Gauge::default(),
            listeners: Gauge::default(),
            audit_lost: Gauge::default(),
        };
        let into = &mut metrics.registry;
        into.register(
            "answers",
            "Answers by host and code",
            metrics.answers.clone(),
        );
        into.register(
            "logins",
            "Logins and why they failed",
            metrics.logins.clone(),
        );
        into.register(
            "writes",
            "Changes that people asked for",
            metrics.writes.clone(),
        );
        let help = "Requests for editors: opened, or why not";
        into.register("editor_requests", help, metrics.editors.clone());
        let help = "Time to answer a page";
        into.register_with_unit("page", help, Unit::Seconds, metrics.pages.clone());
        let help = "Time to connect to a pod";
        into.register_with_unit("dial", help, Unit::Seconds, metrics.dial.clone());
        into.register(
            "websockets",
            "Open websockets to editors",
            metrics.websockets.clone(),
        );
        let help = "Open pages that are told of changes";
        into.register("listeners", help, metrics.listeners.clone());
        let help = "Lines of the audit that could not be written";
        into.register("audit_lines_lost", help, metrics.audit_lost.clone());
        // What alerts and dashboards go by (`deploy/monitoring`).
        let outcomes = ["ok", "silent", "address", "broken"];
        pages::at_zero(
            &metrics.editors,
            outcomes.map(|outcome| Outcome { outcome }),
        );
        pages::at_zero(&metrics.logins, ["ok"].map(|outcome| Outcome { outcome }));
        let codes = [200, 500, 502, 503, 504];
        let host = "console";
        pages::at_zero(&metrics.answers, codes.map(|code| Answer { host, code }));
        metrics
    }

    /// A request was answered.
    pub fn answered(&self, host: &'static str, code: u16, took: Duration) {
        self.answers.get_or_create(&Answer { host, code }).inc();
        if host == "console" {
            self.pages.observe(took.as_secs_f64());
        }
    }

    /// Somebody tried to log in: `ok`, or why not.
    pub fn logged_in(&self, outcome: &'static str) {
        self.logins.get_or_create(&Outcome { outcome }).inc();
    }

    /// Somebody wanted a change.
    pub fn wrote(&self, action: &'static str, outcome: &'static str) {
        self.writes.get_or_create(&Write { action, outcome }).inc();
    }

    /// Somebody wanted something of an editor.
    pub fn asked(&self, outcome: &'static str) {
        self.editors.get_or_create(&Outcome { outcome }).inc();
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

/// One more, until it is dropped.
pub struct Counted(Gauge);

impl Counted {
    /// Counts one more.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
