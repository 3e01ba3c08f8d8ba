//! The ladder of an environment that nobody uses, over time: what comes when, once, and what takes it back.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod fixtures;
#[path = "fixtures/life.rs"]
mod life;

use std::collections::BTreeMap;

use devserver_api::{IdleStage, IdleState};
use devserver_core::{
    Clocks,
    activity::{Activity, Signal},
    idle::{self, Size, Stop},
};
use life::{HOUR, Life, MINUTE, active, at, both, idle_since};

#[test]
fn s3_31_to_s3_34_each_stage_comes_once_at_its_minute() {
    let mut life = Life::idle_since(0);
    for minute in 0..25 * 60 {
        life.look(minute * MINUTE);
    }
    let expected = [
        (IdleStage::Alert, 30 * MINUTE),
        (IdleStage::Notify, 2 * HOUR),
        (IdleStage::Downscale, 8 * HOUR),
        (IdleStage::Warn, 23 * HOUR),
    ];
    assert_eq!(life.told, expected);
    assert_eq!(life.stopped, Some(24 * HOUR));
}

#[test]
fn it_is_woken_for_each_stage_and_says_which_is_next_and_by_whose_rule() {
    let mut life = Life::idle_since(0);
    let mut now = 0;
    for (stage, next) in [
        (IdleStage::Alert, 30 * MINUTE),
        (IdleStage::Notify, 2 * HOUR),
        (IdleStage::Downscale, 8 * HOUR),
        (IdleStage::Warn, 23 * HOUR),
        (IdleStage::Terminate, 24 * HOUR),
    ] {
        let mut step = life.look(now);
        if step.status.state == IdleState::Active {
            // People read and think: that is not written down at once.
            assert_eq!(step.wake_at, Some(at(15 * MINUTE)));
            step = life.look(15 * MINUTE);
        }
        assert_eq!(step.wake_at, Some(at(next)), "{stage:?}");
        assert_eq!(step.status.next_stage, Some(stage));
        assert_eq!(step.status.rule.as_deref(), Some("platform"));
        now = next;
    }
}

/// Idle for so long that it is small.
fn shrunk() -> Life {
    let mut life = Life::idle_since(0);
    life.look(8 * HOUR);
    life.look(8 * HOUR + 1);
    assert_eq!(life.cpu(), "500m");
    life
}

#[test]
fn the_first_sign_of_life_grows_it_back_and_begins_anew() {
    let mut life = shrunk();
    life.activity = active(9 * HOUR);
    life.look(9 * HOUR);
    assert_eq!(life.cpu(), "4");
    let record = life.look(9 * HOUR + 1).status;
    assert_eq!((record.state, record.downscaled), (IdleState::Active, None));
    life.activity = idle_since(10 * HOUR);
    life.told.clear();
    for minute in 10 * 60..34 * 60 {
        life.look(minute * MINUTE);
    }
    assert_eq!(life.told.len(), 4, "{:?}", life.told);
    assert_eq!(life.stopped, None);
}

#[test]
fn nothing_is_shrunk_before_what_it_was_is_written_down() {
    let mut life = Life::idle_since(0);
    let step = life.step(both(8 * HOUR));
    let written = step.status.downscaled.as_ref();
    assert_eq!(written.unwrap().requests["cpu"].0, "4");
    assert_eq!(
        idle::resize(&life.pod, None, Size::Small, &life.minimum),
        None
    );
    life.look(8 * HOUR);
    // Killed here and started again: what is there decides.
    let again = life.look(8 * HOUR + 60);
    assert_eq!(again.status.downscaled.unwrap().requests["cpu"].0, "4");
    assert_eq!(life.cpu(), "500m");
}

#[test]
fn one_that_was_shrunk_grows_back_when_the_policy_no_longer_wants_it_small() {
    let mut life = shrunk();
    life.rules = life::rules_of("{activity: {}, idle: {stages: {alert: 30m, terminate: 24h}}}");
    let step = life.look(9 * HOUR);
    assert!(step.status.downscaled.is_some());
    assert_eq!(
        (step.status.state, step.size),
        (IdleState::Idle, Size::Full)
    );
    assert_eq!(life.cpu(), "4");
    assert_eq!(life.look(9 * HOUR + 1).status.downscaled, None);
}

