//! Stretches of time: seconds since the epoch, the end not in it.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Seconds of a day. Days are those of UTC.
pub const DAY: i64 = 86_400;

/// From an instant to another, which is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First second.
    pub since: i64,
    /// First second after it.
    pub until: i64,
}

impl Window {
    /// The days from one to another, the latter not in it.
    pub fn days(first: Date, end: Date) -> Option<Self> {
        Some(Self {
            since: midnight(first)?,
            until: midnight(end)?,
        })
    }

    /// The week of seven days, Monday first, that holds the instant.
    pub fn week_of(second: i64) -> Self {
        // The epoch was a Thursday.
        let monday = (second.div_euclid(DAY) + 3).div_euclid(7) * 7 - 3;
        Self {
            since: monday * DAY,
            until: (monday + 7) * DAY,
        }
    }

    /// The calendar month that holds the instant.
    pub fn month_of(second: i64) -> Option<Self> {
        let date = date(second)?;
        let first = date.first_of_month();
        Self::days(first, first.last_of_month().tomorrow().ok()?)
    }

    /// Seconds in it.
    pub fn seconds(self) -> i64 {
        (self.until - self.since).max(0)
    }

    /// Its days, the first and the last as far as they are in it.
    pub fn each_day(self) -> Vec<Self> {
        self.split((self.since.div_euclid(DAY) + 1..).map(|day| day * DAY))
    }

    /// Its parts between instants that come in order.
    pub fn split(self, instants: impl Iterator<Item = i64>) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut since = self.since;
        for instant in instants {
            if instant >= self.until {
                break;
            }
            if instant > since {
                parts.push(Self {
                    since,
                    until: instant,
                });
                since = instant;
            }
        }
        if since < self.until {
            parts.push(Self {
                since,
                until: self.until,
            });
        }
        parts
    }
}

/// The day of an instant.
pub fn date(second: i64) -> Option<Date> {
    let instant = Timestamp::from_second(second).ok()?;
    Some(instant.to_zoned(TimeZone::UTC).date())
}

/// First second of a day.
pub fn midnight(date: Date) -> Option<i64> {
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// `2026-W49`: the week of ISO 8601 in which an instant is.
pub fn week_name(second: i64) -> String {
    date(second).map_or_else(String::new, |date| {
        let week = date.iso_week_date();
        format!("{}-W{:02}", week.year(), week.week())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn weeks_begin_on_monday_and_months_have_their_days() {
        let week = Window::week_of(at("2026-11-29T23:59:59Z"));
        assert_eq!(week.since, at("2026-11-23T00:00:00Z"));
        assert_eq!(week.until, at("2026-11-30T00:00:00Z"));
        assert_eq!(Window::week_of(week.until).since, week.until);
        assert_eq!(week_name(week.since), "2026-W48");
        let month = Window::month_of(at("2028-02-29T12:00:00Z")).unwrap();
        assert_eq!(month.seconds(), 29 * DAY);
    }

    #[test]
    fn parts_cover_the_whole_once() {
        let window = Window {
            since: 100,
            until: 3 * DAY + 5,
        };
        let days = window.each_day();
        assert_eq!(days.len(), 4);
        assert_eq!(
            days.iter().map(|d| d.seconds()).sum::<i64>(),
            window.seconds()
        );
        assert_eq!(window.split([0, 100, 200, 200].into_iter()).len(), 2);
        let nothing = Window { since: 5, until: 5 };
        assert!(nothing.each_day().is_empty());
    }
}
