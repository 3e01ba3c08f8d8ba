//! Counters of idle environments; every label has few values.

use std::collections::BTreeMap;

use devserver_api::IdleStage;
use devserver_process::pages;
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Delivery {
    sink: &'static str,
    outcome: &'static str,
}

/// Counters of idle environments.
pub struct Idle {
    states: Family<State, Gauge>,
    interval: Gauge,
    evaluated: Gauge,
    questions: Family<Outcome, Counter>,
    stages: Family<Stage, Counter>,
    stops: Family<Outcome, Counter>,
    deliveries: Family<Delivery, Counter>,
}

impl Idle {
    /// Names and registers them.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let idle = Self {
            states: Family::default(),
            interval: Gauge::default(),
            evaluated: Gauge::default(),
            questions: Family::default(),
            stages: Family::default(),
            stops: Family::default(),
            deliveries: Family::default(),
        };
        registry.register(
            "idle_environments",
            "Running environments with a policy for idle ones, by whether somebody uses them",
            idle.states.clone(),
        );
        registry.register_with_unit(
            "idle_interval",
            "How often agents are to be asked by this replica; 0: it asks none",
            Unit::Seconds,
            idle.interval.clone(),
        );
        registry.register_with_unit(
            "idle_evaluation_timestamp",
            "When all agents were asked last",
            Unit::Seconds,
            idle.evaluated.clone(),
        );
        registry.register(
            "idle_questions",
            "Questions to agents, by outcome",
            idle.questions.clone(),
        );
        registry.register(
            "idle_stages",
            "Stages of the policy for idle environments that came",
            idle.stages.clone(),
        );
        registry.register(
            "idle_stops",
            "Idle environments to be stopped, by what became of it",
            idle.stops.clone(),
        );
        registry.register(
            "idle_notifications",
            "Notifications, by way and outcome",
            idle.deliveries.clone(),
        );
        idle.begin_at_zero();
        idle
    }

    fn begin_at_zero(&self) {
        let outcomes =
            |words: &'static [&'static str]| words.iter().map(|outcome| Outcome { outcome });
        pages::at_zero(&self.questions, outcomes(&["answered", "silent"]));
        let stages = IdleStage::ALL.map(IdleStage::as_str);
        pages::at_zero(&self.stages, stages.map(|stage| Stage { stage }));
        pages::at_zero(&self.stops, outcomes(&["stopped", "waits"]));
        for sink in ["mail", "webhook", "slack"] {
            let of_sink = |outcome| Delivery { sink, outcome };
            let outcomes = ["delivered", "retried", "given_up"];
            pages::at_zero(&self.deliveries, outcomes.map(of_sink));
        }
    }

    /// From now on all agents are to be asked that often.
    pub fn begins(&self, interval_seconds: u32) {
        self.interval.set(interval_seconds.into());
    }

    /// All agents were asked; how many environments are in each state.
    pub fn round(&self, counts: &BTreeMap<&'static str, i64>, now: Timestamp) {
        for state in ["Active", "Idle", "Held", "Snoozed", "Unknown"] {
            let count = counts.get(state).copied().unwrap_or_default();
            self.states.get_or_create(&State { state }).set(count);
        }
        self.evaluated.set(now.as_second());
    }

    /// An agent was asked.
    pub fn asked(&self, answered: bool) {
        let outcome = if answered { "answered" } else { "silent" };
        self.questions.get_or_create(&Outcome { outcome }).inc();
    }

    /// A stage came.
    pub fn stage(&self, stage: &'static str) {
        self.stages.get_or_create(&Stage { stage }).inc();
    }

    /// One is to be stopped: `stopped` or `waits`.
    pub fn stop(&self, outcome: &'static str) {
        self.stops.get_or_create(&Outcome { outcome }).inc();
    }

    /// A notification was `delivered`, `retried` or `given_up`.
    pub fn delivery(&self, sink: &'static str, outcome: &'static str) {
        let delivery = Delivery { sink, outcome };
        self.deliveries.get_or_create(&delivery).inc();
    }
}
