//! From what was seen to intervals: no second twice, none lost.
//!
//! The meter has one clock, [`State::at`], up to which everything is counted. Each look moves it on; what lies between
//! belongs to what was known. An interval that goes on has no end in the ledger, which means: up to the ledger's clock.
//! So a look at which nothing changed writes one number, and a look that was not written simply did not happen yet.
//!
//! | what happens | what is counted |
//! |---|---|
//! | a change is seen | the old until the change began, as the API server tells it, then the new |
//! | nobody looked for a while (restart, other leader) | what was there before and is there unchanged: all of it |
//! | … and it is gone or another one now | the old for [`UNSEEN`] at most, or until the new began |
//! | the clock jumps, while the process lives | the time that passed by a clock that cannot jump, no more and no less |
//! | the clock went back while nobody looked | nothing for the time that is told twice |
//! | the same name again | another UID: another environment |

mod change;

use std::collections::BTreeMap;

use crate::{
    subject::Subject,
    window::{DAY, Window},
};

/// How long something is believed to have gone on though nobody looked and it is no longer so, in seconds.
pub const UNSEEN: i64 = 300;
/// How far two looks may be apart by the API server's clock and by ours before it is a jump, in seconds.
pub const TOLERANCE: i64 = 5;

/// When a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The API server's time, in seconds since the epoch.
    pub wall: i64,
    /// Seconds since the look before by a clock that cannot jump; `None`: the first look of this process.
    pub elapsed: Option<i64>,
}

/// An environment as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it is and counts for.
    pub subject: Subject,
    /// When the DevServer was created, by the API server's clock.
    pub created: Option<i64>,
    /// Since when it is as it is (its pod has its node), by the API server's clock; `None`: nobody says.
    pub since: Option<i64>,
    /// What it uses now; `None`: not measured.
    pub used: Option<Use>,
}

/// What is used at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
}

/// What was used over an interval, as far as it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Seconds for which it was measured.
    pub measured: i64,
    /// Thousandths of a processor, times seconds.
    pub cpu_milli_seconds: i64,
    /// Bytes of memory, times seconds.
    pub memory_byte_seconds: i64,
    /// Most bytes of memory at a moment.
    pub peak_memory_bytes: i64,
}

impl Used {
    fn add(&mut self, used: Use, seconds: i64) {
        let times = |amount: i64| amount.max(0).saturating_mul(seconds);
        self.measured = self.measured.saturating_add(seconds);
        self.cpu_milli_seconds = self.cpu_milli_seconds.saturating_add(times(used.cpu_milli));
        self.memory_byte_seconds = self
            .memory_byte_seconds
            .saturating_add(times(used.memory_bytes));
        self.peak_memory_bytes = self.peak_memory_bytes.max(used.memory_bytes);
    }
}

/// An interval that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What it is about.
    pub subject: Subject,
    /// [`Subject::id`].
    pub id: i64,
    /// Batch in which it began: with the subject and the start what it is known by.
    pub batch: i64,
    /// First second.
    pub start: i64,
    /// What was used so far.
    pub used: Used,
    /// Whether the ledger has it.
    pub written: bool,
}

/// An interval as it is written. Written again, it replaces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// [`Subject::id`].
    pub subject: i64,
    /// Batch in which it began.
    pub batch: i64,
    /// First second.
    pub start: i64,
    /// First second after it; `None`: it goes on, up to the ledger's clock.
    pub end: Option<i64>,
    /// What was used.
    pub used: Used,
}

/// What the ledger holds of the present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Up to when everything is counted; `None`: the ledger is new.
    pub at: Option<i64>,
    /// Number of the last batch.
    pub batch: i64,
    /// Intervals that go on, one for each UID.
    pub open: Vec<Open>,
}

