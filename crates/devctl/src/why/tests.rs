use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T09:00:00Z";

fn server(spec: &Value, metadata: &Value, status: &Value) -> DevServer {
    let mut object = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}}, "status": status,
        "metadata": {"name": "a", "namespace": "default", "uid": "u1", "generation": 2, "creationTimestamp": "2026-01-01T08:00:00Z"},
    });
    for (place, more) in [("spec", spec), ("metadata", metadata)] {
        for (key, value) in more.as_object().into_iter().flatten() {
            object[place][key] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn status(phase: &str, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, is, reason)| {
            json!({"type": type_, "status": is, "reason": reason, "message": format!("said of {reason}"),
                   "lastTransitionTime": "2026-01-01T08:30:00Z"})
        })
        .collect();
    json!({"phase": phase, "observedGeneration": 2, "conditions": conditions})
}

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "a-0", "labels": {"devserver.io/uid": "u1"}}, "status": status,
    }))
    .unwrap()
}

fn event(kind: &str, reason: &str, at: &str, message: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": {"name": "e"}, "type": "Warning", "reason": reason, "message": message,
        "lastTimestamp": at, "involvedObject": {"kind": kind, "name": "a-0"},
    }))
    .unwrap()
}

fn rules(server: &DevServer, pod: Option<&Pod>, events: &[Event]) -> Vec<String> {
    let lines = why(server, pod, events, NOW.parse().unwrap());
    for line in &lines {
        assert!(!line.signal.is_empty() && !line.next.is_empty(), "{line:?}");
    }
    lines.into_iter().map(|line| line.rule).collect()
}

#[test]
fn every_reason_of_not_being_ready_has_a_next_step_and_a_remedy_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for (phase, reason) in [
        ("Pending", "Unschedulable"),
        ("Pending", "VolumeNotBound"),
        ("Pending", "QuotaExceeded"),
        ("Failed", "ImagePullFailed"),
        ("Failed", "ContainerNotStarted"),
        ("Failed", "CrashLoop"),
        ("Failed", "StartDeadlineExceeded"),
        ("Failed", "PodNotCreated"),
        ("Failed", "StuckTerminating"),
        ("Failed", "NodeLost"),
        ("Provisioning", "NotAnswering"),
        ("Provisioning", "Starting"),
        ("Running", "Running"),
    ] {
        let all = [("Valid", "True", "Valid"), ("Ready", "False", reason)];
        let server = server(&json!({}), &json!({}), &status(phase, &all));
        let lines = why(&server, None, &[], NOW.parse().unwrap());
        let [line] = lines.as_slice() else {
            panic!("{reason}: {lines:?}")
        };
        assert_eq!(line.rule, reason);
        assert_eq!(line.since.unwrap().to_string(), "2026-01-01T08:30:00Z");
        assert!(
            seen.insert(line.remedy.clone().unwrap()),
            "{reason} says what another says"
        );
    }
}

#[test]
fn an_invalid_spec_is_the_one_reason_unless_it_still_runs() {
    let invalid = ("Valid", "False", "FlavorNotFound");
    let pending = status("Pending", &[invalid, ("Ready", "False", "FlavorNotFound")]);
    let of = |status: &Value| server(&json!({}), &json!({}), status);
    assert_eq!(rules(&of(&pending), None, &[]), ["FlavorNotFound"]);
    let running = status("Running", &[invalid, ("Ready", "True", "Running")]);
    assert_eq!(
        rules(&of(&running), None, &[]),
        ["FlavorNotFound", "Running"]
    );
    let lines = why(&of(&running), None, &[], NOW.parse().unwrap());
    assert!(
        lines.first().unwrap().next.contains("goes on running"),
        "{lines:?}"
    );
}

