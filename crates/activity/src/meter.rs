//! How much of something there was, and when there was last how much: whoever reads it chooses a threshold, and nobody has
//! to remember earlier readings.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::WINDOW_SECONDS;

/// Readings kept at most, whatever the clock does.
const MOST_READINGS: usize = 512;

/// A counter and its past rates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meter {
    /// All there was since the agent's start.
    #[serde(default)]
    pub total: u64,
    /// For each power of two: when the average over [`WINDOW_SECONDS`] was last at least that much per second.
    #[serde(default)]
    pub levels: BTreeMap<u64, Timestamp>,
}

impl Meter {
    /// When the rate was last at least `rate` per second. Thresholds count as the power of two at or below them, so that
    /// use is rather seen than overlooked.
    pub fn last_at_least(&self, rate: u64) -> Option<Timestamp> {
        let level = 1_u64 << rate.max(1).ilog2();
        self.levels.range(level..).map(|(_, at)| *at).max()
    }

    /// Of two that were measured side by side: the sum, and whatever either has reached.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.total = self.total.saturating_add(other.total);
        for (level, at) in other.levels {
            let known = self.levels.entry(level).or_insert(at);
            *known = (*known).max(at);
        }
        self
    }
}

/// Makes a [`Meter`] of readings of a counter.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    meter: Meter,
    /// What the counter last said, and how much there had been by then.
    raw: Option<u64>,
    /// Seconds and total of the readings of one window and the one before it.
    past: VecDeque<(i64, u64)>,
}

impl Recorder {
    /// Takes a reading of a counter that only grows; one that is smaller than before has begun anew.
    pub fn read(&mut self, at: Timestamp, raw: u64) {
        let more = match self.raw {
            Some(before) => raw.checked_sub(before).unwrap_or(raw),
            None => 0,
        };
        self.raw = Some(raw);
        self.add(at, more);
    }

    /// There was so much more since the last reading.
    pub fn add(&mut self, at: Timestamp, more: u64) {
        let now = at.as_second();
        // A clock that went back makes nonsense of the readings.
        if self.past.back().is_some_and(|(last, _)| *last > now) {
            self.past.clear();
        }
        if self.past.is_empty() {
            self.past.push_back((now, self.meter.total));
        }
        self.meter.total = self.meter.total.saturating_add(more);
        self.past.push_back((now, self.meter.total));
        while self.past.len() > MOST_READINGS
            || self
                .past
                .get(1)
                .is_some_and(|(second, _)| *second <= now - WINDOW_SECONDS)
        {
            self.past.pop_front();
        }
        let first = self
            .past
            .front()
            .map_or(self.meter.total, |(_, total)| *total);
        // The whole window also while there is less of a past: a busy second is no busy ten minutes.
        let begun = self.past.front().map_or(now, |(second, _)| *second);
        let seconds = (now - begun).max(WINDOW_SECONDS).unsigned_abs();
        let rate = (self.meter.total - first) / seconds.max(1);
        let mut level = 1_u64;
        while level <= rate {
            self.meter.levels.insert(level, at);
            level = match level.checked_mul(2) {
                Some(next) => next,
                None => break,
            };
        }
    }

    /// What it comes to.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_steady_rate_is_reached_after_a_window_and_held_until_it_ends() {
        let mut recorder = Recorder::default();
        let mut total = 5_000;
        for second in (0..=1200).step_by(15) {
            recorder.read(at(second), total);
            total += 15 * 1000;
        }
        let meter = recorder.meter();
        assert_eq!(
            meter.total, 1_200_000,
            "what was before the first reading is not counted"
        );
        assert_eq!(meter.last_at_least(1000), Some(at(1200)));
        assert_eq!(meter.last_at_least(512), Some(at(1200)));
        assert_eq!(meter.last_at_least(1024), None);
        // Nothing happens any more: the average falls below half of it within half a window.
        for second in (1215..=3000).step_by(15) {
            recorder.add(at(second), 0);
        }
        let last = recorder.meter().last_at_least(256).unwrap().as_second();
        assert!((1200 + 400..=1200 + 460).contains(&last), "{last}");
        assert_eq!(recorder.meter().last_at_least(1).unwrap().as_second(), 1785);
    }

    #[test]
    fn a_burst_counts_as_its_average_also_right_after_the_start() {
        let mut recorder = Recorder::default();
        recorder.add(at(0), 0);
        recorder.add(at(30), 30_000);
        assert_eq!(recorder.meter().last_at_least(32), Some(at(30)));
        assert_eq!(recorder.meter().last_at_least(64), None);
    }

    #[test]
    fn rates_are_exact_when_readings_are_rare() {
        let mut recorder = Recorder::default();
        recorder.add(at(0), 0);
        recorder.add(at(1200), 1200 * 300);
        assert_eq!(recorder.meter().last_at_least(256), Some(at(1200)));
        assert_eq!(recorder.meter().last_at_least(512), None);
    }

    #[test]
    fn clocks_that_jump_and_counters_that_begin_anew_do_no_harm() {
        let mut recorder = Recorder::default();
        recorder.read(at(1000), 900);
        recorder.read(at(1015), 100);
        assert_eq!(recorder.meter().total, 100);
        recorder.read(at(10), 200);
        recorder.read(at(i64::from(i32::MAX)), 300);
        assert_eq!(recorder.meter().total, 300);
        for _ in 0..2000 {
            recorder.add(at(i64::from(i32::MAX)), u64::MAX / 4);
        }
        assert_eq!(recorder.meter().total, u64::MAX);
        assert!(recorder.past.len() <= MOST_READINGS);
    }

    #[test]
    fn two_meters_join_to_their_sum_and_the_later_of_their_instants() {
        let meter = |total, levels: &[(u64, i64)]| Meter {
            total,
            levels: levels
                .iter()
                .map(|(level, second)| (*level, at(*second)))
                .collect(),
        };
        let joined = meter(3, &[(1, 9), (2, 5)]).join(meter(4, &[(1, 7), (4, 6)]));
        assert_eq!(joined, meter(7, &[(1, 9), (2, 5), (4, 6)]));
    }
}