/// What is written at once, wholly or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The last batch that the ledger must hold; else somebody else has written, and this counts for nothing.
    pub after: i64,
    /// Number of this one.
    pub number: i64,
    /// Up to when everything is counted with it.
    pub at: i64,
    /// Subjects of the intervals; those that the ledger has are left as they are.
    pub subjects: BTreeMap<i64, Subject>,
    /// Intervals that began, ended or have grown.
    pub intervals: Vec<Interval>,
}

/// Counts.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    at: Option<i64>,
    /// Number of the last batch in the ledger.
    written: i64,
    /// Number of the batch that is being collected.
    batch: i64,
    open: BTreeMap<String, Open>,
    pending: BTreeMap<(i64, i64, i64), Interval>,
    subjects: BTreeMap<i64, Subject>,
}

impl Meter {
    /// Goes on from what the ledger holds.
    pub fn new(state: State) -> Self {
        let key = |open: Open| (open.subject.uid.clone(), open);
        Self {
            at: state.at,
            written: state.batch,
            batch: state.batch + 1,
            open: state.open.into_iter().map(key).collect(),
            ..Self::default()
        }
    }

    /// Up to when everything is counted.
    pub fn at(&self) -> Option<i64> {
        self.at
    }

    /// Intervals that go on.
    pub fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// Whether there is more to write than the time.
    pub fn has_changes(&self) -> bool {
        !self.pending.is_empty()
    }

    /// One look: all environments there are. Of several with one UID the last counts.
    pub fn look(&mut self, moment: Moment, seen: &[Seen]) {
        let Some(at) = self.at else {
            self.at = Some(moment.wall);
            return self.begin(moment.wall, seen);
        };
        let (window, unseen) = self.window(at, moment);
        self.at = Some(window.until);
        self.change(window, unseen, seen);
        if window.since.div_euclid(DAY) != window.until.div_euclid(DAY) {
            self.cut(window.until);
        }
    }

    /// What is counted by this look, and whether nobody looked in between.
    fn window(&mut self, at: i64, moment: Moment) -> (Window, bool) {
        let until = moment.wall;
        let Some(elapsed) = moment.elapsed.map(|elapsed| elapsed.max(0)) else {
            if until < at {
                self.move_to(until, at);
            }
            let since = at.min(until);
            return (Window { since, until }, true);
        };
        let drift = until - (at + elapsed);
        if drift.abs() <= TOLERANCE {
            // Never back, not even by the second that the API server's answer rounds away.
            let until = until.max(at);
            return (Window { since: at, until }, false);
        }
        let since = until - elapsed;
        self.move_to(since, at);
        (Window { since, until }, false)
    }

    /// The clock jumped: what goes on ends where it was counted to, and goes on from the new time.
    fn move_to(&mut self, since: i64, at: i64) {
        // Times that were counted under the old clock may come again: another batch, so that nothing is taken for the same.
        let batch = self.batch;
        self.batch += 1;
        for mut open in std::mem::take(&mut self.open).into_values() {
            self.close(&open, at);
            open.start = since;
            open.batch = batch + 1;
            open.used = Used::default();
            open.written = false;
            self.insert(open);
        }
    }

    /// What is to be written: all that changed, and the time. Stays until [`Self::wrote`]; `with_use`: also what intervals
    /// that go on have used.
    pub fn batch(&mut self, with_use: bool) -> Option<Batch> {
        let at = self.at?;
        if with_use {
            let measured: Vec<Open> = self
                .open
                .values()
                .filter(|open| open.used.measured > 0)
                .cloned()
                .collect();
            for open in &measured {
                self.pend(open, None);
            }
        }
        Some(Batch {
            after: self.written,
            number: self.batch,
            at,
            subjects: self.subjects.clone(),
            intervals: self.pending.values().cloned().collect(),
        })
    }

    /// The batch is in the ledger.
    pub fn wrote(&mut self, number: i64) {
        self.written = number;
        self.batch = self.batch.max(number) + 1;
        self.pending.clear();
        self.subjects.clear();
        for open in self.open.values_mut() {
            open.written = true;
        }
    }
}
