//! Instants that stay instants, whatever number of seconds somebody has written down.

use jiff::{SignedDuration, Timestamp};

/// A span of so many seconds, or the longest.
pub(crate) fn span(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// So many seconds later, or at the end of time.
pub(crate) fn after(at: Timestamp, seconds: u64) -> Timestamp {
    at.checked_add(span(seconds)).unwrap_or(Timestamp::MAX)
}

/// So many seconds earlier, or at its beginning.
pub(crate) fn before(at: Timestamp, seconds: u64) -> Timestamp {
    at.checked_sub(span(seconds)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_seconds_leads_out_of_time() {
        let at = Timestamp::from_second(1_000).unwrap();
        assert_eq!(after(at, 5).as_second(), 1_005);
        assert_eq!(before(at, 5).as_second(), 995);
        for far in [u64::MAX, 1 << 62] {
            assert_eq!(after(at, far), Timestamp::MAX);
            assert_eq!(before(at, far), Timestamp::MIN);
        }
    }
}
