//! Per-object exponential backoff with jitter: 1 s, 2 s, 4 s … 5 min.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::Rng;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_mins(5);

/// Failures in a row, per object.
#[derive(Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// One more failure: how long to wait.
    pub fn next(&self, object: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(object.to_owned()).or_default();
        let wait = FIRST.saturating_mul(1 << (*count).min(9)).min(LAST);
        *count = count.saturating_add(1);
        spread(wait)
    }

    /// It went well: the next failure is the first again.
    pub fn reset(&self, object: &str) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object);
    }
}

/// The duration, 20 % more or less, so that what began together does not stay together.
pub fn spread(duration: Duration) -> Duration {
    duration.mul_f64(rand::rng().random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_its_bound_and_starts_anew_after_a_success() {
        let backoff = Backoff::default();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next("a")).collect();
        assert!(waits[0] < Duration::from_millis(1300));
        assert!(waits[19] > Duration::from_secs(200) && waits[19] < Duration::from_secs(400));
        backoff.reset("a");
        assert!(backoff.next("a") < Duration::from_millis(1300));
    }
}
