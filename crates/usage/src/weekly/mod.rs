//! The weekly report of a team: made from the ledger alone, so that any past week can be told again, word for word.

mod chart;
mod html;
mod message;
mod text;

use crate::{
    fit::Fit,
    report::{Line, Report, Total},
    window::{self, Window},
};

pub use html::html;
pub use message::{identity, message};
pub use text::{subject_line, text};

/// How many of the most wasteful are told.
const WASTEFUL: usize = 5;

/// A team's week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// The team; empty: those without.
    pub team: String,
    /// `2026-W49`.
    pub week: String,
    /// When that is.
    pub window: Window,
    /// All of the week, by environment.
    pub report: Report,
    /// All of the week before.
    pub before: Total,
    /// Each day.
    pub days: Vec<Day>,
    /// Those that cost most.
    pub environments: Vec<Environment>,
}

/// A day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// `2026-11-30`.
    pub date: String,
    /// What was used.
    pub total: Total,
}

/// An environment in the week, the dearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// The flavor it ran longest with.
    pub flavor: String,
    /// What it used.
    pub total: Total,
    /// A smaller flavor that would have done.
    pub fit: Option<Fit>,
}

impl Weekly {
    /// Puts a week together.
    pub fn new(team: &str, report: Report, before: Total, days: Vec<Day>) -> Self {
        let window = report.window;
        let environments = report.lines.iter().map(environment).collect();
        Self {
            team: team.to_owned(),
            week: window::week_name(window.since),
            window,
            before,
            days,
            environments,
            report,
        }
    }

    /// Those that wasted most, the worst first.
    pub fn wasteful(&self) -> Vec<&Environment> {
        let mut wasteful: Vec<&Environment> = self
            .environments
            .iter()
            .filter(|environment| {
                environment.total.waste_micros > 0 || environment.total.idle_seconds > 0
            })
            .collect();
        wasteful.sort_by_key(|environment| {
            let total = &environment.total;
            std::cmp::Reverse((total.waste_micros, total.idle_seconds))
        });
        wasteful.truncate(WASTEFUL);
        wasteful
    }

    /// Those for which a smaller flavor would have done.
    pub fn too_large(&self) -> impl Iterator<Item = (&Environment, &Fit)> {
        self.environments
            .iter()
            .filter_map(|environment| Some((environment, environment.fit.as_ref()?)))
    }
}

fn environment(line: &Line) -> Environment {
    let (namespace, name) = line.key.split_once('/').unwrap_or(("", &line.key));
    let details = line.details.clone().unwrap_or_default();
    Environment {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        owner: details.owner,
        flavor: details.flavor,
        fit: details.fit,
        total: line.total,
    }
}

/// `12.5`: hours.
fn hours(seconds: i64) -> String {
    crate::money::tenths(seconds.into(), 3_600)
}

/// `42 %`, or a dash where it was not measured.
fn percent(points: Option<i64>) -> String {
    points.map_or_else(|| "–".to_owned(), |p| format!("{} %", (p + 50) / 100))
}

/// `+12 %` against before; empty where there was nothing before.
fn change(now: i64, before: i64) -> String {
    if before <= 0 {
        return String::new();
    }
    let percent = (i128::from(now) - i128::from(before)) * 100 / i128::from(before);
    format!("{percent:+} % against the week before")
}

/// The team, as it is told.
fn team_name(team: &str) -> &str {
    if team.is_empty() {
        "environments without a team"
    } else {
        team
    }
}
