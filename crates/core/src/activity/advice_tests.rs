use devserver_api::{DevServerFlavorSpec, DevServerSpec, DevServerStatus};
use serde_json::json;

use super::*;
use crate::activity::{Memory, Repository};

const GI: u64 = 1 << 30;

fn flavor(name: &str, memory: &str) -> DevServerFlavor {
    let mut spec = DevServerFlavorSpec::default();
    let size = Quantity(memory.to_owned());
    spec.resources.limits.insert("memory".to_owned(), size);
    DevServerFlavor::new(name, spec)
}

fn flavors() -> Vec<Arc<DevServerFlavor>> {
    let mut gpu = flavor("gpu", "12Gi");
    let one = Quantity("1".to_owned());
    gpu.spec.resources.limits.insert(GPU.to_owned(), one);
    let mut others = flavor("others", "12Gi");
    others.spec.allowed_users = Some(vec!["bob".to_owned()]);
    let all = [
        flavor("huge", "64Gi"),
        flavor("small", "8Gi"),
        flavor("large", "16Gi"),
        flavor("odd", "x"),
        gpu,
        others,
    ];
    all.map(Arc::new).to_vec()
}

fn server(before: &[Advice]) -> DevServer {
    let mut server = DevServer::new(
        "box",
        DevServerSpec {
            flavor: Some("small".to_owned()),
            owner: Some("alice".to_owned()),
            ..DevServerSpec::default()
        },
    );
    server.status = Some(DevServerStatus {
        advice: before.to_vec(),
        ..DevServerStatus::default()
    });
    server
}

fn pod(status: &serde_json::Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "box-0"},
        "spec": {"containers": [{"name": "dev", "resources": {"limits": {"memory": "8Gi"}}}]},
        "status": {"containerStatuses": [{"name": "dev", "image": "x", "imageID": "x", "ready": true, "restartCount": 1, "lastState": status}]},
    }))
    .unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn report() -> Report {
    crate::activity::tests::report()
}

/// What is told at noon of a pod that nothing happened to.
fn told(inside: Inside<'_>, before: &[Advice], is_used: bool) -> Vec<Advice> {
    advice(&Situation {
        server: &server(before),
        pod: Some(&pod(&json!({}))),
        inside,
        flavors: &flavors(),
        is_used,
        now: at("2026-03-01T12:00:00Z"),
    })
}

fn home(percent: u64) -> Report {
    Report {
        home: Some(Disk {
            total: 10 * GI,
            used: percent * GI / 10,
        }),
        ..report()
    }
}

fn reasons(advice: &[Advice]) -> Vec<&str> {
    advice.iter().map(|one| one.reason.as_str()).collect()
}

#[test]
fn volumes_are_told_of_in_steps_and_a_step_is_left_only_with_some_relief() {
    let mut before = Vec::new();
    for (percent, expected) in [
        (79, None),
        (80, Some("HomeFilling")),
        (85, Some("HomeFilling")),
        (78, Some("HomeFilling")),
        (76, None),
        (78, None),
        (91, Some("HomeNearlyFull")),
        (88, Some("HomeNearlyFull")),
        (86, Some("HomeFilling")),
        (100, Some("HomeFull")),
        (99, Some("HomeNearlyFull")),
    ] {
        let report = home(percent);
        let now = told(Inside::Report(&report), &before, true);
        assert_eq!(reasons(&now).first().copied(), expected, "{percent} %");
        let again = told(Inside::Report(&home(percent)), &now, true);
        assert_eq!(again, now, "nothing new is told at {percent} %");
        before = now;
    }
    let filling = told(Inside::Report(&home(80)), &[], true);
    assert_eq!(
        filling,
        told(Inside::Report(&home(89)), &filling, true),
        "no raw numbers"
    );
    let advice = filling.first().unwrap();
    assert_eq!(
        advice.message,
        "the home volume (10 Gi) is more than 80 % full"
    );
    assert!(
        advice.remedy.contains("spec.persistentHomeSize of box"),
        "{advice:?}"
    );
    let none = Report {
        home: Some(Disk::default()),
        ..report()
    };
    assert_eq!(told(Inside::Report(&none), &filling, true), []);
}

fn killed_at(text: &str) -> Report {
    Report {
        memory: Memory {
            limit: Some(8 * GI),
            oom_kills: 3,
            last_oom: Some(at(text)),
            ..Memory::default()
        },
        ..report()
    }
}

