//! Whether a change waits for a restart, and which.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;

use crate::Observed;

/// A change that waits for a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Name and UID of the pod that still is as before.
    pub pod: (String, String),
    /// What differs, for people.
    pub changes: String,
}

/// The StatefulSet controller names the revision of its template, and labels each pod with the one it was made from.
pub fn pending_restart(seen: &Observed) -> Option<Restart> {
    let workload = seen.workload.as_ref()?;
    let pod = seen
        .pod
        .as_ref()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())?;
    let status = workload.status.as_ref()?;
    if status.observed_generation != workload.metadata.generation {
        return None;
    }
    let made_from = pod
        .metadata
        .labels
        .as_ref()?
        .get("controller-revision-hash")?;
    if status.update_revision.as_ref()? == made_from {
        return None;
    }
    let wanted = workload.spec.as_ref()?.template.spec.as_ref()?;
    Some(Restart {
        pod: (pod.metadata.name.clone()?, pod.metadata.uid.clone()?),
        changes: changes(pod.spec.as_ref()?, wanted),
    })
}

fn changes(now: &PodSpec, wanted: &PodSpec) -> String {
    let mut found = Vec::new();
    if let (Some(now), Some(wanted)) = (now.containers.first(), wanted.containers.first()) {
        let text = |c: &Container| c.image.clone().unwrap_or_default();
        if now.image != wanted.image {
            found.push(format!("image {} becomes {}", text(now), text(wanted)));
        }
        found.extend(resources(now, wanted));
    }
    if now.node_selector != wanted.node_selector {
        found.push("node selection changes".to_owned());
    }
    if found.is_empty() {
        "settings of the pod change".to_owned()
    } else {
        found.join("; ")
    }
}

fn resources(now: &Container, wanted: &Container) -> Vec<String> {
    let read = |c: &Container| serde_json::to_value(&c.resources).unwrap_or(Value::Null);
    let (now, wanted) = (read(now), read(wanted));
    let mut found = Vec::new();
    for group in ["requests", "limits"] {
        // `/` is written `~1` in a JSON pointer (RFC 6901).
        for (resource, path) in [
            ("cpu", "cpu"),
            ("memory", "memory"),
            ("nvidia.com/gpu", "nvidia.com~1gpu"),
        ] {
            let value = |all: &Value| {
                let found = all
                    .pointer(&format!("/{group}/{path}"))
                    .and_then(Value::as_str);
                found.unwrap_or("none").to_owned()
            };
            let (before, after) = (value(&now), value(&wanted));
            if before != after {
                found.push(format!("{resource} {group} {before} becomes {after}"));
            }
        }
    }
    found
}
