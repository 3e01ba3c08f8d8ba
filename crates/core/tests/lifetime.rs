//! What the user is told about the end, about restarts, and about what takes too long; and when that changes by time alone.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;

use devserver_api::{DevServer, DevServerStatus, Phase, VolumeRetention, condition, group};
use devserver_core::{
    Observed, Platform,
    due::Hold,
    observed::UnboundClaim,
    resolve,
    status::{self, halt_now, news_of_the_end, next_change, restart_now},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};

const HOUR: i64 = 3600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Created at second 0, with a time to live of 8 h.
fn server() -> DevServer {
    let (_, mut server) = fixtures::server("document-002");
    server.metadata.creation_timestamp = Some(Time(at(0)));
    server
}

fn told_by(platform: &Platform, server: &DevServer, seen: &Observed, now: i64) -> DevServerStatus {
    let outcome = resolve(server, &fixtures::references(), platform);
    status::status(server, &outcome, seen, platform, at(now))
}

fn told(server: &DevServer, seen: &Observed, now: i64) -> DevServerStatus {
    told_by(&Platform::default(), server, seen, now)
}

fn expiring(status: &DevServerStatus) -> Option<(String, String)> {
    condition::find(&status.conditions, condition::EXPIRING)
        .map(|c| (c.reason.clone(), c.message.clone()))
}

fn ready_reason(status: &DevServerStatus) -> &str {
    &condition::find(&status.conditions, condition::READY)
        .unwrap()
        .reason
}

/// A pod made at second 0; `meta` and `rest` in YAML.
fn pod(meta: &str, rest: &str) -> Observed {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: my-dev-server-0, uid: pod-1, creationTimestamp: '1970-01-01T00:00:00Z'{meta}}}{rest}}}"
    );
    Observed {
        pod: Some(fixtures::yaml::<Pod>(&text)),
        ..Observed::default()
    }
}

fn ready() -> Observed {
    pod(
        "",
        ", status: {conditions: [{type: Ready, status: 'True'}]}",
    )
}

fn unbound(class: Option<&str>) -> Observed {
    let said = "pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes";
    let rest = format!(
        ", status: {{conditions: [{{type: PodScheduled, status: 'False', message: '{said}'}}]}}"
    );
    Observed {
        unbound_claims: vec![UnboundClaim {
            name: "home-my-dev-server-0".to_owned(),
            storage_class: class.map(str::to_owned),
        }],
        ..pod("", &rest)
    }
}

