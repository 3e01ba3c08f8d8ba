//! How many deletions by time are made in a minute.
//!
//! A mistake in a clock, a setting or a release must not cost everything before somebody sees it. The count is of one
//! process and is not stored: a restart begins a new minute, which a mistake of that kind does not outlive by much.

use std::time::Duration;

/// The window in which deletions are counted.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How long the next deletion has to wait; zero: not at all.
///
/// `past` holds the instants of earlier deletions on a clock that only goes forward, oldest first.
pub fn wait(past: &[Duration], per_minute: u16, now: Duration) -> Duration {
    // The one that has to leave the window before another fits into it.
    let first = past.len().checked_sub(usize::from(per_minute.max(1)));
    match first.and_then(|index| past.get(index)) {
        Some(oldest) => oldest.saturating_add(WINDOW).saturating_sub(now),
        None => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn as_many_as_may_be_go_at_once_and_the_next_waits_for_the_first_to_be_a_minute_ago() {
        assert_eq!(wait(&[], 2, s(5)), s(0));
        assert_eq!(wait(&[s(5)], 2, s(5)), s(0));
        assert_eq!(wait(&[s(5), s(7)], 2, s(10)), s(55));
        assert_eq!(wait(&[s(5), s(7)], 2, s(65)), s(0));
        assert_eq!(wait(&[s(5), s(7), s(65)], 2, s(66)), s(1));
    }

    #[test]
    fn no_window_of_a_minute_holds_more_than_allowed() {
        let (mut past, mut now) = (Vec::new(), Duration::ZERO);
        for step in 0..200_u64 {
            now += Duration::from_millis(step * 37 % 900);
            now += wait(&past, 10, now);
            past.push(now);
        }
        for (index, begin) in past.iter().enumerate() {
            let within = past[index..].iter().filter(|at| **at < *begin + WINDOW);
            assert!(within.count() <= 10, "from {begin:?}");
        }
    }

    #[test]
    fn nothing_waits_for_ever() {
        assert_eq!(wait(&[s(1)], 0, s(1)), WINDOW, "zero counts as one");
    }
}
