//! Which warning before the end is due. Those that are past collapse into the one nearest to the end.

use jiff::{SignedDuration, Timestamp};

/// The newest warning whose instant has come, in seconds before the end; `None`: none has.
pub fn given(ends: Timestamp, warnings: &[u64], now: Timestamp) -> Option<u64> {
    let is_due = |seconds: &u64| instant(ends, *seconds).is_some_and(|at| now >= at);
    warnings.iter().copied().filter(is_due).min()
}

/// The instant of the next warning; `None`: there is none before the end.
pub fn next(ends: Timestamp, warnings: &[u64], now: Timestamp) -> Option<Timestamp> {
    let instants = warnings
        .iter()
        .filter_map(|seconds| instant(ends, *seconds));
    instants.filter(|at| *at > now).min()
}

fn instant(ends: Timestamp, seconds: u64) -> Option<Timestamp> {
    let span = SignedDuration::from_secs(i64::try_from(seconds).ok()?);
    ends.checked_sub(span).ok()
}
