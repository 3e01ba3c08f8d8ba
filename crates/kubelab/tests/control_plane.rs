//! Labs of size control-plane, for real. Needs root and KUBELAB_TEST=1.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

mod support;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kubelab::{Lab, LabConfig, Size};
use support::{Temporary, enabled, eventually, kill, kubectl, kubelab};

#[test]
fn a_lab_takes_objects_and_leaves_nothing() {
    if !enabled("a_lab_takes_objects_and_leaves_nothing") {
        return;
    }
    let temporary = Temporary::new("one");
    let lab = temporary.up(Size::ControlPlane);
    kubectl(&lab, &["create", "namespace", "first"]).unwrap();
    // A controller made this, so controllers run.
    eventually("the ServiceAccount of a new namespace", 20, || {
        kubectl(&lab, &["-n", "first", "get", "serviceaccount", "default"])
    });
    assert!(!kubelab::leftovers(&temporary.name).unwrap().is_empty());
    temporary.down();
    temporary.down(); // A lab that is not there is no failure.
}

#[test]
fn a_second_up_finds_the_running_lab_at_once() {
    if !enabled("a_second_up_finds_the_running_lab_at_once") {
        return;
    }
    let temporary = Temporary::new("again");
    let lab = temporary.up(Size::ControlPlane);
    let before = support::pid(&lab, "etcd");
    let started = Instant::now();
    let again = temporary.up(Size::ControlPlane);
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(support::pid(&again, "etcd"), before);
    let other = LabConfig::new(temporary.name.as_str(), Size::Crowd).unwrap();
    let error = Lab::up(other).unwrap_err().to_string();
    assert!(
        error.contains("control-plane") && error.contains("kubelab down"),
        "{error}"
    );
}

#[test]
fn two_labs_run_side_by_side_and_do_not_share_objects() {
    if !enabled("two_labs_run_side_by_side_and_do_not_share_objects") {
        return;
    }
    let (one, two) = (Temporary::new("left"), Temporary::new("right"));
    // At the same time, so that both look for addresses at once.
    let (left, right) = std::thread::scope(|scope| {
        let left = scope.spawn(|| one.up(Size::ControlPlane));
        let right = scope.spawn(|| two.up(Size::ControlPlane));
        (left.join().unwrap(), right.join().unwrap())
    });
    assert_ne!(left.plan(), right.plan());
    kubectl(&left, &["create", "namespace", "only-left"]).unwrap();
    assert!(
        kubectl(&right, &["get", "namespace", "only-left"])
            .unwrap_err()
            .contains("not found")
    );
    one.down();
    kubectl(&right, &["get", "namespace", "default"]).unwrap();
    two.down();
}

#[test]
fn a_lab_with_a_killed_component_is_started_anew_by_up() {
    if !enabled("a_lab_with_a_killed_component_is_started_anew_by_up") {
        return;
    }
    let temporary = Temporary::new("crash");
    let lab = temporary.up(Size::ControlPlane);
    kubectl(&lab, &["create", "namespace", "lost"]).unwrap();
    for component in ["etcd", "kube-apiserver", "kube-controller-manager"] {
        kill(&lab, component);
    }
    assert!(!lab.status().healthy);
    let lab = temporary.up(Size::ControlPlane);
    assert!(lab.status().healthy);
    assert!(kubectl(&lab, &["get", "namespace", "lost"]).is_err());
    temporary.down();
}

#[test]
fn an_up_that_was_killed_halfway_is_cleaned_by_the_next() {
    if !enabled("an_up_that_was_killed_halfway_is_cleaned_by_the_next") {
        return;
    }
    let temporary = Temporary::new("halfway");
    let mut up = Command::new(env!("CARGO_BIN_EXE_kubelab"))
        .args([
            "up",
            "--size",
            "control-plane",
            "--lab",
            temporary.name.as_str(),
        ])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pids = format!("/run/kubelab/{}/pids/kube-apiserver", temporary.name);
    eventually("the API server's start", 30, || {
        std::fs::metadata(&pids).map_err(|error| error.to_string())
    });
    up.kill().unwrap();
    up.wait().unwrap();
    // Who was being started at that moment may need another one to show up.
    eventually("what is left is named", 10, || {
        let check = kubelab(&["down", "--check", "--lab", temporary.name.as_str()]);
        assert!(!check.status.success());
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        if said.contains("process ") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let lab = temporary.up(Size::ControlPlane);
    assert!(lab.status().healthy);
    temporary.down();
}

#[test]
fn a_user_with_a_certificate_has_exactly_the_rights_given_to_the_group() {
    if !enabled("a_user_with_a_certificate_has_exactly_the_rights_given_to_the_group") {
        return;
    }
    let temporary = Temporary::new("user");
    let lab = temporary.up(Size::ControlPlane);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kubeconfig");
    std::fs::write(&file, lab.user_kubeconfig("alice", &["readers"]).unwrap()).unwrap();
    let file = file.to_str().unwrap();
    let secrets = ["--kubeconfig", file, "get", "secrets"];
    assert!(
        kubectl(&lab, &secrets)
            .unwrap_err()
            .contains("User \"alice\" cannot list")
    );
    kubectl(
        &lab,
        &[
            "create",
            "clusterrole",
            "readers",
            "--verb=list",
            "--resource=secrets",
        ],
    )
    .unwrap();
    kubectl(
        &lab,
        &[
            "create",
            "clusterrolebinding",
            "readers",
            "--clusterrole=readers",
            "--group=readers",
        ],
    )
    .unwrap();
    eventually("the new right", 10, || kubectl(&lab, &secrets));
}

const WITH_VOLUME: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: home}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: with-volume}
spec:
  containers: [{name: one, image: none}]
  volumes: [{name: home, persistentVolumeClaim: {claimName: home}}]
";

#[test]
fn a_crowd_runs_pods_on_simulated_nodes() {
    if !enabled("a_crowd_runs_pods_on_simulated_nodes") {
        return;
    }
    let temporary = Temporary::new("crowd");
    let lab = temporary.up(Size::Crowd);
    kubectl(
        &lab,
        &[
            "create",
            "deployment",
            "many",
            "--image=none",
            "--replicas=20",
        ],
    )
    .unwrap();
    kubectl(
        &lab,
        &["rollout", "status", "deployment/many", "--timeout=60s"],
    )
    .unwrap();
    // With a volume, too: each environment has one.
    let manifest = std::env::temp_dir().join(format!("{}.yaml", temporary.name));
    std::fs::write(&manifest, WITH_VOLUME).unwrap();
    let file = format!("--filename={}", manifest.display());
    let applied = kubectl(&lab, &["apply", &file]);
    std::fs::remove_file(&manifest).unwrap();
    applied.unwrap();
    kubectl(
        &lab,
        &[
            "wait",
            "pod/with-volume",
            "--for=condition=Ready",
            "--timeout=60s",
        ],
    )
    .unwrap();
    temporary.down();
}
