//! What tests of the ledger have in common: a world whose truth is known to the second, and a ledger in memory.

#![allow(dead_code, reason = "not every test file uses all of it")]

pub mod database;

use std::collections::BTreeMap;

use devserver_usage::{
    Amounts, Batch, Interval, Meter, Phase, Seen, State, Subject,
    meter::{Open, Use},
};

/// Something that is true of an environment for a while.
#[derive(Clone, Debug)]
pub struct Fact {
    pub from: i64,
    pub to: i64,
    pub subject: Subject,
}

/// All that is true, and what a look at a second sees of it.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub facts: Vec<Fact>,
    seen: Vec<Seen>,
}

impl World {
    pub fn new(facts: Vec<Fact>) -> Self {
        let seen = facts.iter().map(|fact| sight(fact, &facts)).collect();
        Self { facts, seen }
    }

    /// What is seen at a second of the true time; `shift`: how far the API server's clock is ahead.
    pub fn seen(&self, second: i64, shift: i64) -> Vec<Seen> {
        let there = self
            .facts
            .iter()
            .zip(&self.seen)
            .filter(|(fact, _)| fact.from <= second && second < fact.to);
        there
            .map(|(_, seen)| Seen {
                created: seen.created.map(|at| at + shift),
                since: seen.since.map(|at| at + shift),
                ..seen.clone()
            })
            .collect()
    }

    /// Thousandths of cores times seconds, by what `key` says.
    pub fn cpu(
        &self,
        window: (i64, i64),
        key: impl Fn(&Subject) -> String,
    ) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for fact in &self.facts {
            let seconds = fact.to.min(window.1) - fact.from.max(window.0);
            if seconds > 0 {
                *sums.entry(key(&fact.subject)).or_default() +=
                    seconds * fact.subject.requested.cpu_milli;
            }
        }
        sums
    }
}

/// How a fact looks. A pod knows since when it has its node; nobody dates a change of a label or of the idle state.
fn sight(fact: &Fact, facts: &[Fact]) -> Seen {
    let mine = || facts.iter().filter(|f| f.subject.uid == fact.subject.uid);
    let runs = fact.subject.phase != Phase::Stopped;
    let mut since = fact.from;
    while let Some(before) = mine().find(|f| f.to == since && f.subject.phase != Phase::Stopped) {
        since = before.from;
    }
    let requested = fact.subject.requested;
    Seen {
        subject: fact.subject.clone(),
        created: mine().map(|f| f.from).min(),
        since: runs.then_some(since),
        used: runs.then_some(Use {
            cpu_milli: requested.cpu_milli / 4,
            memory_bytes: requested.memory_bytes / 2,
        }),
    }
}

/// A ledger in memory, with the same rules as the databases.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub at: Option<i64>,
    pub batch: i64,
    pub subjects: BTreeMap<i64, Subject>,
    pub intervals: BTreeMap<(i64, i64, i64), Interval>,
}

impl Book {
    /// Writes, unless somebody else has.
    pub fn write(&mut self, batch: &Batch) -> bool {
        if batch.after != self.batch {
            return false;
        }
        self.batch = batch.number;
        self.at = Some(batch.at);
        self.subjects.extend(batch.subjects.clone());
        for interval in &batch.intervals {
            let key = (interval.subject, interval.batch, interval.start);
            self.intervals.insert(key, interval.clone());
        }
        true
    }

    pub fn state(&self) -> State {
        let open = self.intervals.values().filter(|i| i.end.is_none());
        State {
            at: self.at,
            batch: self.batch,
            open: open
                .map(|i| Open {
                    subject: self.subjects[&i.subject].clone(),
                    id: i.subject,
                    batch: i.batch,
                    start: i.start,
                    used: i.used,
                    written: true,
                })
                .collect(),
        }
    }

    pub fn end(&self, interval: &Interval) -> i64 {
        interval.end.or(self.at).unwrap()
    }

    /// Thousandths of cores times seconds, by what `key` says.
    pub fn cpu(&self, key: impl Fn(&Subject) -> String) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for interval in self.intervals.values() {
            let subject = &self.subjects[&interval.subject];
            *sums.entry(key(subject)).or_default() +=
                (self.end(interval) - interval.start) * subject.requested.cpu_milli;
        }
        sums
    }

    /// Fails where one second of one environment is counted twice, or an interval crosses midnight.
    pub fn check(&self, may_overlap: bool) {
        let mut by_uid: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
        for interval in self.intervals.values() {
            let end = self.end(interval);
            assert!(interval.start <= end, "{interval:?}");
            let crosses = end > interval.start
                && interval.start.div_euclid(86_400) != (end - 1).div_euclid(86_400);
            assert!(!crosses, "crosses midnight: {interval:?}");
            let uid = &self.subjects[&interval.subject].uid;
            by_uid.entry(uid).or_default().push((interval.start, end));
        }
        for (uid, mut spans) in by_uid {
            spans.retain(|(start, end)| start < end);
            spans.sort_unstable();
            for pair in spans.windows(2) {
                assert!(
                    may_overlap || pair[0].1 <= pair[1].0,
                    "{uid} twice: {pair:?}"
                );
            }
        }
    }
}

/// Writes what the meter has; `false`: somebody else was faster, and it goes on from the book.
pub fn flush(meter: &mut Meter, book: &mut Book) -> bool {
    let Some(batch) = meter.batch(false) else {
        return true;
    };
    let is_written = book.write(&batch);
    if is_written {
        meter.wrote(batch.number);
    } else {
        *meter = Meter::new(book.state());
    }
    is_written
}

/// A subject that runs.
pub fn subject(uid: &str, team: &str, cores: i64) -> Subject {
    Subject {
        uid: uid.to_owned(),
        namespace: "dev-alice".to_owned(),
        name: uid.split('.').next().unwrap_or(uid).to_owned(),
        owner: "alice".to_owned(),
        team: team.to_owned(),
        project: "p".to_owned(),
        flavor: format!("cpu-{cores}"),
        spot: false,
        phase: Phase::Running,
        requested: Amounts {
            cpu_milli: cores * 1_000,
            memory_bytes: cores << 32,
            gpus: 0,
        },
        limit: Amounts {
            cpu_milli: cores * 2_000,
            memory_bytes: cores << 32,
            gpus: 0,
        },
        volume_bytes: 20 << 30,
    }
}
