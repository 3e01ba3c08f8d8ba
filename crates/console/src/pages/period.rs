//! Stretches of time that the page of costs offers. Days and weeks are those of UTC, as in the ledger.

use jiff::{Span, Timestamp, Zoned, civil::Date, tz::TimeZone};
use serde::Deserialize;

/// A stretch of time that somebody chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// From Monday until now.
    ThisWeek,
    /// From Monday to Sunday.
    LastWeek,
    /// From the first of the month until now.
    #[default]
    ThisMonth,
    /// The calendar month before.
    LastMonth,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ThisWeek,
        Self::LastWeek,
        Self::ThisMonth,
        Self::LastMonth,
    ];

    /// The word in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThisWeek => "this-week",
            Self::LastWeek => "last-week",
            Self::ThisMonth => "this-month",
            Self::LastMonth => "last-month",
        }
    }

    /// The words on the page.
    pub fn words(self) -> &'static str {
        match self {
            Self::ThisWeek => "This week",
            Self::LastWeek => "Last week",
            Self::ThisMonth => "This month",
            Self::LastMonth => "Last month",
        }
    }

    /// First second, and the first second after it.
    pub fn window(self, now: Timestamp) -> Option<(i64, i64)> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let ahead = i64::from(today.weekday().to_monday_zero_offset());
        let monday = today.checked_sub(Span::new().days(ahead)).ok()?;
        let first = today.first_of_month();
        let before = |date: Date, span: Span| date.checked_sub(span).ok();
        // At midnight there is no second of the new day yet.
        let until_now = now.as_second() + 1;
        Some(match self {
            Self::ThisWeek => (midnight(monday)?, until_now),
            Self::LastWeek => (
                midnight(before(monday, Span::new().weeks(1))?)?,
                midnight(monday)?,
            ),
            Self::ThisMonth => (midnight(first)?, until_now),
            Self::LastMonth => (
                midnight(before(first, Span::new().months(1))?)?,
                midnight(first)?,
            ),
        })
    }
}

fn midnight(date: Date) -> Option<i64> {
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

fn day(second: i64) -> Option<Zoned> {
    Some(Timestamp::from_second(second).ok()?.to_zoned(TimeZone::UTC))
}

/// `23 – 29 Nov 2026`: the days of a window.
pub fn days(since: i64, until: i64) -> String {
    let (Some(first), Some(last)) = (day(since), day(until - 1)) else {
        return String::new();
    };
    let end = last.strftime("%-d %b %Y");
    let form = if first.date() == last.date() {
        return end.to_string();
    } else if (first.year(), first.month()) == (last.year(), last.month()) {
        "%-d"
    } else if first.year() == last.year() {
        "%-d %b"
    } else {
        "%-d %b %Y"
    };
    format!("{} – {end}", first.strftime(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(period: Period, now: &str) -> (String, String) {
        let (since, until) = period.window(now.parse().unwrap()).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap().to_string();
        (at(since), at(until))
    }

    #[test]
    fn weeks_begin_on_monday_and_months_have_their_days() {
        let now = "2026-03-01T12:00:00Z";
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        for (period, since, until) in [
            (
                Period::ThisWeek,
                "2026-02-23T00:00:00Z",
                "2026-03-01T12:00:01Z",
            ),
            (
                Period::LastWeek,
                "2026-02-16T00:00:00Z",
                "2026-02-23T00:00:00Z",
            ),
            (
                Period::ThisMonth,
                "2026-03-01T00:00:00Z",
                "2026-03-01T12:00:01Z",
            ),
            (
                Period::LastMonth,
                "2026-02-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
            ),
        ] {
            assert_eq!(told(period, now), pair(since, until), "{period:?}");
        }
        let (since, until) = Period::ThisMonth
            .window("2026-03-01T00:00:00Z".parse().unwrap())
            .unwrap();
        assert!(
            since < until,
            "not even the first second of a month is empty"
        );
    }

    #[test]
    fn a_window_is_told_by_its_days() {
        let of = |period: Period, now: &str| {
            let (since, until) = period.window(now.parse().unwrap()).unwrap();
            days(since, until)
        };
        let now = "2026-01-02T12:00:00Z";
        assert_eq!(of(Period::ThisWeek, now), "29 Dec 2025 – 2 Jan 2026");
        assert_eq!(of(Period::ThisMonth, now), "1 – 2 Jan 2026");
        assert_eq!(of(Period::LastMonth, now), "1 – 31 Dec 2025");
        assert_eq!(of(Period::ThisWeek, "2026-11-30T00:00:00Z"), "30 Nov 2026");
        assert_eq!(
            of(Period::ThisWeek, "2026-04-03T00:00:00Z"),
            "30 Mar – 3 Apr 2026"
        );
    }
}