#[test]
fn a_spec_that_nobody_looked_at_is_told_and_after_a_while_so_is_the_missing_operator() {
    let of = |created: &str| {
        server(
            &json!({}),
            &json!({"creationTimestamp": created}),
            &Value::Null,
        )
    };
    let young = why(&of("2026-01-01T08:59:58Z"), None, &[], NOW.parse().unwrap());
    assert_eq!(young.first().unwrap().rule, "NotSeenYet");
    assert_eq!(young.first().unwrap().remedy, None);
    let old = why(&of("2026-01-01T08:50:00Z"), None, &[], NOW.parse().unwrap());
    assert!(
        old.first()
            .unwrap()
            .remedy
            .as_ref()
            .unwrap()
            .contains("operator"),
        "{old:?}"
    );
    let mut changed = status("Running", &[("Ready", "True", "Running")]);
    changed["observedGeneration"] = json!(1);
    let server = server(&json!({}), &json!({}), &changed);
    assert_eq!(rules(&server, None, &[]), ["NotSeenYet", "Running"]);
}

#[test]
fn what_is_stopped_says_by_whom_and_nothing_of_the_pod() {
    let stopped = status(
        "Suspended",
        &[("Valid", "True", "Valid"), ("Ready", "False", "Suspended")],
    );
    let spec = json!({"suspend": true});
    let by_user = server(&spec, &json!({}), &stopped);
    let marked = json!({"annotations": {"devserver.io/suspended-by": "policy"}});
    let by_policy = server(&spec, &marked, &stopped);
    let marked = json!({"annotations": {"devserver.io/suspended-by": "idle"}});
    let by_idle = server(&spec, &marked, &stopped);
    let marked = json!({"annotations": {"devserver.io/suspended-by": "bob"}});
    let by_bob = server(&spec, &marked, &stopped);
    for (server, word) in [
        (by_user, "on request"),
        (by_policy, "by a policy"),
        (by_idle, "because nobody used it"),
        (by_bob, "on request of bob"),
    ] {
        let lines = why(&server, None, &[], NOW.parse().unwrap());
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert!(line.signal.contains(word), "{line:?}");
        assert!(
            line.remedy.as_ref().unwrap().contains("devctl resume a"),
            "{line:?}"
        );
    }
    let stopping = status("Suspended", &[("Ready", "False", "Stopping")]);
    assert_eq!(
        rules(&server(&spec, &json!({}), &stopping), None, &[]),
        ["Stopping"]
    );
}

#[test]
fn what_is_being_deleted_says_so_and_when_its_pod_ends() {
    let metadata = json!({"deletionTimestamp": "2026-01-01T08:59:00Z"});
    let server = server(
        &json!({}),
        &metadata,
        &status("Terminating", &[("Ready", "False", "Deleting")]),
    );
    let mut ending = pod(&json!({}));
    ending.metadata.deletion_timestamp = Some(Time("2026-01-01T09:00:30Z".parse().unwrap()));
    let lines = why(&server, Some(&ending), &[], NOW.parse().unwrap());
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(line.when.unwrap().to_string(), "2026-01-01T09:00:30Z");
    assert!(line.next.contains("its home stays"), "{line:?}");
}

#[test]
fn a_restart_that_waits_and_an_end_that_comes_are_told_of_what_runs() {
    let mut running = status(
        "Running",
        &[
            ("Ready", "True", "Running"),
            ("RestartPending", "True", "TemplateChanged"),
            ("Expiring", "True", "ExpiresSoon"),
        ],
    );
    running["expirationTime"] = json!("2026-01-01T09:30:00Z");
    let server = server(&json!({}), &json!({}), &running);
    assert_eq!(
        rules(&server, None, &[]),
        ["Running", "RestartPending", "ExpiresSoon"]
    );
    let lines = why(&server, None, &[], NOW.parse().unwrap());
    assert_eq!(
        lines.last().unwrap().when.unwrap().to_string(),
        "2026-01-01T09:30:00Z"
    );
}

