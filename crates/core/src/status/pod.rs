//! Where a pod is on its way, in words that do not change while nothing changes.

use devserver_api::{DevServerStatus, Phase, condition, group};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use crate::{Observed, observed::UnboundClaim};

/// Reason: the pod is still there long after it had to be gone.
pub(super) const STUCK: &str = "StuckTerminating";
/// How long a new claim may take to get its volume before that is told; the scheduler complains at once.
const BINDING: SignedDuration = SignedDuration::from_secs(30);
/// How long after its grace period a pod may still be there: the kubelet has to tell that it is gone.
const REMOVAL: SignedDuration = SignedDuration::from_secs(60);
/// The scheduler's words for a pod whose claim has no volume and is not waiting for the pod to get one.
const UNBOUND: &str = "unbound immediate PersistentVolumeClaims";

/// Phase, reason and message that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Phase.
    pub phase: Phase,
    /// CamelCase word for the condition `Ready`.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
}

impl Stage {
    pub(super) fn new(phase: Phase, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            phase,
            reason,
            message: message.into(),
        }
    }
}

/// The node the pod was given, when it was.
pub fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// Whether the pod is Ready, which its probe says only when sshd answers.
pub fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && pod_condition(pod, "Ready").is_some_and(|(status, _)| status == "True")
}

/// One message for the whole way of a start that goes well: a new one for each step would be a write for each step.
fn starting() -> Stage {
    Stage::new(Phase::Provisioning, "Starting", "is starting")
}

pub(super) fn stage(
    seen: &Observed,
    deadline_seconds: i64,
    now: Timestamp,
    before: Option<&DevServerStatus>,
) -> Stage {
    let Some(pod) = &seen.pod else {
        return match &seen.create_failure {
            Some(why) => not_created(why),
            None => starting(),
        };
    };
    if is_ready(pod) {
        return Stage::new(Phase::Running, "Running", "runs and answers");
    }
    if let Some(why) = stuck(pod, now) {
        return Stage::new(Phase::Failed, STUCK, why);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Stage::new(Phase::Provisioning, "Restarting", "is restarting");
    }
    if let Some(stage) = unscheduled(pod, &seen.unbound_claims, now) {
        return stage;
    }
    if let Some(stage) = silent(pod) {
        return stage;
    }
    if let Some(stage) = containers(pod).find_map(|status| failure(status, before)) {
        return stage;
    }
    if after_creation(pod, SignedDuration::from_secs(deadline_seconds)).is_some_and(|at| now >= at)
    {
        let message = format!(
            "did not become ready within {deadline_seconds} s; look at its events with `devctl describe`"
        );
        return Stage::new(Phase::Failed, "StartDeadlineExceeded", message);
    }
    starting()
}

/// What was Ready in this run of its container and is no longer: it does not start, and no start deadline concerns it.
fn silent(pod: &Pod) -> Option<Stage> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|c| c.type_ == "Ready")?;
    let since = ready.last_transition_time.as_ref()?;
    // One that has ended, a sidecar too, has a reason of its own; one that began later makes all wait for it.
    let runs =
        |status: &ContainerStatus| status.state.as_ref()?.running.as_ref()?.started_at.clone();
    let is_done = |status: &ContainerStatus| {
        let ended = status.state.as_ref().and_then(|s| s.terminated.as_ref());
        ended.is_some_and(|e| e.exit_code == 0)
    };
    let started: Option<Vec<_>> = containers(pod).filter(|c| !is_done(c)).map(runs).collect();
    let last = started?.into_iter().max()?;
    if ready.status != "False" || *since <= last {
        return None;
    }
    // The node controller says of pods on a node it no longer hears only that they are not Ready.
    let is_node = pod_condition(pod, "ContainersReady").is_some_and(|(status, _)| status == "True");
    Some(if is_node {
        let message = format!(
            "its node {:?} does not answer; it goes on by itself when the node does. If the node is gone for good, an \
             administrator removes it with `kubectl delete node`, and it starts on another one",
            node(pod).unwrap_or_default()
        );
        Stage::new(Phase::Failed, "NodeLost", message)
    } else {
        let message = "runs, but its sshd does not answer; it may be overloaded, and is Running again as soon as it answers";
        Stage::new(Phase::Provisioning, "NotAnswering", message)
    })
}

fn unscheduled(pod: &Pod, unbound: &[UnboundClaim], now: Timestamp) -> Option<Stage> {
    let (_, said) = pod_condition(pod, "PodScheduled").filter(|(status, _)| *status == "False")?;
    if !said.contains(UNBOUND) {
        let message =
            format!("no node fits: {said}; choose another flavor or ask an administrator");
        return Some(Stage::new(Phase::Pending, "Unschedulable", message));
    }
    // Said of every pod whose new claim is not bound yet; most of the time it passes by itself.
    if after_creation(pod, BINDING).is_none_or(|at| now < at) {
        return None;
    }
    let claim = unbound.first()?;
    let message = match &claim.storage_class {
        Some(class) => format!(
            "the volume claim {:?} has no volume: nothing has made one of StorageClass {class:?} for it; \
             ask an administrator whether that class works, or create a DevServer with another spec.storageClassName",
            claim.name
        ),
        None => format!(
            "the volume claim {:?} has no volume: it names no StorageClass and the cluster has no default one; \
             create a DevServer with spec.storageClassName, or ask an administrator for a default class",
            claim.name
        ),
    };
    Some(Stage::new(Phase::Pending, "VolumeNotBound", message))
}

