//! Hours in which idle time counts: nights, weekends and holidays need not. Pure: the time zone database is compiled in.

mod written;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::instant::span;

pub use written::{Day, HoursError, Range, Written};

/// Parts of a day and days that are looked at before it is given up: more than ten years.
const MOST_STEPS: usize = 20_000;
/// Minutes of a day by the clock on the wall.
const DAY: u16 = 24 * 60;

/// Hours in which idle time counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct WorkingHours {
    written: Written,
    zone: TimeZone,
    /// From Monday: minutes of the day, in order and apart from each other.
    week: [Vec<(u16, u16)>; 7],
    /// First and last day of each.
    holidays: Vec<(Date, Date)>,
}

impl WorkingHours {
    /// The instant at which so many seconds have counted since then.
    ///
    /// Exactly those instants count whose time by the clock on the wall is in the hours. When the clocks are changed in them,
    /// the hour that is left out is not there, and the one that comes twice counts twice.
    pub fn after(&self, since: Timestamp, seconds: u64) -> Timestamp {
        let mut left = span(seconds);
        let mut at = since;
        for _ in 0..MOST_STEPS {
            let wall = self.zone.to_datetime(at);
            let Some((counts, until)) = self.look(wall) else {
                break;
            };
            let mut end = at
                .checked_add(wall.duration_until(until))
                .unwrap_or(Timestamp::MAX);
            // What the clock on the wall shows after a change has to be seen.
            if let Some(change) = self.zone.following(at).next() {
                end = end.min(change.timestamp());
            }
            if counts {
                let part = end.duration_since(at);
                if left <= part {
                    return at.checked_add(left).unwrap_or(Timestamp::MAX);
                }
                left = left.saturating_sub(part);
            }
            at = end;
        }
        Timestamp::MAX
    }

    /// Whether it counts at that time by the clock on the wall, and until when that is so.
    fn look(&self, wall: DateTime) -> Option<(bool, DateTime)> {
        let date = wall.date();
        let tomorrow = date
            .tomorrow()
            .ok()?
            .to_datetime(jiff::civil::Time::midnight());
        let at = |minutes: u16| {
            if minutes >= DAY {
                return Some(tomorrow);
            }
            let (hour, minute) = (minutes / 60, minutes % 60);
            let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
            Some(date.at(hour, minute, 0, 0))
        };
        for (from, to) in self.of(date) {
            let (from, to) = (at(*from)?, at(*to)?);
            if wall < from {
                return Some((false, from));
            }
            if wall < to {
                return Some((true, to));
            }
        }
        Some((false, tomorrow))
    }

    /// The hours of a day.
    fn of(&self, date: Date) -> &[(u16, u16)] {
        let is_holiday = |(first, last): &(Date, Date)| (*first..=*last).contains(&date);
        if self.holidays.iter().any(is_holiday) {
            return &[];
        }
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).ok();
        let hours = day.and_then(|day| self.week.get(day));
        hours.map(Vec::as_slice).unwrap_or_default()
    }
}