#[test]
fn without_any_policy_it_grows_back_before_that_is_forgotten() {
    let life = shrunk();
    let small = idle::released(life.status.as_ref(), Some(&life.pod));
    let record = small.as_ref().and_then(|status| status.downscaled.as_ref());
    let patch = idle::resize(&life.pod, record, Size::Full, &life.minimum).unwrap();
    let resources = &patch["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"]["cpu"], "4");
    // Nobody can say yet.
    assert_eq!(idle::released(small.as_ref(), None), small);
    assert_eq!(idle::released(small.as_ref(), Some(&life::pod("4"))), None);
}

#[test]
fn a_guaranteed_pod_keeps_its_memory() {
    let mut life = Life::idle_since(0);
    life.pod = fixtures::yaml(
        "{metadata: {name: x-0, uid: pod-1}, status: {qosClass: Guaranteed}, spec: {containers: [{name: dev, resources: {requests: {cpu: '4', memory: 80Gi}, limits: {cpu: '4', memory: 80Gi}}}]}}",
    );
    life.look(8 * HOUR);
    let spec = life.pod.spec.as_ref().unwrap();
    let resources = spec.containers[0].resources.clone().unwrap();
    assert_eq!(resources.requests, resources.limits, "its class stays");
    let limits = resources.limits.unwrap();
    assert_eq!(
        (limits["cpu"].0.as_str(), limits["memory"].0.as_str()),
        ("500m", "80Gi")
    );
}

#[test]
fn without_minimum_resources_there_is_no_such_stage() {
    let mut life = Life::idle_since(0);
    life.minimum.clear();
    for minute in 0..25 * 60 {
        life.look(minute * MINUTE);
    }
    assert!(
        life.told
            .iter()
            .all(|(stage, _)| *stage != IdleStage::Downscale)
    );
    assert_eq!((life.cpu().as_str(), life.stopped), ("4", Some(24 * HOUR)));
}

#[test]
fn an_operator_that_was_away_gives_the_whole_time_between_warning_and_stop() {
    let mut life = Life::idle_since(0);
    life.look(HOUR);
    let late = 100 * HOUR;
    life.look(late);
    assert_eq!(life.told.last(), Some(&(IdleStage::Warn, late)));
    life.look(late + HOUR - 1);
    assert_eq!(life.stopped, None);
    life.look(late + HOUR);
    assert_eq!(life.stopped, Some(late + HOUR));
}

#[test]
fn unknown_stops_nothing_and_forgets_nothing() {
    let mut life = Life::idle_since(0);
    life.look(8 * HOUR);
    life.look(23 * HOUR);
    life.activity = Activity::Unknown {
        why: "silent".to_owned(),
    };
    for minute in 0..60 {
        let step = life.look(24 * HOUR + minute * MINUTE);
        assert_eq!((step.stop, step.size), (Stop::No, Size::Left));
        assert_eq!(step.status.state, IdleState::Unknown);
    }
    let told = life.told.len();
    life.activity = idle_since(0);
    life.look(25 * HOUR);
    assert_eq!(life.told.len(), told, "nothing is told twice");
    assert_eq!(life.stopped, Some(25 * HOUR), "and the warning was given");
}

#[test]
fn one_clock_alone_stops_nothing() {
    let mut life = Life::idle_since(0);
    life.look(23 * HOUR);
    for (server, own, expected) in [
        (Some(24 * HOUR), 20 * HOUR, Stop::Disputed),
        (Some(23 * HOUR), 30 * HOUR, Stop::No),
        (None, 30 * HOUR, Stop::Disputed),
        (Some(24 * HOUR), 24 * HOUR - 60, Stop::Due),
    ] {
        let clocks = Clocks {
            server: server.map(at),
            own: at(own),
        };
        assert_eq!(life.step(clocks).stop, expected, "{clocks:?}");
    }
}

