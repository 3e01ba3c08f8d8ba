//! Events of a DevServer and its objects: which they are, when they were, in which order. Pure.

use std::collections::BTreeSet;

use devserver_api::{DevServer, names::ServerName};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

/// Names of the objects that events are written about. Asked for one by one, because a namespace may hold many others.
pub fn names(server: &ServerName) -> BTreeSet<String> {
    BTreeSet::from([
        server.as_str().to_owned(),
        server.workload(),
        server.pod(),
        server.home_claim(),
        server.ssh_service(),
    ])
}

/// Whether it is about one of the server's objects. Names are used again, so what is older than the DevServer, or about
/// another one of its name, is not.
pub fn is_about(event: &Event, name: &ServerName, server: Option<&DevServer>) -> bool {
    let object = &event.involved_object;
    let of = |kind: &str, name: &str| {
        object.kind.as_deref() == Some(kind) && object.name.as_deref() == Some(name)
    };
    let is_its_object = of("DevServer", name.as_str())
        || of("StatefulSet", &name.workload())
        || of("Pod", &name.pod())
        || of("PersistentVolumeClaim", &name.home_claim())
        || of("Service", &name.ssh_service());
    let Some(server) = server else {
        return is_its_object;
    };
    let is_another = object.kind.as_deref() == Some("DevServer")
        && object.uid.is_some()
        && object.uid != server.metadata.uid;
    let created = server.metadata.creation_timestamp.as_ref().map(|t| t.0);
    is_its_object && !is_another && time(event) >= created
}

/// When it last happened; which field says so depends on who wrote the event.
pub fn time(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|s| s.last_observed_time.as_ref())
        .map(|t| t.0);
    series
        .or(event.last_timestamp.as_ref().map(|t| t.0))
        .or(event.event_time.as_ref().map(|t| t.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|t| t.0))
}

/// How often it happened.
pub fn count(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|s| s.count);
    series.or(event.count).unwrap_or(1).max(1)
}

/// The oldest first.
pub fn sort(events: &mut [Event]) {
    // Writers differ in how exact their times are, so within a second the order of writing decides.
    events.sort_by_key(|e| {
        let version = e
            .metadata
            .resource_version
            .as_ref()
            .and_then(|v| v.parse::<u64>().ok());
        (time(e).map(Timestamp::as_second), version)
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, name: &str, at: &str, more: &Value) -> Event {
        let mut value = json!({
            "metadata": {"name": "e", "resourceVersion": "5"}, "lastTimestamp": at,
            "involvedObject": {"kind": kind, "name": name},
        });
        for (key, more) in more.as_object().into_iter().flatten() {
            value[key] = more.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn server() -> DevServer {
        serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}},
            "metadata": {"name": "a", "uid": "u1", "creationTimestamp": "2026-01-01T08:00:00Z"},
        }))
        .unwrap()
    }

    #[test]
    fn events_of_the_pod_and_the_home_count_and_those_of_others_do_not() {
        let name = ServerName::parse("a").unwrap();
        let at = "2026-01-01T09:00:00Z";
        for (kind, object, expected) in [
            ("DevServer", "a", true),
            ("StatefulSet", "a", true),
            ("Pod", "a-0", true),
            ("PersistentVolumeClaim", "home-a-0", true),
            ("Pod", "a", false),
            ("Pod", "b-0", false),
            ("Deployment", "a", false),
        ] {
            let event = event(kind, object, at, &json!({}));
            assert_eq!(
                is_about(&event, &name, Some(&server())),
                expected,
                "{kind} {object}"
            );
            assert!(
                !expected || names(&name).contains(object),
                "{object} is not asked for"
            );
        }
    }

    #[test]
    fn what_happened_to_an_earlier_one_of_the_name_is_not_shown() {
        let name = ServerName::parse("a").unwrap();
        let old = event("DevServer", "a", "2026-01-01T07:59:59Z", &json!({}));
        assert!(!is_about(&old, &name, Some(&server())));
        assert!(
            is_about(&old, &name, None),
            "of one that is gone all is shown"
        );
        let other = json!({"involvedObject": {"kind": "DevServer", "name": "a", "uid": "u0"}});
        let late = event("DevServer", "a", "2026-01-01T08:00:01Z", &other);
        assert!(!is_about(&late, &name, Some(&server())));
    }

    #[test]
    fn the_oldest_is_first_and_within_a_second_the_order_of_writing_decides() {
        let with = |at: &str, version: &str| {
            event(
                "Pod",
                "a-0",
                at,
                &json!({"metadata": {"name": version, "resourceVersion": version}}),
            )
        };
        let mut events = vec![
            with("2026-01-01T08:00:02Z", "9"),
            with("2026-01-01T08:00:01Z", "12"),
            with("2026-01-01T08:00:01Z", "7"),
        ];
        sort(&mut events);
        let order: Vec<_> = events
            .iter()
            .map(|e| e.metadata.name.clone().unwrap())
            .collect();
        assert_eq!(order, ["7", "12", "9"]);
    }

    #[test]
    fn a_series_says_when_and_how_often() {
        let series = json!({"series": {"count": 7, "lastObservedTime": "2026-01-01T10:00:00.000000Z"}, "count": 2});
        let event = event("Pod", "a-0", "2026-01-01T08:00:02Z", &series);
        assert_eq!(count(&event), 7);
        assert_eq!(time(&event).unwrap().to_string(), "2026-01-01T10:00:00Z");
    }
}
