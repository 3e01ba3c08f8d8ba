//! What the pod itself tells: what its containers wait for, how they ended before, and what the cluster complains of.

use devserver_api::{DevServer, group};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::ResourceExt as _;

use super::Line;
use crate::{happened, progress};

/// A complaint that is older than this is history.
const RECENT: SignedDuration = SignedDuration::from_mins(15);
/// Most complaints to repeat, the newest.
const COMPLAINTS: usize = 3;

/// A line for each container that waits or ended.
pub(super) fn lines(server: &DevServer, pod: Option<&Pod>) -> Vec<Line> {
    let Some(pod) = pod.filter(|pod| progress::is_of(pod, server)) else {
        return Vec::new();
    };
    let status = pod.status.as_ref();
    let init = status.and_then(|s| s.init_container_statuses.as_ref());
    let main = status.and_then(|s| s.container_statuses.as_ref());
    let all = init.into_iter().chain(main).flatten();
    all.flat_map(|container| [waits(container), ended(server, container)])
        .flatten()
        .collect()
}

fn waits(container: &ContainerStatus) -> Option<Line> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    // The usual ones: the line about the condition says what comes next.
    if matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
        return None;
    }
    let message = waiting.message.as_deref().unwrap_or_default();
    let signal = format!("container {} waits: {reason} {message}", container.name);
    Some(Line::new(reason, signal.trim()).next("the node tries again by itself"))
}

fn ended(server: &DevServer, container: &ContainerStatus) -> Option<Line> {
    let last = container.last_state.as_ref()?.terminated.as_ref()?;
    let reason = last.reason.as_deref().unwrap_or("Ended");
    let times = match container.restart_count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let signal = format!(
        "container {} was started again {times}; it ended last with exit code {} ({reason})",
        container.name, last.exit_code
    );
    let name = server.name_any();
    let option = match container.name.as_str() {
        group::SIDECAR_CONTAINER => " --container ssh",
        _ => "",
    };
    let look = format!("see what it said: `devctl logs {name} --previous{option}`");
    let line = Line::new("ContainerEnded", signal).since(last.finished_at.as_ref());
    let line = line.next("its home is as it was; what ran in it has to be started again");
    Some(if reason == "OOMKilled" {
        line.remedy(format!(
            "it ran out of memory: choose a larger flavor (`devctl flavors`); {look}"
        ))
    } else {
        line.remedy(look)
    })
}

/// Newest warnings of the cluster about a DevServer that is not ready.
pub(super) fn trouble(
    server: &DevServer,
    pod: Option<&Pod>,
    events: &[Event],
    now: Timestamp,
) -> Vec<Line> {
    let is_ready = pod.is_some_and(|pod| {
        let mut conditions = pod
            .status
            .iter()
            .flat_map(|s| s.conditions.iter().flatten());
        conditions.any(|c| c.type_ == "Ready" && c.status == "True")
    });
    if is_ready {
        return Vec::new();
    }
    let said = server.status.as_ref().and_then(|s| s.message.as_deref());
    let is_news = |event: &&Event| {
        let is_recent = happened::time(event).is_some_and(|at| now.duration_since(at) < RECENT);
        let message = event.message.as_deref().unwrap_or_default().trim();
        // The operator's own events say what its condition says.
        let is_said = said.is_some_and(|said| said.contains(message));
        event.type_.as_deref() == Some("Warning")
            && event.involved_object.kind.as_deref() != Some("DevServer")
            && is_recent
            && !message.is_empty()
            && !is_said
    };
    let mut lines: Vec<Line> = Vec::new();
    for event in events.iter().rev().filter(is_news) {
        let line = complaint(server, event);
        if lines.len() < COMPLAINTS && lines.iter().all(|other| other.rule != line.rule) {
            lines.push(line);
        }
    }
    lines
}

fn complaint(server: &DevServer, event: &Event) -> Line {
    let reason = event.reason.as_deref().unwrap_or("Warning");
    let message = event.message.as_deref().unwrap_or_default().trim();
    let kind = event.involved_object.kind.as_deref().unwrap_or_default();
    let line = Line::new(reason, format!("{}: {message}", kind.to_lowercase()));
    let line = Line {
        since: happened::time(event),
        ..line
    };
    let next = match reason {
        "FailedScheduling" => "the scheduler tries again whenever a node changes",
        "FailedMount" | "FailedAttachVolume" => {
            "the node tries again; a volume still used on another node takes minutes"
        }
        "ProvisioningFailed" => "the volume is tried again",
        "BackOff" | "Failed" => "the node tries again, less and less often",
        "Unhealthy" => "it is asked again every few seconds",
        "Evicted" | "Preempting" | "Preempted" => "a new pod is made",
        _ => "the cluster tries again",
    };
    line.next(next).remedy(format!(
        "the whole story: `devctl events {}`",
        server.name_any()
    ))
}
