use devserver_api::{DevServerSpec, LifecycleSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

const HOUR: i64 = 3600;

fn server(ttl: Option<&str>) -> DevServer {
    let lifecycle = LifecycleSpec {
        time_to_live: ttl.map(str::to_owned),
        ..LifecycleSpec::default()
    };
    let spec = DevServerSpec {
        lifecycle: Some(lifecycle),
        ..DevServerSpec::default()
    };
    let mut server = DevServer::new("x", spec);
    server.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    server
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Both clocks say the same.
fn both(second: i64) -> Clocks {
    clocks(second, second)
}

fn clocks(server: i64, own: i64) -> Clocks {
    Clocks {
        server: Some(at(server)),
        own: at(own),
    }
}

fn with_max(max: &str) -> Platform {
    Platform {
        max_time_to_live: Some(max.to_owned()),
        ..Platform::default()
    }
}

#[test]
fn it_expires_at_its_second_and_not_one_before() {
    let (server, platform) = (server(Some("1h")), Platform::default());
    let before = due(&server, &platform, both(HOUR - 1));
    assert_eq!(
        (before.expiry, before.wake_at),
        (Expiry::NotYet, Some(at(HOUR)))
    );
    assert_eq!(due(&server, &platform, both(HOUR)).expiry, Expiry::Over);
    assert_eq!(due(&server, &platform, both(HOUR + 1)).expiry, Expiry::Over);
}

#[test]
fn what_has_no_time_to_live_and_what_is_not_understood_never_expires() {
    let platform = Platform::default();
    for ttl in [None, Some("nonsense"), Some("-1h"), Some("")] {
        assert_eq!(
            due(&server(ttl), &platform, both(250_000_000_000)),
            Due::default(),
            "{ttl:?}"
        );
    }
}

#[test]
fn the_platform_bound_ends_what_asks_for_no_time_for_too_much_or_for_nonsense() {
    let platform = with_max("2h");
    for ttl in [None, Some("87600h"), Some("nonsense"), Some("2h")] {
        assert_eq!(
            expires_at(&server(ttl), &platform),
            Some(at(2 * HOUR)),
            "{ttl:?}"
        );
    }
    assert_eq!(expires_at(&server(Some("1h")), &platform), Some(at(HOUR)));
}

#[test]
fn it_wakes_for_each_warning_and_then_for_the_end() {
    let (server, platform) = (server(Some("8h")), Platform::default());
    let end = 8 * HOUR;
    let mut now = 0;
    for next in [end - HOUR, end - 900, end - 300, end] {
        assert_eq!(
            due(&server, &platform, both(now)).wake_at,
            Some(at(next)),
            "{now}"
        );
        now = next;
    }
}

#[test]
fn each_warning_is_given_from_its_second_on() {
    let (ends, warnings) = (at(10 * HOUR), [3600, 900, 300]);
    for (before_end, given_then) in [
        (3601, None),
        (3600, Some(3600)),
        (901, Some(3600)),
        (900, Some(900)),
        (301, Some(900)),
        (300, Some(300)),
        (0, Some(300)),
        (-99, Some(300)),
    ] {
        let now = at(10 * HOUR - before_end);
        assert_eq!(given(ends, &warnings, now), given_then, "{before_end}");
    }
}

#[test]
fn warnings_that_are_past_when_it_begins_collapse_into_one() {
    assert_eq!(given(at(600), &[3600, 900, 300], at(0)), Some(900));
    assert_eq!(next(at(600), &[3600, 900, 300], at(0)), Some(at(300)));
    assert_eq!(given(at(60), &[3600, 900, 300], at(0)), Some(300));
    assert_eq!(given(at(60), &[], at(60)), None);
}

#[test]
fn an_extension_takes_the_warnings_back() {
    let platform = Platform::default();
    let warnings = resolve::warnings(&platform);
    let ends = |ttl| expires_at(&server(Some(ttl)), &platform).unwrap();
    assert_eq!(given(ends("8h"), &warnings, at(8 * HOUR - 60)), Some(300));
    assert_eq!(given(ends("12h"), &warnings, at(8 * HOUR - 60)), None);
}

#[test]
fn a_clock_that_is_ahead_deletes_nothing() {
    let (server, platform) = (server(Some("1h")), Platform::default());
    let day = 24 * HOUR;
    let ahead = due(&server, &platform, clocks(HOUR - 1, HOUR - 1 + day));
    assert_eq!(
        ahead.expiry,
        Expiry::NotYet,
        "the operator's clock is ahead"
    );
    let ahead = due(&server, &platform, clocks(day, 10));
    assert_eq!(
        ahead.expiry,
        Expiry::Disputed,
        "the API server's clock is ahead"
    );
    assert_eq!(
        ahead.wake_at,
        Some(at(day + 60)),
        "and it is asked again in a minute"
    );
}

#[test]
fn a_dispute_ends_when_the_later_clock_has_come_so_far() {
    let (server, platform) = (server(Some("1h")), Platform::default());
    let behind = |own| due(&server, &platform, clocks(own + 7200, own)).expiry;
    assert_eq!(behind(HOUR - 61), Expiry::Disputed);
    assert_eq!(behind(HOUR - 60), Expiry::Over, "within the tolerance");
}

#[test]
fn a_server_that_does_not_say_the_time_has_nothing_deleted() {
    let silent = Clocks {
        server: None,
        own: at(2 * HOUR),
    };
    let due = due(&server(Some("1h")), &Platform::default(), silent);
    assert_eq!(due.expiry, Expiry::Disputed);
}
