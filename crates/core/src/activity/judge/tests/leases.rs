//! Leases, from inside and from outside.

use super::*;

fn hold(since: i64, until: i64) -> Hold {
    Hold {
        by: "dev".into(),
        what: "make train".into(),
        since: minute(since),
        until: minute(until),
    }
}

#[test]
fn e3_a_lease_holds_until_its_end_or_the_bound_and_being_idle_begins_there() {
    let policy = Policy {
        max_hold_seconds: 2 * 3600,
        ..Policy::default()
    };
    let with = |hold: Hold, minutes| Report {
        holds: vec![hold],
        ..at(minutes)
    };
    let verdict = |known: &Known, report: &Report| judge(known, Some(report), &policy, report.at);
    let until = |minutes| Activity::Held {
        until: minute(minutes),
        by: "dev (make train)".into(),
    };
    let new = Known::default();
    assert_eq!(verdict(&new, &with(hold(30, 90), 60)), until(90));
    assert_eq!(verdict(&new, &with(hold(30, 900), 60)), until(150));
    assert!(matches!(
        verdict(&new, &with(hold(30, 900), 151)),
        Activity::Idle { .. }
    ));

    let held = new.after(Some(&with(hold(30, 90), 89)), &policy, minute(89));
    assert_eq!(held.held_since, Some(minute(89)));
    assert_eq!(verdict(&held, &at(120)), idle(89, Signal::Hold));
}

#[test]
fn e3_one_lease_after_the_other_is_bounded_as_one() {
    let policy = Policy {
        max_hold_seconds: 2 * 3600,
        ..Policy::default()
    };
    let mut known = Known::default();
    let mut states = Vec::new();
    // Taken anew each minute for an hour.
    for minutes in 20..200 {
        let report = Report {
            holds: vec![hold(minutes, minutes + 60)],
            ..at(minutes)
        };
        states.push(judge(&known, Some(&report), &policy, minute(minutes)));
        known = known.after(Some(&report), &policy, minute(minutes));
    }
    let held = states
        .iter()
        .filter(|state| matches!(state, Activity::Held { .. }))
        .count();
    assert_eq!(held, 120);
    assert!(matches!(states.last(), Some(Activity::Idle { .. })));
    // Somebody comes back, and may hold it again.
    let mut back = at(210);
    back.typed.last = Some(minute(209));
    known = known.after(Some(&back), &policy, minute(210));
    let again = Report {
        holds: vec![hold(230, 290)],
        typed: back.typed,
        ..at(230)
    };
    assert!(matches!(
        judge(&known, Some(&again), &policy, minute(230)),
        Activity::Held { .. }
    ));
}

#[test]
fn a_lease_from_outside_counts_also_when_the_agent_is_silent() {
    let known = Known {
        holds: vec![hold(0, 100)],
        ..Known::default()
    };
    assert!(matches!(
        judge(&known, None, &Policy::default(), minute(50)),
        Activity::Held { .. }
    ));
    assert!(matches!(
        judge(&known, None, &Policy::default(), minute(100)),
        Activity::Unknown { .. }
    ));
}
