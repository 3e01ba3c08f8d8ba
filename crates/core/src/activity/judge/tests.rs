use super::*;
use crate::activity::{Cpu, Editor, Foreground, Meter, Program, tests::report};

mod leases;

/// Minutes after 10 o'clock, when the agent began.
fn minute(minutes: i64) -> Timestamp {
    let begin: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
    begin + SignedDuration::from_mins(minutes)
}

/// A report made at that minute in which nothing is seen yet.
fn at(minutes: i64) -> Report {
    Report {
        at: minute(minutes),
        sampled_at: minute(minutes),
        ..report()
    }
}

fn meter(rate: u64, minutes: i64) -> Meter {
    let mut meter = Meter::default();
    let mut level = 1;
    while level <= rate {
        meter.levels.insert(level, minute(minutes));
        level *= 2;
    }
    meter
}

fn judged(report: &Report) -> Activity {
    judge(
        &Known::default(),
        Some(report),
        &Policy::default(),
        report.at,
    )
}

fn idle(since: i64, last: Signal) -> Activity {
    Activity::Idle {
        since: minute(since),
        last: Some(last),
    }
}

#[test]
fn a_silent_a_hanging_and_an_impossible_agent_are_unknown_and_never_idle() {
    let unknown = |activity: &Activity| matches!(activity, Activity::Unknown { .. });
    let known = Known {
        last: Some(Sign {
            signal: Signal::Typed,
            at: minute(0),
        }),
        ..Known::default()
    };
    assert!(unknown(&judge(
        &known,
        None,
        &Policy::default(),
        minute(9000)
    )));
    let hanging = Report {
        sampled_at: minute(114),
        ..at(120)
    };
    let verdict = judge(&known, Some(&hanging), &Policy::default(), minute(120));
    assert_eq!(
        verdict,
        Activity::Unknown {
            why: "the agent in the environment has not looked for 360 seconds".into()
        }
    );
    let fresh = Report {
        sampled_at: minute(115),
        ..at(120)
    };
    assert_eq!(
        judge(&known, Some(&fresh), &Policy::default(), minute(120)),
        idle(0, Signal::Typed)
    );
}

#[test]
fn it_is_active_for_the_window_after_a_signal_and_idle_since_that_signal_afterwards() {
    let typed = |minutes| {
        let mut report = at(minutes);
        report.typed.last = Some(minute(30));
        report
    };
    let active = Activity::Active {
        signal: Signal::Typed,
        since: minute(30),
    };
    assert_eq!(judged(&typed(40)), active);
    let mut later = typed(40);
    (later.at, later.sampled_at) = (minute(40) + SignedDuration::from_secs(1), minute(40));
    assert_eq!(judged(&later), idle(30, Signal::Typed));
}

#[test]
fn a_start_counts_as_a_sign_of_life_and_a_restart_of_the_agent_does_not() {
    assert!(matches!(
        judged(&at(9)),
        Activity::Active {
            signal: Signal::Start,
            ..
        }
    ));
    assert_eq!(
        judged(&at(90)),
        Activity::Idle {
            since: minute(0),
            last: None
        }
    );
    let known = Known {
        last: Some(Sign {
            signal: Signal::Cpu,
            at: minute(5),
        }),
        ..Known::default()
    };
    let again = Report {
        started_at: minute(89),
        ..at(90)
    };
    assert_eq!(
        judge(&known, Some(&again), &Policy::default(), minute(90)),
        idle(5, Signal::Cpu)
    );
}

/// The rate was seen at minute 59, the report is of minute 60.
fn metered(signal: Signal, rate: u64) -> Report {
    let (mut report, meter) = (at(60), meter(rate, 59));
    match signal {
        Signal::Cpu => {
            report.cpu = Some(Cpu {
                usage: 0,
                working: meter,
            });
        }
        Signal::Disk => report.disk = Some(meter),
        Signal::Network => report.network = Some(meter),
        Signal::Gpu => report.gpu = Some(meter),
        _ => {
            let (heartbeat, edited) = (Some(minute(60)), None);
            report.editor = Some(Editor {
                heartbeat,
                edited,
                traffic: meter,
            });
        }
    }
    report
}

fn demand(signal: Signal, counts: &Report, does_not: &Report) {
    let active = Activity::Active {
        signal,
        since: minute(59),
    };
    assert_eq!(judged(counts), active);
    let idle = Activity::Idle {
        since: minute(0),
        last: None,
    };
    assert_eq!(judged(does_not), idle, "{signal:?}");
}

