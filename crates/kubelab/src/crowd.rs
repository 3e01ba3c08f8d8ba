//! Simulated nodes: kwok answers for the kubelets of any number of nodes, so that thousands of pods "run".

use serde_json::json;

use crate::{
    config::LabName,
    controllers,
    error::{At, Error},
    starting::Starting,
    storage,
};

const STAGES: &str = include_str!("../manifests/kwok-stages.yaml");

/// Nodes made at the start; more can be created like any object.
const NODES: usize = 10;

/// Starts kwok, a provisioner for all of its nodes, and creates the first nodes.
pub fn run(lab: &mut Starting) -> Result<(), Error> {
    let stages = lab.dir.join("kwok-stages.yaml");
    std::fs::write(&stages, STAGES).at("write", &stages)?;
    let kwok = lab.component(
        "kwok",
        [
            format!("--kubeconfig={}", lab.dir.admin_kubeconfig().display()),
            format!("--config={}", stages.display()),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
            format!("--node-ip={}", lab.plan.node()),
            format!("--cidr={}", lab.plan.pods()),
            "--node-lease-duration-seconds=200".into(),
            "--server-address=127.0.0.1:10247".into(),
        ],
    )?;
    lab.start(&kwok)?;
    storage::start(lab, None)?;
    for index in 0..NODES {
        let name = node(&lab.name, index);
        lab.client
            .apply(&format!("/api/v1/nodes/{name}"), &node_object(&name))?;
    }
    let last = node(&lab.name, NODES - 1);
    lab.wait("simulated nodes ready", "kwok", 60, |lab| {
        let object = lab
            .client
            .object(&format!("/api/v1/nodes/{last}"))
            .map_err(|error| error.to_string())?;
        let conditions = object
            .as_ref()
            .and_then(|node| node.pointer("/status/conditions")?.as_array().cloned());
        let ready = |condition: &serde_json::Value| {
            condition["type"] == "Ready" && condition["status"] == "True"
        };
        let all = conditions.is_some_and(|conditions| conditions.iter().any(ready));
        if all {
            Ok(())
        } else {
            Err(format!("{last} is not ready"))
        }
    })?;
    lab.wait(
        "kube-scheduler still healthy",
        "kube-scheduler",
        10,
        |lab| lab.client.healthy(controllers::SCHEDULER_PORT, "/healthz"),
    )
}

fn node(name: &LabName, index: usize) -> String {
    format!("{name}-crowd-{index}")
}

fn node_object(name: &str) -> String {
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "1000"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
        },
        "status": {"allocatable": room, "capacity": room},
    })
    .to_string()
}
