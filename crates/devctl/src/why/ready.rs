//! What the condition `Ready` says, and what follows from it.

use devserver_api::{DevServer, DevServerStatus, Phase, condition};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use super::{Line, told};

/// The line about its being ready or not. An invalid spec has a line of its own already.
pub(super) fn line(
    server: &DevServer,
    status: &DevServerStatus,
    pod: Option<&Pod>,
) -> Option<Line> {
    let ready = condition::find(&status.conditions, condition::READY)?;
    let is_invalid = told(status, condition::VALID, "False").is_some();
    if is_invalid && status.phase != Some(Phase::Running) {
        return None;
    }
    let message = status.message.as_ref().unwrap_or(&ready.message);
    let line = Line::new(&ready.reason, message.clone()).since(Some(&ready.last_transition_time));
    let name = server.name_any();
    Some(match ready.reason.as_str() {
        "Running" => line
            .next("nothing; it can be used")
            .remedy(format!("devctl ssh {name}")),
        "Unschedulable" => line
            .next("it starts by itself as soon as a node has room, or the cluster makes one")
            .remedy("wait, or choose a smaller flavor: `devctl flavors` shows which finds a node"),
        "VolumeNotBound" => line
            .next("it starts by itself as soon as the volume is there")
            .remedy("ask an administrator whether the StorageClass named above works"),
        "QuotaExceeded" => line
            .next("it starts by itself as soon as the quota has room")
            .remedy("delete or suspend something (`devctl list`), or ask an administrator for more"),
        "ImagePullFailed" => line
            .next("the node tries again, less and less often, at least every 5 minutes")
            .remedy(format!("correct the image: kubectl edit devserver {name}; a private one needs spec.imagePullSecrets")),
        "ContainerNotStarted" => line
            .next("the node tries again")
            .remedy(format!("the message above says what is missing; `devctl events {name}` has more")),
        "CrashLoop" => line
            .next("the node starts it again, less and less often, at least every 5 minutes")
            .remedy(format!("see what it said last: `devctl logs {name} --previous`")),
        "StartDeadlineExceeded" => line
            .next("it goes on trying")
            .remedy(format!("see `devctl events {name}` and `devctl logs {name}`")),
        "PodNotCreated" => line
            .next("it is tried again")
            .remedy("the message above is the API server's; ask an administrator which policy or limit it is"),
        "NodeLost" => line
            .next("it is Running again when its node answers")
            .remedy("wait, or ask an administrator to look at the node named above; the home stays with it until then"),
        "NotAnswering" => line
            .next("its sshd is asked again every second")
            .remedy(format!("wait a moment; if it stays so: `devctl logs {name}`, then `devctl restart {name}`")),
        "StuckTerminating" => line
            .next("nothing, until the node answers or is removed: the home must not be in two pods")
            .remedy("ask an administrator to look at the node named above"),
        "Restarting" => line
            .next("its old pod ends, then a new one starts")
            .at(ends(pod)),
        "Starting" => line.next(starting(pod)).remedy(format!("devctl ssh {name} waits for it")),
        _ => line
            .next("the operator looks again when something changes")
            .remedy(format!("see `devctl events {name}`")),
    })
}

/// When the old pod has to be gone: it is told so with the deletion.
fn ends(pod: Option<&Pod>) -> Option<jiff::Timestamp> {
    // The time holds the grace period already.
    Some(pod?.metadata.deletion_timestamp.as_ref()?.0)
}

/// The step that comes next.
fn starting(pod: Option<&Pod>) -> &'static str {
    let Some(status) = pod.and_then(|p| p.status.as_ref()) else {
        return "its pod is made";
    };
    let is_true = |type_: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions.any(|c| c.type_ == type_ && c.status == "True")
    };
    let mut containers = status.container_statuses.iter().flatten();
    let is_running = containers.any(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()));
    if is_running {
        "it runs; as soon as sshd answers it is ready"
    } else if is_true("Initialized") && is_true("PodScheduled") {
        "the image is pulled, then the container starts"
    } else if is_true("PodScheduled") {
        "volumes are mounted and the image is pulled, then the container starts"
    } else {
        "a node is chosen"
    }
}
