//! Counters of the ledger. Teams are labels only where the configuration names them with a budget.

use devserver_core::{
    Platform,
    budget::{Spent, Standing, standing},
};
use devserver_process::pages;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Spendings;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Team {
    team: String,
}

/// Counters of the ledger.
#[derive(Default)]
pub struct UsageMetrics {
    environments: Gauge,
    counted_to: Gauge,
    writes: Family<Outcome, Counter>,
    reports: Family<Outcome, Counter>,
    spent: Family<Team, Gauge>,
    budgets: Family<Team, Gauge>,
    warnings: Family<Team, Gauge>,
}

impl UsageMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "usage_environments",
            "Environments and kept homes that are counted",
            self.environments.clone(),
        );
        registry.register(
            "usage_counted_to_timestamp_seconds",
            "Up to when usage is in the ledger, in seconds since the epoch",
            self.counted_to.clone(),
        );
        registry.register(
            "usage_writes",
            "Writes to the ledger, by how they ended",
            self.writes.clone(),
        );
        registry.register(
            "usage_reports",
            "Weekly reports, by how sending them ended",
            self.reports.clone(),
        );
        registry.register(
            "usage_team_spent_micros",
            "What teams with a budget have spent this month, in millionths of the currency",
            self.spent.clone(),
        );
        registry.register(
            "usage_team_budget_micros",
            "Budgets of teams for a month, in millionths of the currency",
            self.budgets.clone(),
        );
        registry.register(
            "usage_team_budget_warning_percent",
            "Highest of a team's warnPercent that is reached this month; 0: none; 100: the budget is spent",
            self.warnings.clone(),
        );
        let outcomes =
            |words: &'static [&'static str]| words.iter().map(|outcome| Outcome { outcome });
        pages::at_zero(&self.writes, outcomes(&["ok", "failed"]));
        pages::at_zero(&self.reports, outcomes(&["sent", "failed", "unknown"]));
    }

    /// So many are counted.
    pub fn looked(&self, environments: usize) {
        self.environments
            .set(i64::try_from(environments).unwrap_or(i64::MAX));
    }

    /// The ledger counts up to that second.
    pub fn wrote(&self, at: i64) {
        self.counted_to.set(at);
        self.writes.get_or_create(&Outcome { outcome: "ok" }).inc();
    }

    /// The ledger could not be used.
    pub fn failed(&self) {
        self.writes
            .get_or_create(&Outcome { outcome: "failed" })
            .inc();
    }

    /// A report was sent, failed, or may have been sent before by somebody who did not come to say so.
    pub fn reported(&self, outcome: &'static str) {
        self.reports.get_or_create(&Outcome { outcome }).inc();
    }

    /// What teams with a budget have spent.
    pub fn spent(&self, platform: &Platform, spendings: &Spendings) {
        for (team, settings) in &platform.teams {
            let Some(budget) = &settings.budget else {
                continue;
            };
            let label = Team { team: team.clone() };
            self.budgets
                .get_or_create(&label)
                .set(budget.micros_per_month);
            if let Spent::Micros(micros) = spendings.of(team) {
                self.spent.get_or_create(&label).set(micros);
                let reached = match standing(budget, micros) {
                    Standing::Within => 0,
                    Standing::Warned(percent) => i64::from(percent),
                    Standing::Exhausted => 100,
                };
                self.warnings.get_or_create(&label).set(reached);
            }
        }
    }
}