#[test]
fn a_deletion_that_is_held_back_promises_no_time() {
    for reason in ["ClockSkew", "WaitsForItsTurn"] {
        let mut held = status(
            "Running",
            &[("Ready", "True", "Running"), ("Expiring", "True", reason)],
        );
        held["expirationTime"] = json!("2026-01-01T08:30:00Z");
        let lines = why(
            &server(&json!({}), &json!({}), &held),
            None,
            &[],
            NOW.parse().unwrap(),
        );
        let line = lines.last().unwrap();
        assert_eq!((line.rule.as_str(), line.when), (reason, None));
    }
}

#[test]
fn a_container_that_ended_is_told_with_the_log_to_read() {
    let ended = pod(
        &json!({"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{
            "name": "dev", "image": "", "imageID": "", "ready": true, "restartCount": 2, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T08:40:00Z"}},
        }]}),
    );
    let server = server(
        &json!({}),
        &json!({}),
        &status("Running", &[("Ready", "True", "Running")]),
    );
    let lines = why(&server, Some(&ended), &[], NOW.parse().unwrap());
    let line = lines.iter().find(|l| l.rule == "ContainerEnded").unwrap();
    assert!(
        line.signal.contains("2 times") && line.signal.contains("137"),
        "{line:?}"
    );
    assert!(
        line.remedy.as_ref().unwrap().contains("larger flavor"),
        "{line:?}"
    );
    let mut stranger = ended.clone();
    stranger.metadata.labels = None;
    assert_eq!(
        rules(&server, Some(&stranger), &[]),
        ["Running"],
        "a pod of another one says nothing"
    );
}

#[test]
fn complaints_of_the_cluster_are_told_while_it_is_not_ready_the_newest_first_and_each_once() {
    let starting = server(
        &json!({}),
        &json!({}),
        &status("Provisioning", &[("Ready", "False", "Starting")]),
    );
    let events = [
        event("Pod", "FailedMount", "2026-01-01T08:30:00Z", "long ago"),
        event("Pod", "FailedMount", "2026-01-01T08:58:00Z", "first"),
        event("Pod", "FailedMount", "2026-01-01T08:59:00Z", "second"),
        event(
            "DevServer",
            "Starting",
            "2026-01-01T08:59:00Z",
            "of the operator",
        ),
        event(
            "PersistentVolumeClaim",
            "ProvisioningFailed",
            "2026-01-01T08:59:30Z",
            "no room",
        ),
    ];
    assert_eq!(
        rules(&starting, None, &events),
        ["Starting", "ProvisioningFailed", "FailedMount"]
    );
    let lines = why(&starting, None, &events, NOW.parse().unwrap());
    assert_eq!(lines.last().unwrap().signal, "pod: second");
    let ready = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
    let running = server(
        &json!({}),
        &json!({}),
        &status("Running", &[("Ready", "True", "Running")]),
    );
    assert_eq!(rules(&running, Some(&ready), &events), ["Running"]);
}

#[test]
fn an_idle_one_says_rule_signal_minute_and_what_is_next() {
    let mut told = status(
        "Running",
        &[("Ready", "True", "Running"), ("Valid", "True", "Valid")],
    );
    told["idle"] = json!({
        "state": "Idle", "since": "2026-01-01T08:10:00Z", "signal": "typed", "rule": "team genomics",
        "stage": "Alert", "nextStage": "Notify", "nextTime": "2026-01-01T10:10:00Z",
        "workingHours": "Monday-Friday 08:00-18:00 in Europe/Berlin",
    });
    let server = server(&json!({}), &json!({}), &told);
    let lines = why(&server, None, &[], NOW.parse().unwrap());
    let line = lines.iter().find(|line| line.rule == "Idle").unwrap();
    assert!(
        line.signal.contains("typed")
            && line.next.contains("team genomics")
            && line.next.contains("counts only Monday-Friday 08:00-18:00"),
        "{line:?}"
    );
    assert_eq!(line.since, Some("2026-01-01T08:10:00Z".parse().unwrap()));
    assert_eq!(line.when, Some("2026-01-01T10:10:00Z".parse().unwrap()));
    assert!(line.remedy.as_ref().unwrap().contains("devctl snooze a"));
}
