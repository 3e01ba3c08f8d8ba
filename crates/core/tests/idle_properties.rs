//! Whose word counts on the ladder for idle environments, and what holds whatever happens.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod fixtures;
#[path = "fixtures/life.rs"]
mod life;

use devserver_api::{DevServer, IdleStage, IdleState};
use devserver_core::{
    Platform,
    activity::Activity,
    idle::{self, Around, Stop},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use life::{HOUR, Life, MINUTE, active, at, both, idle_since};
use proptest::prelude::*;

fn spec(text: &str) -> DevServer {
    fixtures::yaml(&format!(
        "{{apiVersion: devserver.io/v1, kind: DevServer, metadata: {{name: x}}, spec: {{ssh: {{}}, idle: {text}}}}}"
    ))
}

fn terminate(text: &str, platform: &str, around: Around<'_>) -> (Option<u64>, bool) {
    let (server, platform) = (spec(text), Platform::parse(platform).unwrap());
    let rules = idle::rules(&server.spec, around, &platform);
    let limit = rules.and_then(|r| r.get(IdleStage::Terminate).map(|l| l.seconds));
    (limit, idle::check(&server.spec, around, &platform).is_ok())
}

#[test]
fn the_nearest_level_decides_and_an_environment_only_within_bounds() {
    let day = 24 * 3600;
    let open = "{activity: {}, idle: {stages: {terminate: 24h}, longest: 48h, environmentsMayDisable: true}}";
    let strict = "{activity: {}, idle: {stages: {terminate: 24h}}}";
    for (text, platform, expected, is_valid) in [
        ("{}", strict, Some(day), true),
        ("{stages: {terminate: 1h}}", strict, Some(3600), true),
        ("{stages: {terminate: 25h}}", strict, Some(day), false),
        ("{stages: {terminate: Off}}", strict, Some(day), false),
        ("{disabled: true}", strict, Some(day), false),
        ("{stages: {terminate: 48h}}", open, Some(2 * day), true),
        ("{stages: {terminate: 49h}}", open, Some(2 * day), false),
        ("{disabled: true}", open, None, true),
        ("{stages: {terminate: soon}}", open, Some(day), false),
        ("{stages: {terminate: 1h}}", "{}", None, true),
    ] {
        let seen = terminate(text, platform, Around::default());
        // What is not understood is off by its own word, and refused.
        let expected = if text.contains("soon") {
            None
        } else {
            expected
        };
        assert_eq!(seen, (expected, is_valid), "{text} {platform}");
    }
    let teams = "{activity: {}, idle: {stages: {terminate: 24h}}, teams: {genomics: {idle: {stages: {terminate: 72h}}}}}";
    let flavor = fixtures::yaml("{stages: {terminate: 12h}}");
    let around = Around {
        flavor: Some(("gpu", &flavor)),
        team: None,
    };
    assert_eq!(terminate("{}", teams, around), (Some(day / 2), true));
    let around = Around {
        team: Some("genomics"),
        ..around
    };
    assert_eq!(terminate("{}", teams, around), (Some(3 * day), true));
}

/// What happens in the next minute.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    SignOfLife,
    Silence,
    Snooze(i64),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        60 => Just(Event::Nothing),
        1 => Just(Event::SignOfLife),
        2 => Just(Event::Silence),
        1 => (1_i64..5).prop_map(Event::Snooze),
        3 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happens: nothing is told twice, nobody is stopped without a warning of an hour before, nor within 24 hours of
    /// a sign of life, nor while nothing is known.
    #[test]
    fn nobody_is_stopped_without_a_warning_and_nothing_is_told_twice(events in events(), stride in 1_i64..40) {
        let mut life = Life::idle_since(0);
        let (mut now, mut last) = (0, 0);
        let mut ids = std::collections::BTreeSet::new();
        let (_, mut server) = fixtures::server("document-002");
        server.metadata.uid = Some("abc".to_owned());
        for event in events {
            now += stride * MINUTE;
            match event {
                Event::Nothing => life.activity = idle_since(last),
                Event::SignOfLife => { last = now; life.activity = active(now); }
                Event::Silence => life.activity = Activity::Unknown { why: "silent".to_owned() },
                Event::Snooze(hours) => life.snoozed_until = Some(at(now + hours * HOUR)),
                // Dies between telling and writing: tells the same again.
                Event::Restart => {
                    let before = life.status.clone();
                    let step = life.step(both(now));
                    let names: Vec<String> = step.notices.iter().map(|n| n.id(&server, &step.status)).collect();
                    life.status = before;
                    let again = life.step(both(now));
                    let same: Vec<String> = again.notices.iter().map(|n| n.id(&server, &again.status)).collect();
                    prop_assert_eq!(names, same);
                }
            }
            let warned = life.status.as_ref().and_then(|s| s.warned_time.clone());
            let step = life.look(now);
            for notice in &step.notices {
                prop_assert!(ids.insert(notice.id(&server, &step.status)), "{:?} twice", notice);
            }
            if step.stop == Stop::Due {
                prop_assert!(now - last >= 24 * HOUR);
                let Some(Time(warned)) = warned else { panic!("no warning") };
                prop_assert!(now - warned.as_second() >= HOUR);
                prop_assert!(life.snoozed_until.is_none_or(|until| until.as_second() <= now || now - last >= 72 * HOUR));
                prop_assert_eq!(step.status.state, IdleState::Idle);
                break;
            }
        }
    }
}