#[test]
fn each_warning_is_news_once_and_the_text_stays() {
    let mut server = server();
    let mut news = Vec::new();
    let mut texts = Vec::new();
    for now in (0..8 * HOUR).step_by(30) {
        let status = told(&server, &ready(), now);
        if news_of_the_end(server.status.as_ref(), &status).is_some() {
            news.push((now, status.expiration_warning_seconds));
            texts.push(expiring(&status).unwrap());
        } else {
            assert_eq!(
                server
                    .status
                    .as_ref()
                    .map_or_else(|| expiring(&status), expiring),
                expiring(&status)
            );
        }
        server.status = Some(status);
    }
    let end = 8 * HOUR;
    assert_eq!(
        news,
        [
            (end - 3600, Some(3600)),
            (end - 900, Some(900)),
            (end - 300, Some(300))
        ]
    );
    texts.dedup();
    let [(reason, message)] = texts.as_slice() else {
        panic!("{texts:?}")
    };
    assert_eq!(reason, "ExpiresSoon");
    for word in [
        "1970-01-01T08:00:00Z",
        "devctl extend my-dev-server 4h",
        "its home stays",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn an_operator_that_starts_anew_has_no_news() {
    let mut server = server();
    let now = 8 * HOUR - 200;
    let first = told(&server, &ready(), now);
    assert!(news_of_the_end(None, &first).is_some());
    server.status = Some(first);
    let again = told(&server, &ready(), now + 1);
    assert!(news_of_the_end(server.status.as_ref(), &again).is_none());
    assert_eq!(Some(again), server.status, "and nothing to write");
}

#[test]
fn warnings_that_are_past_at_creation_are_one() {
    let mut server = server();
    server.spec.lifecycle.as_mut().unwrap().time_to_live = Some("2m".to_owned());
    let first = told(&server, &Observed::default(), 0);
    assert_eq!(first.expiration_warning_seconds, Some(300));
    server.status = Some(first);
    let later = told(&server, &Observed::default(), 119);
    assert!(news_of_the_end(server.status.as_ref(), &later).is_none());
}

#[test]
fn an_extension_takes_the_condition_away_and_warns_anew() {
    let mut server = server();
    server.status = Some(told(&server, &ready(), 8 * HOUR - 60));
    let mut extended = server.clone();
    extended.spec.lifecycle.as_mut().unwrap().time_to_live = Some("12h".to_owned());
    let after = told(&extended, &ready(), 8 * HOUR - 30);
    assert_eq!(
        (expiring(&after), after.expiration_warning_seconds),
        (None, None)
    );
    extended.status = Some(after);
    let warned = told(&extended, &ready(), 12 * HOUR - 3600);
    assert!(news_of_the_end(extended.status.as_ref(), &warned).is_some());
    // A short extension goes straight to a warning of the new end.
    server.spec.lifecycle.as_mut().unwrap().time_to_live = Some("8h10m".to_owned());
    let short = told(&server, &ready(), 8 * HOUR - 30);
    assert_eq!(short.expiration_warning_seconds, Some(900));
    assert!(news_of_the_end(server.status.as_ref(), &short).is_some());
}

#[test]
fn who_cannot_extend_is_not_told_to_and_who_loses_the_home_is_told_so() {
    let platform = Platform::parse("maxTimeToLive: 8h").unwrap();
    let mut server = server();
    server.spec.lifecycle.as_mut().unwrap().volume_retention = Some(VolumeRetention::Delete);
    let status = told_by(&platform, &server, &ready(), 8 * HOUR - 60);
    let (_, message) = expiring(&status).unwrap();
    assert!(!message.contains("devctl extend"), "{message}");
    assert!(
        message.contains("8h") && message.contains("home is deleted"),
        "{message}"
    );
}

#[test]
fn who_waits_for_its_turn_or_for_the_clocks_is_told_without_a_word_that_changes() {
    for (hold, reason) in [
        (Hold::Turn, "WaitsForItsTurn"),
        (Hold::ClockSkew, "ClockSkew"),
    ] {
        let seen = Observed {
            hold: Some(hold),
            ..ready()
        };
        let first = expiring(&told(&server(), &seen, 8 * HOUR + 1)).unwrap();
        assert_eq!(first.0, reason);
        assert_eq!(expiring(&told(&server(), &seen, 9 * HOUR)).unwrap(), first);
    }
}

#[test]
fn a_claim_without_a_volume_is_told_after_30_seconds_with_its_class_and_the_remedy() {
    let server = server();
    for (class, words) in [
        (
            Some("fast"),
            ["\"fast\"", "home-my-dev-server-0", "administrator"],
        ),
        (
            None,
            ["default", "home-my-dev-server-0", "spec.storageClassName"],
        ),
    ] {
        let seen = unbound(class);
        assert_eq!(told(&server, &seen, 29).phase, Some(Phase::Provisioning));
        let status = told(&server, &seen, 30);
        assert_eq!(
            (status.phase, ready_reason(&status)),
            (Some(Phase::Pending), "VolumeNotBound")
        );
        let message = status.message.unwrap();
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}

#[test]
fn what_time_alone_changes_is_looked_at_in_time() {
    let platform = Platform::default();
    let next =
        |seen: &Observed, now| next_change(seen, &platform, at(now)).map(Timestamp::as_second);
    assert_eq!(next(&unbound(None), 0), Some(30));
    assert_eq!(next(&unbound(None), 30), Some(600));
    assert_eq!(next(&unbound(None), 600), None);
    assert_eq!(next(&pod("", ""), 0), Some(600));
    assert_eq!(next(&ready(), 0), None);
    assert_eq!(next(&Observed::default(), 0), None);
    let going = pod(", deletionTimestamp: '1970-01-01T00:01:00Z'", "");
    assert_eq!(next(&going, 0), Some(120));
}

#[test]
fn a_pod_that_does_not_end_names_its_node_and_the_remedy_in_every_phase() {
    let gone = pod(
        ", deletionTimestamp: '1970-01-01T00:01:00Z'",
        ", spec: {nodeName: worker-7, containers: []}",
    );
    let mut suspended = server();
    suspended.spec.suspend = true;
    let mut deleted = server();
    deleted.metadata.deletion_timestamp = Some(Time(at(30)));
    for (server, before, phase) in [
        (server(), "Restarting", Phase::Failed),
        (suspended, "Stopping", Phase::Suspended),
        (deleted, "Deleting", Phase::Terminating),
    ] {
        assert_eq!(ready_reason(&told(&server, &gone, 119)), before);
        let status = told(&server, &gone, 120);
        assert_eq!(
            (status.phase, ready_reason(&status)),
            (Some(phase), "StuckTerminating")
        );
        let message = status.message.unwrap();
        assert!(
            message.contains("worker-7") && message.contains("kubectl delete node worker-7"),
            "{message}"
        );
    }
}

fn wish(uid: &str) -> DevServer {
    let mut server = server();
    server.metadata.annotations =
        Some([(group::ANNOTATION_RESTART.to_owned(), uid.to_owned())].into());
    server
}

#[test]
fn a_wish_to_restart_is_for_one_pod_only() {
    let asked = |server: &DevServer, seen: &Observed| {
        let outcome = resolve(server, &fixtures::references(), &Platform::default());
        restart_now(server, &outcome, seen).map(|r| r.pod.1)
    };
    assert_eq!(asked(&wish("pod-1"), &ready()), Some("pod-1".to_owned()));
    assert_eq!(asked(&wish("pod-0"), &ready()), None, "its successor runs");
    assert_eq!(asked(&server(), &ready()), None, "nobody asks");
    assert_eq!(asked(&wish("pod-1"), &Observed::default()), None);
    let going = pod(", deletionTimestamp: '1970-01-01T00:01:00Z'", "");
    assert_eq!(asked(&wish("pod-1"), &going), None, "it goes already");
    let mut invalid = wish("pod-1");
    invalid.spec.flavor = Some("no-such".to_owned());
    assert!(
        asked(&invalid, &ready()).is_some(),
        "with its last valid settings"
    );
}

#[test]
fn an_invalid_spec_can_be_suspended_and_nothing_else_of_it_counts() {
    let workload = |replicas: i32| {
        let text = format!(
            "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: my-dev-server}}, spec: {{replicas: {replicas}, serviceName: x, selector: {{}}, template: {{}}}}}}"
        );
        Observed {
            workload: Some(fixtures::yaml::<StatefulSet>(&text)),
            ..ready()
        }
    };
    let halts = |suspend: bool, flavor: &str, replicas: i32| {
        let mut server = server();
        server.spec.suspend = suspend;
        server.spec.flavor = Some(flavor.to_owned());
        let outcome = resolve(&server, &fixtures::references(), &Platform::default());
        halt_now(&server, &outcome, &workload(replicas)).is_some()
    };
    assert!(halts(true, "no-such", 1));
    assert!(!halts(true, "no-such", 0), "it is stopped already");
    assert!(!halts(false, "no-such", 1), "nobody asks");
    assert!(!halts(true, "cpu-small", 1), "the ordinary way does it");
    let mut server = server();
    server.spec.suspend = true;
    server.spec.flavor = Some("no-such".to_owned());
    let status = told(&server, &Observed::default(), 0);
    assert_eq!(status.phase, Some(Phase::Suspended));
    assert!(status.message.unwrap().contains("no-such"));
}