#[test]
fn memory_that_ran_out_is_explained_with_the_smallest_flavor_that_would_do() {
    let report = killed_at("2026-03-01T10:20:30Z");
    let now = told(Inside::Report(&report), &[], true);
    let advice = now.first().unwrap();
    assert_eq!(advice.reason, "OutOfMemory");
    assert_eq!(
        advice.message,
        "programs were killed for lack of memory, the last time in the hour after 2026-03-01 10:00 UTC: all 8 Gi were in use"
    );
    // Neither the one with a GPU nor the one of somebody else.
    assert!(
        advice.remedy.starts_with("flavor large has 16 Gi"),
        "{advice:?}"
    );
    let later = killed_at("2026-03-01T10:59:59Z");
    assert_eq!(told(Inside::Report(&later), &now, true), now, "by the hour");
    let old = killed_at("2026-02-28T11:00:00Z");
    assert_eq!(
        told(Inside::Report(&old), &now, true),
        [],
        "a day is enough"
    );
    let small = Situation {
        flavors: &flavors()[1..2],
        server: &server(&[]),
        pod: Some(&pod(&json!({}))),
        inside: Inside::Report(&report),
        is_used: true,
        now: at("2026-03-01T12:00:00Z"),
    };
    let remedy = &super::advice(&small)[0].remedy;
    assert!(remedy.contains("no flavor"), "{remedy}");
}

#[test]
fn a_container_that_was_ended_for_lack_of_memory_needs_no_agent_to_tell() {
    let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-03-01T11:30:00Z"}});
    let of = |status: &serde_json::Value, inside: Inside<'_>| {
        advice(&Situation {
            server: &server(&[]),
            pod: Some(&pod(status)),
            inside,
            flavors: &flavors(),
            is_used: true,
            now: at("2026-03-01T12:00:00Z"),
        })
    };
    let now = of(&ended, Inside::NotAsked);
    let advice = now.first().unwrap();
    assert!(
        advice.message.contains("was started again") && advice.message.contains("all 8 Gi"),
        "{advice:?}"
    );
    assert!(advice.remedy.contains("flavor large"), "{advice:?}");
    assert_eq!(of(&ended, Inside::Silent), now);
    let error = json!({"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-03-01T11:30:00Z"}});
    assert_eq!(of(&error, Inside::NotAsked), []);
}

#[test]
fn work_that_would_be_lost_is_named_when_nobody_is_at_it() {
    let one = |uncommitted| Repository {
        path: "src/app".into(),
        uncommitted,
        unpushed: 1,
    };
    let of = |git: Vec<Repository>, is_used| {
        let report = Report { git, ..report() };
        told(Inside::Report(&report), &[], is_used)
    };
    let now = of(vec![one(3), one(1)], false);
    let advice = now.first().unwrap();
    assert_eq!(
        advice.message,
        "there is work that is nowhere else: src/app and others"
    );
    assert_eq!(
        of(vec![one(7), one(1)], false),
        now,
        "no counts: they change with every file"
    );
    assert_eq!(of(vec![one(3)], true), []);
    assert_eq!(of(Vec::new(), false), []);
}

#[test]
fn a_silent_agent_changes_nothing_and_without_a_pod_there_is_nothing_to_say() {
    let before = told(Inside::Report(&home(95)), &[], true);
    assert_eq!(told(Inside::Silent, &before, true), before);
    assert_eq!(told(Inside::NotAsked, &before, true), []);
    let gone = Situation {
        server: &server(&before),
        pod: None,
        inside: Inside::Silent,
        flavors: &[],
        is_used: true,
        now: at("2026-03-01T12:00:00Z"),
    };
    assert_eq!(advice(&gone), []);
}

#[test]
fn the_most_urgent_comes_first() {
    let report = Report {
        docker: Some(Disk {
            total: 100,
            used: 90,
        }),
        git: vec![Repository::default()],
        ..killed_at("2026-03-01T11:00:00Z")
    };
    let report = Report {
        home: Some(Disk {
            total: 100,
            used: 80,
        }),
        ..report
    };
    let now = told(Inside::Report(&report), &[], false);
    assert_eq!(
        reasons(&now),
        [
            "OutOfMemory",
            "HomeFilling",
            "DockerNearlyFull",
            "UnsavedWork"
        ]
    );
}
