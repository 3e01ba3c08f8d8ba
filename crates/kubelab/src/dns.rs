//! The cluster's DNS: CoreDNS as a Deployment, as in any cluster.

use serde_json::Value;

use crate::{bundle, error::Error, starting::Starting};

const MANIFEST: &str = include_str!("../manifests/coredns.yaml");

/// Applies the objects; the pod starts when the node is there.
pub fn apply(lab: &Starting) -> Result<(), Error> {
    bundle::apply(
        &lab.client,
        &MANIFEST.replace("@DNS@", &lab.plan.dns().to_string()),
    )
}

/// Whether names can be asked for: a pod is ready and listed behind the Service.
pub fn ready(lab: &Starting) -> Result<(), String> {
    let path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";
    let deployment = lab.client.object(path).map_err(|error| error.to_string())?;
    let ready = deployment
        .as_ref()
        .and_then(|deployment| deployment.pointer("/status/readyReplicas")?.as_u64());
    if ready.is_some_and(|ready| ready > 0) {
        Ok(())
    } else {
        Err(pod_state(lab))
    }
}

/// Why the pod is not ready, for the error.
fn pod_state(lab: &Starting) -> String {
    let path = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns";
    let pods = lab.client.object(path).ok().flatten().unwrap_or_default();
    let Some(pod) = pods.pointer("/items/0") else {
        return "there is no pod of CoreDNS yet".into();
    };
    let waiting = pod
        .pointer("/status/containerStatuses/0/state/waiting")
        .map(Value::to_string);
    let phase = pod
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    format!(
        "the pod of CoreDNS is {phase} {}",
        waiting.unwrap_or_default()
    )
}
