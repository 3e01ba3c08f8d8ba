//! A home outlives its DevServer: what its claim says, when its removal is announced, and when it comes.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use devserver_api::{
    DevServer,
    trash::{self, Ended},
};
use devserver_core::{
    Clocks, Environment, Platform, References, resolve,
    trash::{Removal, Rules, Step, event_name, living, step},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use proptest::prelude::*;
use serde_json::{Value, json};

const DAY: i64 = 86_400;
const MONTH: Rules = Rules {
    retention: Some(30 * 86_400),
    warning: 86_400,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn clocks(second: i64) -> Clocks {
    Clocks {
        server: Some(at(second)),
        own: at(second),
    }
}

fn claim() -> PersistentVolumeClaim {
    serde_json::from_value(json!({"metadata": {
        "name": "home-box-0", "uid": "0a1b", "resourceVersion": "7",
        "labels": {"devserver.io/name": "box", "devserver.io/uid": "1"},
        "annotations": {"devserver.io/owner": "alice"},
    }}))
    .unwrap()
}

/// As the API server merges it.
fn apply(claim: &mut PersistentVolumeClaim, patch: &Value) {
    let there = claim.metadata.annotations.get_or_insert_default();
    for (key, value) in patch["metadata"]["annotations"].as_object().unwrap() {
        match value.as_str() {
            Some(text) => there.insert(key.clone(), text.to_owned()),
            None => there.remove(key),
        };
    }
}

/// One step, written.
fn advance(claim: &mut PersistentVolumeClaim, rules: &Rules, now: i64) {
    let patch = step(claim, rules, clocks(now)).patch.unwrap();
    apply(claim, &patch);
}

/// A look at its DevServer, written.
fn keep(claim: &mut PersistentVolumeClaim, server: &DevServer) {
    let patch = living(server, &environment(server), claim).unwrap();
    apply(claim, &patch);
}

fn server(spec: &Value) -> DevServer {
    let mut server = DevServer::new("box", serde_json::from_value(spec.clone()).unwrap());
    server.metadata.namespace = Some("lab".to_owned());
    server.metadata.uid = Some("1".to_owned());
    server.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    server
}

fn environment(server: &DevServer) -> Environment {
    let flavor = devserver_api::DevServerFlavor::new(
        "small",
        serde_json::from_value(json!({"default": true})).unwrap(),
    );
    let references = References {
        flavors: vec![flavor],
        ..References::default()
    };
    resolve(server, &references, &Platform::default()).unwrap()
}

fn spec() -> Value {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R a";
    json!({"ssh": {"publicKey": key}, "lifecycle": {"timeToLive": "8h"}, "image": "debian:13"})
}

#[test]
fn the_claim_of_a_living_devserver_says_how_to_make_it_again() {
    let (server, mut claim) = (server(&spec()), claim());
    let env = environment(&server);
    let patch = living(&server, &env, &claim).unwrap();
    assert_eq!(patch["metadata"]["uid"], "0a1b");
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    apply(&mut claim, &patch);
    let record = trash::record(&claim).unwrap();
    assert_eq!(record.spec, server.spec);
    assert_eq!(record.flavor, "small");
    assert_eq!(record.expires, Some(at(8 * 3600)));
    assert_eq!(living(&server, &env, &claim), None, "it says so already");
}

#[test]
fn a_claim_that_is_being_bound_is_left_alone() {
    let (server, mut claim) = (server(&spec()), claim());
    let env = environment(&server);
    let spec = claim.spec.get_or_insert_default();
    spec.storage_class_name = Some("standard".into());
    assert_eq!(living(&server, &env, &claim), None);
    claim.status.get_or_insert_default().phase = Some("Pending".into());
    assert_eq!(living(&server, &env, &claim), None);
    claim.status.get_or_insert_default().phase = Some("Bound".into());
    assert!(living(&server, &env, &claim).is_some());
}

#[test]
fn suspending_and_resuming_writes_nothing_to_the_claim() {
    let (mut server, mut claim) = (server(&spec()), claim());
    keep(&mut claim, &server);
    server.spec.suspend = true;
    assert_eq!(living(&server, &environment(&server), &claim), None);
}

#[test]
fn a_home_that_goes_with_its_devserver_is_not_kept() {
    let mut spec = spec();
    spec["lifecycle"]["volumeRetention"] = json!("Delete");
    let (server, mut claim) = (server(&spec), claim());
    let env = environment(&server);
    assert_eq!(living(&server, &env, &claim), None);
    let record = (trash::RECORD.to_owned(), "{}".to_owned());
    claim
        .metadata
        .annotations
        .get_or_insert_default()
        .extend([record]);
    keep(&mut claim, &server);
    assert_eq!(trash::record(&claim), None, "it was kept before");
}

#[test]
fn who_comes_out_of_the_trash_is_no_longer_on_the_way() {
    let (server, mut claim) = (server(&spec()), claim());
    for now in [0, 29 * DAY] {
        advance(&mut claim, &MONTH, now);
    }
    assert!(trash::marks(&claim).warned.is_some());
    keep(&mut claim, &server);
    assert_eq!(trash::marks(&claim), trash::Marks::default());
}

#[test]
fn other_claims_are_left_alone() {
    let server = server(&spec());
    let env = environment(&server);
    let mut other = claim();
    other.metadata.name = Some("data".to_owned());
    assert_eq!(living(&server, &env, &other), None);
    let mut going = claim();
    going.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    assert_eq!(living(&server, &env, &going), None);
}

#[test]
fn why_it_ended_is_told_by_its_time() {
    let server = server(&spec());
    for (ended, expected) in [(3600, Ended::Deleted), (8 * 3600, Ended::Expired)] {
        let mut claim = claim();
        keep(&mut claim, &server);
        advance(&mut claim, &MONTH, ended);
        let marks = trash::marks(&claim);
        assert_eq!(marks.because, Some(expected));
        assert_eq!(marks.ended, Some(at(ended)));
        assert_eq!(marks.removal, Some(at(ended + 30 * DAY)));
    }
}

#[test]
fn without_a_retention_it_is_kept_for_ever() {
    let rules = Rules {
        retention: None,
        ..MONTH
    };
    let mut claim = claim();
    advance(&mut claim, &rules, 0);
    let later = step(&claim, &rules, clocks(10_000 * DAY));
    assert_eq!(later, Step::default());
    // Also one that was on its way.
    advance(&mut claim, &MONTH, DAY);
    advance(&mut claim, &rules, DAY);
    assert_eq!(trash::marks(&claim).removal, None);
}

#[test]
fn a_longer_retention_takes_the_announcement_back_and_gives_it_anew() {
    let mut claim = claim();
    for now in [0, 29 * DAY] {
        advance(&mut claim, &MONTH, now);
    }
    let longer = Rules {
        retention: Some(60 * 86_400),
        ..MONTH
    };
    advance(&mut claim, &longer, 29 * DAY);
    let marks = trash::marks(&claim);
    assert_eq!((marks.warned, marks.removal), (None, Some(at(60 * DAY))));
    let again = step(&claim, &longer, clocks(59 * DAY)).announce.unwrap();
    assert_ne!(
        event_name(&claim, at(30 * DAY), "removal"),
        event_name(&claim, again.end, "removal"),
        "it is another announcement"
    );
}

#[test]
fn nothing_is_removed_on_the_word_of_one_clock() {
    let mut claim = claim();
    for now in [0, 29 * DAY] {
        advance(&mut claim, &MONTH, now);
    }
    let over = 30 * DAY;
    for (server, own, expected) in [
        (Some(over), over, Removal::Due),
        (Some(over), over - 3600, Removal::Disputed),
        (Some(over - 3600), over, Removal::No),
        (None, over, Removal::Disputed),
    ] {
        let clocks = Clocks {
            server: server.map(at),
            own: at(own),
        };
        assert_eq!(step(&claim, &MONTH, clocks).removal, expected);
    }
}

proptest! {
    /// The operator looks when it looks, and dies between announcing and writing; the settings stay.
    #[test]
    fn no_home_is_removed_before_its_time_nor_unannounced(
        looks in prop::collection::vec((1_i64..20 * DAY, any::<bool>()), 1..60),
        retention in 2..60_i64, warning in 1..48_i64,
    ) {
        let rules = Rules {
            retention: Some((retention * DAY).unsigned_abs()),
            warning: (warning * 3600).unsigned_abs(),
        };
        let (mut claim, mut now, mut told) = (claim(), 0, Vec::new());
        for (span, dies) in looks {
            now += span;
            let step = step(&claim, &rules, clocks(now));
            told.extend(step.announce.map(|told| (now, told)));
            match &step.patch {
                Some(patch) if !dies => apply(&mut claim, patch),
                None if step.removal == Removal::Due => {
                    let ended = trash::marks(&claim).ended.unwrap();
                    prop_assert!(at(now).duration_since(ended) >= SignedDuration::from_secs(retention * DAY));
                    // The whole warning has passed since it was told, whatever was told later under the same name.
                    let (announced, first) = told.first().unwrap();
                    prop_assert!(now - announced >= warning * 3600);
                    prop_assert!(at(now) >= first.removal);
                    prop_assert!(told.iter().all(|(_, told)| told.end == first.end));
                    break;
                }
                _ => {}
            }
        }
    }

    #[test]
    fn who_looks_often_enough_removes_it_at_its_time_and_announces_it_once(
        every in 60_i64..3600, retention in 2..10_i64,
    ) {
        let rules = Rules { retention: Some((retention * DAY).unsigned_abs()), warning: 86_400 };
        let (mut claim, mut now, mut told) = (claim(), 0, 0);
        loop {
            let step = step(&claim, &rules, clocks(now));
            told += u32::from(step.announce.is_some());
            match &step.patch {
                Some(patch) => apply(&mut claim, patch),
                None if step.removal == Removal::Due => break,
                None => now += every,
            }
            prop_assert!(now < (retention + 2) * DAY, "never");
        }
        prop_assert_eq!(told, 1);
        // Late by no more than a look for the announcement, and one for the removal.
        prop_assert!(now >= retention * DAY && now <= retention * DAY + 2 * every, "{}", now);
    }
}
