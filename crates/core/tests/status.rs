//! What the user is told, for each thing that can be seen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::large_stack_arrays
)]

mod fixtures;

use devserver_api::{DevServer, Phase, condition};
use devserver_core::{Observed, Platform, Problem, resolve, status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn told(server: &DevServer, seen: &Observed, now: i64) -> devserver_api::DevServerStatus {
    let platform = Platform::default();
    let outcome = resolve(server, &fixtures::references(), &platform);
    status(server, &outcome, seen, &platform, at(now))
}

fn pod(status: &str) -> Observed {
    let text = format!(
        "{{metadata: {{name: my-dev-server-0, creationTimestamp: '1970-01-01T00:00:00Z'}}, status: {status}}}"
    );
    Observed {
        pod: Some(fixtures::yaml::<Pod>(&format!(
            "{{apiVersion: v1, kind: Pod, {}",
            &text[1..]
        ))),
        ..Observed::default()
    }
}

fn waiting(reason: &str, message: &str) -> Observed {
    pod(&format!(
        "{{containerStatuses: [{{name: dev, image: 'ubuntu:22.04', imageID: '', ready: false, restartCount: 0, state: {{waiting: {{reason: {reason}, message: '{message}'}}}}}}]}}"
    ))
}

#[test]
fn a_ready_pod_is_running_and_nothing_else_is() {
    let (_, server) = fixtures::server("document-002");
    let ready = pod("{conditions: [{type: Ready, status: 'True'}]}");
    assert_eq!(told(&server, &ready, 0).phase, Some(Phase::Running));
    for seen in [
        Observed::default(),
        pod("{}"),
        pod("{phase: Running, conditions: [{type: Ready, status: 'False'}]}"),
    ] {
        assert_eq!(told(&server, &seen, 0).phase, Some(Phase::Provisioning));
    }
}

#[test]
fn each_obstacle_has_its_phase_reason_and_cause() {
    let (_, server) = fixtures::server("document-002");
    let crashed = "{containerStatuses: [{name: dev, image: i, imageID: '', ready: false, restartCount: 3, state: {running: {}}, lastState: {terminated: {exitCode: 78, reason: Error, message: '/etc/passwd is read-only'}}}]}";
    let quota = Observed {
        create_failure: Some("pods \"x\" is forbidden: exceeded quota: q".to_owned()),
        ..Observed::default()
    };
    let taken = Observed {
        problem: Some(Problem::name_taken("Service", "my-dev-server-ssh")),
        ..Observed::default()
    };
    let cases = [
        (
            waiting("ImagePullBackOff", "not found"),
            Phase::Failed,
            "ImagePullFailed",
            "ubuntu:22.04",
        ),
        (
            waiting("CreateContainerConfigError", "no secret"),
            Phase::Failed,
            "ContainerNotStarted",
            "no secret",
        ),
        (
            pod("{conditions: [{type: PodScheduled, status: 'False', message: '0/1 nodes'}]}"),
            Phase::Pending,
            "Unschedulable",
            "0/1 nodes",
        ),
        (
            pod(crashed),
            Phase::Failed,
            "CrashLoop",
            "exit code 78: /etc/passwd is read-only",
        ),
        (quota, Phase::Pending, "QuotaExceeded", "exceeded quota"),
        (taken, Phase::Pending, "NameTaken", "my-dev-server-ssh"),
    ];
    for (seen, phase, reason, word) in cases {
        let told = told(&server, &seen, 0);
        let ready = condition::find(&told.conditions, condition::READY).unwrap();
        assert_eq!((told.phase, ready.reason.as_str()), (Some(phase), reason));
        assert!(told.message.as_ref().unwrap().contains(word), "{told:?}");
    }
}

#[test]
fn the_first_reason_why_an_image_cannot_be_pulled_stays() {
    let (_, mut server) = fixtures::server("document-002");
    server.status = Some(told(&server, &waiting("ErrImagePull", "no such tag"), 0));
    let later = told(&server, &waiting("ImagePullBackOff", "back-off"), 5);
    assert_eq!(Some(later), server.status);
}

#[test]
fn what_ran_and_no_longer_answers_is_not_starting_and_misses_no_start_deadline() {
    let (_, server) = fixtures::server("document-002");
    let of = |containers: &str, since: &str| {
        pod(&format!(
            "{{conditions: [{{type: ContainersReady, status: '{containers}'}}, {{type: Ready, status: 'False', lastTransitionTime: '{since}'}}], \
             containerStatuses: [{{name: dev, image: i, imageID: '', ready: false, restartCount: 1, state: {{running: {{startedAt: '1970-01-01T01:00:00Z'}}}}, \
             lastState: {{terminated: {{exitCode: 137}}}}}}]}}"
        ))
    };
    let reason = |seen: &Observed| {
        let told = told(&server, seen, 86_400);
        let ready = condition::find(&told.conditions, condition::READY).unwrap();
        ready.reason.clone()
    };
    let later = "1970-01-01T02:00:00Z";
    assert_eq!(reason(&of("True", later)), "NodeLost");
    assert_eq!(reason(&of("False", later)), "NotAnswering");
    // A sidecar that has ended says why by itself.
    let mut crashed = of("False", later);
    let statuses = crashed.pod.as_mut().unwrap().status.as_mut().unwrap();
    let sidecar = "{name: ssh, image: i, imageID: '', ready: false, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1}}}";
    statuses.init_container_statuses = Some(vec![fixtures::yaml(sidecar)]);
    assert_eq!(reason(&crashed), "CrashLoop");
    // Not Ready since before this run began: it starts, and here it did not get far.
    assert_eq!(reason(&of("False", "1970-01-01T00:30:00Z")), "CrashLoop");
}

#[test]
fn a_start_that_takes_too_long_has_failed() {
    let (_, server) = fixtures::server("document-002");
    assert_eq!(
        told(&server, &pod("{}"), 599).phase,
        Some(Phase::Provisioning)
    );
    assert_eq!(told(&server, &pod("{}"), 600).phase, Some(Phase::Failed));
}

#[test]
fn bad_input_leaves_what_runs_and_says_so() {
    let (_, mut server) = fixtures::server("document-002");
    server.spec.flavor = Some("huge".to_owned());
    let ready = pod("{conditions: [{type: Ready, status: 'True'}]}");
    let told = told(&server, &ready, 0);
    assert_eq!(told.phase, Some(Phase::Running));
    let valid = condition::find(&told.conditions, condition::VALID).unwrap();
    assert_eq!(
        (valid.status.as_str(), valid.reason.as_str()),
        ("False", "FlavorNotFound")
    );
    assert!(
        valid.message.contains("spec.flavor") && valid.message.contains("cpu-small"),
        "{}",
        valid.message
    );
}

#[test]
fn what_did_not_change_is_told_the_same_later() {
    let (_, mut server) = fixtures::server("document-002");
    let ready = pod("{conditions: [{type: Ready, status: 'True'}]}");
    server.status = Some(told(&server, &ready, 100));
    assert_eq!(Some(told(&server, &ready, 5000)), server.status);
}
