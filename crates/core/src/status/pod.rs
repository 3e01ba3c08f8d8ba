//! Where a pod is on its way, in words that do not change while nothing changes.

use devserver_api::{DevServerStatus, Phase, condition, group};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use crate::Observed;

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
        return Stage::new(Phase::Running, "Running", "runs and answers ssh");
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Stage::new(Phase::Provisioning, "Restarting", "is restarting");
    }
    if let Some((status, message)) = pod_condition(pod, "PodScheduled")
        && status == "False"
        // Said of every pod whose new claim is not bound yet; it passes by itself.
        && !message.contains("unbound immediate PersistentVolumeClaims")
    {
        let message =
            format!("no node fits: {message}; choose another flavor or ask an administrator");
        return Stage::new(Phase::Pending, "Unschedulable", message);
    }
    if let Some(stage) = containers(pod).find_map(|status| failure(status, before)) {
        return stage;
    }
    let waited = pod
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|t| now.duration_since(t.0));
    if waited.is_some_and(|w| w > SignedDuration::from_secs(deadline_seconds)) {
        let message = format!(
            "did not become ready within {deadline_seconds} s; look at its events with `devctl describe`"
        );
        return Stage::new(Phase::Failed, "StartDeadlineExceeded", message);
    }
    starting()
}

fn not_created(why: &str) -> Stage {
    if why.contains("exceeded quota") {
        let message = format!(
            "a quota of this namespace is used up: {why}; delete or suspend something, or ask an administrator"
        );
        return Stage::new(Phase::Pending, "QuotaExceeded", message);
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
