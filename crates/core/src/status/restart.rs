//! Whether a change waits for a restart, and which.

use devserver_api::{DevServer, RestartPolicy, group};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};

use super::changes;
use crate::{Environment, Invalid, Observed};

/// A change that waits for a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Name and UID of the pod that still is as before.
    pub pod: (String, String),
    /// What differs, for people.
    pub changes: String,
}

/// The pod to make anew now: its user asked for it, or wants every change to take effect by itself.
///
/// A wish names the pod by UID: the one made in its place is another, so that a wish is fulfilled once, whatever the
/// clocks say and however often it is looked at.
pub fn restart_now(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
) -> Option<Restart> {
    let pending = pending_restart(seen);
    let automatic = outcome
        .as_ref()
        .is_ok_and(|env| env.restart_policy == RestartPolicy::Automatic);
    if automatic && pending.is_some() {
        return pending;
    }
    let pod = alive(seen)?;
    let wish = server
        .metadata
        .annotations
        .as_ref()?
        .get(group::ANNOTATION_RESTART)?;
    let uid = pod.metadata.uid.as_ref().filter(|uid| *uid == wish)?;
    Some(Restart {
        pod: (pod.metadata.name.clone()?, uid.clone()),
        changes: pending.map_or_else(|| "nothing but the pod".to_owned(), |p| p.changes),
    })
}

/// The StatefulSet to stop though the spec is invalid otherwise: to stop needs nothing of what may be wrong with it.
pub fn halt_now<'a>(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &'a Observed,
) -> Option<&'a StatefulSet> {
    let workload = seen.workload.as_ref()?;
    let replicas = workload.spec.as_ref()?.replicas.unwrap_or(1);
    (server.spec.suspend && outcome.is_err() && replicas > 0).then_some(workload)
}

fn alive(seen: &Observed) -> Option<&Pod> {
    seen.pod
        .as_ref()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
}

/// The StatefulSet controller names the revision of its template, and labels each pod with the one it was made from.
pub fn pending_restart(seen: &Observed) -> Option<Restart> {
    let workload = seen.workload.as_ref()?;
    let pod = alive(seen)?;
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
    let wanted = &workload.spec.as_ref()?.template;
    Some(Restart {
        pod: (pod.metadata.name.clone()?, pod.metadata.uid.clone()?),
        changes: changes::between(pod, wanted),
    })
}