#[test]
fn every_rate_counts_from_its_threshold_on_and_not_below() {
    let policy = Policy::default();
    for (signal, threshold) in [
        (Signal::Cpu, policy.cpu_millicores),
        (Signal::Disk, policy.disk_bytes_per_second),
        (Signal::Network, policy.network_bytes_per_second),
        (Signal::Gpu, policy.gpu_percent),
        (Signal::Editor, policy.editor_bytes_per_second),
    ] {
        demand(
            signal,
            &metered(signal, threshold),
            &metered(signal, threshold / 2),
        );
    }
}

#[test]
fn a_named_program_counts_after_two_minutes_and_what_a_viewer_prints_never() {
    let program = |minutes: i64| {
        let name = "make".to_owned();
        let (since, last) = (minute(59 - minutes), minute(59));
        Report {
            programs: vec![Program {
                name,
                since,
                last,
                cpu: 1,
            }],
            ..at(60)
        }
    };
    demand(Signal::Process, &program(2), &program(1));
    let output = |program: &str| {
        let foreground = Foreground {
            program: program.into(),
            terminal: 0,
            since: minute(1),
            last_output: Some(minute(59)),
        };
        Report {
            foreground: vec![foreground],
            ..at(60)
        }
    };
    demand(Signal::Foreground, &output("python"), &output("tail"));
}

#[test]
fn e3_a_machine_alone_counts_until_its_bound_after_a_person_was_seen() {
    let policy = Policy {
        max_unattended_seconds: 3600,
        ..Policy::default()
    };
    let working = |minutes| {
        let mut report = Report {
            cpu: Some(Cpu {
                usage: 0,
                working: meter(4000, minutes),
            }),
            ..at(minutes)
        };
        report.typed.last = Some(minute(20));
        report
    };
    let verdict =
        |known: &Known, minutes| judge(known, Some(&working(minutes)), &policy, minute(minutes));
    let new = Known::default();
    assert!(matches!(
        verdict(&new, 80),
        Activity::Active {
            signal: Signal::Cpu,
            ..
        }
    ));
    assert_eq!(verdict(&new, 91), idle(80, Signal::Cpu));
    // The agent was started anew and has forgotten the person: the operator has not.
    let known = new.after(Some(&working(30)), &policy, minute(30));
    let forgetful = Report {
        started_at: minute(95),
        typed: report().typed,
        ..working(100)
    };
    assert_eq!(
        judge(&known, Some(&forgetful), &policy, minute(100)),
        idle(80, Signal::Cpu)
    );
}

#[test]
fn what_is_printed_for_nobody_counts_for_some_hours_and_not_for_days() {
    let printing = |minutes| {
        let foreground = Foreground {
            program: "node".into(),
            terminal: 0,
            since: minute(1),
            last_output: Some(minute(minutes)),
        };
        let report = Report {
            foreground: vec![foreground],
            ..at(minutes)
        };
        judge(
            &Known::default(),
            Some(&report),
            &Policy::default(),
            minute(minutes),
        )
    };
    assert!(matches!(
        printing(8 * 60),
        Activity::Active {
            signal: Signal::Foreground,
            ..
        }
    ));
    assert_eq!(printing(9 * 60), idle(8 * 60, Signal::Foreground));
}

#[test]
fn e4_a_clock_in_the_environment_moves_nothing() {
    // A day ahead, and typed an hour ago by its own time.
    let day = 24 * 60;
    let mut report = Report {
        started_at: minute(day),
        ..at(day + 90)
    };
    report.typed.last = Some(minute(day + 30));
    assert_eq!(
        judge(
            &Known::default(),
            Some(&report),
            &Policy::default(),
            minute(90)
        ),
        idle(30, Signal::Typed)
    );
    // Claims of the future are claims of now.
    report.typed.last = Some(minute(day * 30));
    report.bound();
    let verdict = judge(
        &Known::default(),
        Some(&report),
        &Policy::default(),
        minute(90),
    );
    assert!(
        matches!(verdict, Activity::Active { signal: Signal::Typed, since } if since == minute(90))
    );
}

#[test]
fn being_active_is_counted_from_the_end_of_the_last_break() {
    let policy = Policy::default();
    let typed = |last, minutes| {
        let mut report = at(minutes);
        report.typed.last = Some(minute(last));
        report
    };
    let mut known = Known::default();
    for minutes in 60..90 {
        known = known.after(Some(&typed(minutes, minutes)), &policy, minute(minutes));
    }
    assert_eq!(known.active_since, Some(minute(60)));
    let active = Activity::Active {
        signal: Signal::Typed,
        since: minute(60),
    };
    assert_eq!(
        judge(&known, Some(&typed(89, 95)), &policy, minute(95)),
        active
    );
    known = known.after(Some(&typed(89, 120)), &policy, minute(120));
    assert_eq!((known.active_since, known.person), (None, Some(minute(89))));
}