/// Why the pod is still there long after it had to be gone; most of the time its node is.
pub(super) fn stuck(pod: &Pod, now: Timestamp) -> Option<String> {
    if now < removal_deadline(pod)? {
        return None;
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Some(match node(pod) {
        Some(node) => format!(
            "the pod {name:?} does not end, because node {node:?} does not say that it has; nothing else may use the home until then. \
             If the node is gone for good, an administrator removes it with `kubectl delete node {node}`"
        ),
        None => format!(
            "the pod {name:?} does not end; something holds it (see its finalizers: `kubectl get pod {name} -o yaml`)"
        ),
    })
}

/// `deletionTimestamp` is the instant at which the grace period ends (Kubernetes API conventions, "Metadata").
fn removal_deadline(pod: &Pod) -> Option<Timestamp> {
    let ends = pod.metadata.deletion_timestamp.as_ref()?.0;
    ends.checked_add(REMOVAL).ok()
}

fn after_creation(pod: &Pod, span: SignedDuration) -> Option<Timestamp> {
    let created = pod.metadata.creation_timestamp.as_ref()?.0;
    created.checked_add(span).ok()
}

/// Instants at which the stage of a pod that does not change changes all the same.
pub(super) fn deadlines(seen: &Observed, start_seconds: i64) -> Vec<Timestamp> {
    let Some(pod) = &seen.pod else {
        return Vec::new();
    };
    if pod.metadata.deletion_timestamp.is_some() {
        return removal_deadline(pod).into_iter().collect();
    }
    if is_ready(pod) {
        return Vec::new();
    }
    let waits_for_volume = pod_condition(pod, "PodScheduled")
        .is_some_and(|(status, said)| status == "False" && said.contains(UNBOUND));
    let binding = waits_for_volume
        .then(|| after_creation(pod, BINDING))
        .flatten();
    let start = after_creation(pod, SignedDuration::from_secs(start_seconds));
    binding.into_iter().chain(start).collect()
}

fn not_created(why: &str) -> Stage {
    if why.contains("exceeded quota") {
        let message = format!(
            "a quota of this namespace is used up: {why}; delete or suspend something, or ask an administrator"
        );
        return Stage::new(Phase::Pending, "QuotaExceeded", message);
    }
    if why.contains("violates PodSecurity") {
        let message = format!(
            "the pod could not be created: {why}; ask for less (spec.docker needs the level privileged), or ask an administrator to \
             change the level of the namespace: podSecurity of its DevServerUser, or the label pod-security.kubernetes.io/enforce"
        );
        return Stage::new(Phase::Failed, "PodNotCreated", message);
    }
    Stage::new(
        Phase::Failed,
        "PodNotCreated",
        format!("the pod could not be created: {why}"),
    )
}

fn pod_condition<'a>(pod: &'a Pod, type_: &str) -> Option<(&'a str, &'a str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|c| c.type_ == type_)?;
    Some((&found.status, found.message.as_deref().unwrap_or_default()))
}

/// Init containers first: what keeps them keeps everything.
fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|s| s.init_container_statuses.as_ref());
    let main = status.and_then(|s| s.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

fn failure(status: &ContainerStatus, before: Option<&DevServerStatus>) -> Option<Stage> {
    let state = status.state.as_ref();
    if let Some(waiting) = state.and_then(|s| s.waiting.as_ref()) {
        let detail = waiting.message.as_deref().unwrap_or_default();
        match waiting.reason.as_deref().unwrap_or_default() {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable" => {
                return Some(image_failure(&status.image, detail, before));
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                return Some(Stage::new(
                    Phase::Failed,
                    "ContainerNotStarted",
                    format!("the container could not be started: {detail}"),
                ));
            }
            _ => {}
        }
    }
    let ended = status
        .last_state
        .as_ref()
        .and_then(|s| s.terminated.as_ref())
        .or_else(|| state.and_then(|s| s.terminated.as_ref()))
        .filter(|t| t.exit_code != 0)?;
    Some(Stage::new(
        Phase::Failed,
        "CrashLoop",
        crash_message(&status.name, ended),
    ))
}

/// The kubelet alternates between the error and a back-off that no longer says it: the first text stays.
fn image_failure(image: &str, detail: &str, before: Option<&DevServerStatus>) -> Stage {
    const REASON: &str = "ImagePullFailed";
    let known = before
        .filter(|status| {
            condition::find(&status.conditions, condition::READY)
                .is_some_and(|c| c.reason == REASON)
        })
        .and_then(|status| status.message.clone())
        .filter(|message| message.contains(image));
    let message = known.unwrap_or_else(|| {
        format!("the image {image:?} cannot be pulled: {detail}; check spec.image for a typing error and whether the nodes may pull it")
    });
    Stage::new(Phase::Failed, REASON, message)
}

fn crash_message(container: &str, ended: &ContainerStateTerminated) -> String {
    let what = if container == group::CONTAINER {
        "the environment"
    } else {
        container
    };
    let mut message = format!("{what} ended with exit code {}", ended.exit_code);
    if ended.reason.as_deref() == Some("OOMKilled") {
        message.push_str(" because it ran out of memory; choose a larger flavor");
    }
    let said = ended.message.as_deref().unwrap_or_default().trim();
    if let Some(last) = said.lines().rfind(|line| !line.trim().is_empty()) {
        message.push_str(": ");
        message.extend(last.chars().filter(|c| !c.is_control()).take(300));
    }
    message
}