#[test]
fn a_snooze_holds_off_everything_and_then_it_is_warned_of_anew() {
    let mut life = Life::idle_since(0);
    life.look(8 * HOUR);
    life.look(23 * HOUR);
    life.snoozed_until = Some(at(27 * HOUR));
    let step = life.look(23 * HOUR + MINUTE);
    assert_eq!(step.status.state, IdleState::Snoozed);
    assert_eq!(
        (life.cpu().as_str(), step.wake_at),
        ("4", Some(at(27 * HOUR)))
    );
    life.look(26 * HOUR);
    life.look(27 * HOUR);
    assert_eq!(life.told.last(), Some(&(IdleStage::Warn, 27 * HOUR)));
    life.look(28 * HOUR - 1);
    assert_eq!(life.stopped, None);
    life.look(28 * HOUR);
    assert_eq!(life.stopped, Some(28 * HOUR));
    let warnings = life.told.iter().filter(|(s, _)| *s == IdleStage::Warn);
    assert_eq!(warnings.count(), 2);
    let alerts = life.told.iter().filter(|(s, _)| *s == IdleStage::Alert);
    assert_eq!(alerts.count(), 1);
}

#[test]
fn e3_snoozing_for_ever_is_bounded() {
    let mut life = Life::idle_since(0);
    life.snoozed_until = Some(at(1_000_000 * HOUR));
    for hour in 0..80 {
        life.look(hour * HOUR);
    }
    // 72 h after the last sign of life, and the time after the warning.
    assert_eq!(life.stopped, Some(73 * HOUR));
}

#[test]
fn held_is_as_good_as_in_use() {
    let mut life = Life::idle_since(0);
    life.look(8 * HOUR);
    life.activity = Activity::Held {
        until: at(40 * HOUR),
        by: "ada (make train)".to_owned(),
    };
    let step = life.look(24 * HOUR);
    assert_eq!(step.status.state, IdleState::Held);
    assert_eq!((step.stop, life.cpu().as_str()), (Stop::No, "4"));
    assert_eq!(step.wake_at, Some(at(40 * HOUR)));
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let mut life = Life::idle_since(0);
    life.rules.dry_run = true;
    for minute in 0..30 * 60 {
        life.look(minute * MINUTE);
    }
    let stages: Vec<IdleStage> = life.told.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages, IdleStage::ALL);
    assert_eq!((life.stopped, life.cpu().as_str()), (None, "4"));
    assert_eq!(
        idle::owed(life.status.as_ref().unwrap()),
        None,
        "nobody is written to"
    );
}

#[test]
fn while_somebody_works_the_status_rests() {
    let mut life = Life::idle_since(0);
    life.activity = active(0);
    let first = life.look(10).status;
    for second in 11..500 {
        life.activity = Activity::Active {
            signal: if second % 2 == 0 {
                Signal::Typed
            } else {
                Signal::Cpu
            },
            since: at(second),
        };
        assert_eq!(life.look(second).status, first, "{second}");
    }
}

#[test]
fn the_last_sign_of_life_may_seem_to_move_by_a_second() {
    let mut life = Life::idle_since(100);
    let first = life.look(2 * HOUR + 100).status;
    for jitter in [99, 101, 102, 98] {
        life.activity = idle_since(jitter);
        assert_eq!(life.look(2 * HOUR + 200).status, first, "{jitter}");
    }
}

#[test]
fn a_stopped_one_is_told_of_once_and_only_when_the_policy_stopped_it() {
    let mut life = Life::idle_since(0);
    life.look(23 * HOUR);
    let (_, mut server) = fixtures::server("document-002");
    let status = devserver_api::DevServerStatus {
        idle: life.status.clone(),
        ..Default::default()
    };
    server.status = Some(status);
    server.spec.suspend = true;
    assert_eq!(idle::stopped(&server, at(24 * HOUR)), None, "its owner did");
    let marked = BTreeMap::from([("devserver.io/suspended-by".to_owned(), "policy".to_owned())]);
    server.metadata.annotations = Some(marked);
    let (record, notice) = idle::stopped(&server, at(24 * HOUR)).unwrap();
    assert_eq!(
        (record.state, notice.unwrap().stage),
        (IdleState::Stopped, IdleStage::Terminate)
    );
    let id = idle::notification_id(&server, &record, IdleStage::Terminate);
    server.status.as_mut().unwrap().idle = Some(record.clone());
    assert_eq!(idle::stopped(&server, at(25 * HOUR)), Some((record, None)));
    assert!(!id.is_empty());
}
