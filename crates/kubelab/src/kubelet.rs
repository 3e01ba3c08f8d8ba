//! The kubelet.

use std::fs;

use serde_json::{Value, json};

use crate::{
    error::{At, Error},
    process::Component,
    starting::Starting,
};

/// A seccomp profile as nodes have it where `operator.config.docker.seccompProfile` names it.
const SECCOMP: (&str, &str) = (
    "kubelet/seccomp/devserver",
    include_str!("../../../deploy/seccomp/docker-rootless.json"),
);

/// Writes its configuration and gives the way to call it.
pub fn component(lab: &Starting) -> Result<Component, Error> {
    let path = lab.dir.join("kubelet.json");
    fs::write(&path, configuration(lab).to_string()).at("write", &path)?;
    let (folder, profile) = SECCOMP;
    let folder = lab.dir.join(folder);
    fs::create_dir_all(&folder).at("create", &folder)?;
    let file = folder.join("docker-rootless.json");
    fs::write(&file, profile).at("write", &file)?;
    lab.component(
        "kubelet",
        [
            format!("--config={}", path.display()),
            format!("--kubeconfig={}", lab.dir.text("kubelet.kubeconfig")),
            format!("--hostname-override={}", lab.name.node()),
            format!("--node-ip={}", lab.plan.node()),
            format!("--root-dir={}", lab.dir.text("kubelet")),
            // Deprecated, but without it /metrics/cadvisor has neither containers nor pod networks.
            format!("--containerd={}", lab.dir.containerd_socket().display()),
        ],
    )
}

/// Whether the node is Ready.
pub fn ready(lab: &Starting) -> Result<(), String> {
    let path = format!("/api/v1/nodes/{}", lab.name.node());
    let node = lab
        .client
        .object(&path)
        .map_err(|error| error.to_string())?;
    let Some(node) = node else {
        return Err("the node has not registered".into());
    };
    let conditions = node
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let ready = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready");
    match ready {
        Some(condition) if condition["status"] == "True" => Ok(()),
        Some(condition) => Err(condition["message"]
            .as_str()
            .unwrap_or("not ready")
            .to_owned()),
        None => Err("the node has no condition Ready".into()),
    }
}

fn configuration(lab: &Starting) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        // Two kubelets on one root remove each other's pods.
        "cgroupRoot": format!("/{}", lab.name.scope()),
        "podLogsDir": lab.dir.text("pod-logs"),
        "volumePluginDir": lab.dir.text("volume-plugins"),
        "staticPodPath": "",
        "containerRuntimeEndpoint": format!("unix://{}", lab.dir.containerd_socket().display()),
        "failSwapOn": false,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": lab.dir.text("pki/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": lab.dir.text("pki/kubelet.crt"),
        "tlsPrivateKeyFile": lab.dir.text("pki/kubelet.key"),
        "clusterDNS": [lab.plan.dns().to_string()],
        "clusterDomain": "cluster.local",
        // The host's resolver is not reachable from the lab's namespace in general.
        "resolvConf": "",
        "maxPods": 250,
        // Changed Secrets reach pods within this time; a minute would be most of a test.
        "syncFrequency": "10s",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        // Images come from the checkout, not from a registry: what is removed cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": false,
    })
}
