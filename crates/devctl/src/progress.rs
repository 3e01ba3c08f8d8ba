//! How far a DevServer has come: pure, from what was seen of it and its pod.

use devserver_api::{DevServer, Phase, condition, group};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};

/// Reason of a verdict: stopped by its user.
pub const SUSPENDED: &str = "Suspended";
/// Reason of a verdict: on its way out.
pub const TERMINATING: &str = "Terminating";

/// The steps from a wish to a machine, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The operator has taken the spec and found it valid.
    Accepted,
    /// A node is chosen.
    Scheduled,
    /// The image is there and the container runs.
    Started,
    /// sshd answers.
    Ready,
}

impl Step {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Scheduled, Self::Started, Self::Ready];

    /// What the user reads when it is reached.
    pub fn done(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Scheduled => "Scheduled",
            Self::Started => "Image pulled, started",
            Self::Ready => "Ready",
        }
    }

    /// What the user reads while it is awaited.
    pub fn awaited(self) -> &'static str {
        match self {
            Self::Accepted => "waiting for the operator",
            Self::Scheduled => "waiting for a node",
            Self::Started => "pulling the image and starting",
            Self::Ready => "waiting for sshd",
        }
    }
}

/// Whether to wait on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not there yet; what the server says about it.
    Pending(Option<String>),
    /// It can be used.
    Ready,
    /// Waiting is of no use: reason and message.
    Hopeless(String, String),
}

/// Judges the newest status. One that speaks of an older spec says nothing about this one.
pub fn verdict(server: &DevServer) -> Verdict {
    if server.metadata.deletion_timestamp.is_some() {
        return Verdict::Hopeless(TERMINATING.into(), "it is being deleted".into());
    }
    let Some(status) = &server.status else {
        return Verdict::Pending(None);
    };
    if status.observed_generation < server.metadata.generation {
        return Verdict::Pending(None);
    }
    let message = status.message.clone();
    if let Some(valid) =
        condition::find(&status.conditions, condition::VALID).filter(|c| c.status == "False")
    {
        return Verdict::Hopeless(valid.reason.clone(), valid.message.clone());
    }
    match status.phase {
        Some(Phase::Running) if status.ssh.as_ref().is_some_and(|s| !s.host_keys.is_empty()) => {
            Verdict::Ready
        }
        Some(Phase::Failed) => {
            let ready = condition::find(&status.conditions, condition::READY);
            Verdict::Hopeless(
                ready.map_or_else(|| "Failed".to_owned(), |c| c.reason.clone()),
                message
                    .or_else(|| ready.map(|c| c.message.clone()))
                    .unwrap_or_default(),
            )
        }
        Some(Phase::Suspended) => Verdict::Hopeless(
            SUSPENDED.into(),
            "it is stopped and its home is kept".into(),
        ),
        Some(Phase::Terminating) => {
            Verdict::Hopeless(TERMINATING.into(), "it is being deleted".into())
        }
        _ => Verdict::Pending(message),
    }
}

/// The furthest step reached, and words that go with it.
pub fn reached(server: &DevServer, pod: Option<&Pod>) -> Option<Step> {
    let status = server.status.as_ref()?;
    if status.observed_generation < server.metadata.generation {
        return None;
    }
    if verdict(server) == Verdict::Ready {
        return Some(Step::Ready);
    }
    let is_valid =
        condition::find(&status.conditions, condition::VALID).is_some_and(|c| c.status == "True");
    let accepted =
        (is_valid || status.phase == Some(Phase::Provisioning)).then_some(Step::Accepted)?;
    // A pod of an earlier DevServer of that name is not this one's, and one that ends makes room for the next.
    let stays = |pod: &&Pod| is_of(pod, server) && pod.metadata.deletion_timestamp.is_none();
    let Some(pod) = pod.filter(stays) else {
        return Some(accepted);
    };
    if container(pod).is_some_and(|c| c.state.as_ref().is_some_and(|s| s.running.is_some())) {
        return Some(Step::Started);
    }
    let is_scheduled = pod
        .status
        .as_ref()
        .and_then(|s| s.conditions.as_ref())
        .is_some_and(|all| {
            all.iter()
                .any(|c| c.type_ == "PodScheduled" && c.status == "True")
        });
    Some(if is_scheduled {
        Step::Scheduled
    } else {
        accepted
    })
}

/// Whether `devctl ssh-proxy` or the gateway may be left to wait for sshd: the host keys are known, and the container runs for the
/// first time or is about to, because its image is there (`pulled`: the UID of the pod that has it). Where it was started again, the status
/// will have a better word.
pub fn may_connect(server: &DevServer, pod: Option<&Pod>, pulled: Option<&str>) -> bool {
    let ssh = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    let has_ended = |pod: &Pod| container(pod).is_none_or(|c| c.restart_count > 0);
    let has_image = |pod: &Pod| pulled.is_some() && pod.metadata.uid.as_deref() == pulled;
    let reached = reached(server, pod);
    ssh.is_some_and(|s| !s.host_keys.is_empty())
        && (reached >= Some(Step::Started)
            || reached == Some(Step::Scheduled) && pod.is_some_and(has_image))
        && !pod.is_some_and(has_ended)
}

/// The UID of the pod, from an event that says that the image of its machine is there.
pub fn pulled(event: &Event) -> Option<String> {
    let object = &event.involved_object;
    let path = format!("spec.containers{{{}}}", group::CONTAINER);
    let is_ours = event.reason.as_deref() == Some("Pulled")
        && object.kind.as_deref() == Some("Pod")
        && object.field_path.as_deref() == Some(&path);
    object.uid.clone().filter(|_| is_ours)
}

/// Whether the pod belongs to this very DevServer.
pub fn is_of(pod: &Pod, server: &DevServer) -> bool {
    let label = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get(group::LABEL_UID));
    label.is_some() && label == server.metadata.uid.as_ref()
}

/// What the kubelet says it waits for, such as `ImagePullBackOff`.
pub fn waiting_reason(pod: &Pod) -> Option<String> {
    let waiting = container(pod)?.state.as_ref()?.waiting.as_ref()?;
    match (&waiting.reason, &waiting.message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.clone().or_else(|| message.clone()),
    }
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .iter()
        .find(|c| c.name == group::CONTAINER)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn server(status: &Value) -> DevServer {
        serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer",
            "metadata": {"name": "a", "namespace": "default", "uid": "u1", "generation": 2},
            "spec": {"ssh": {}}, "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str, status: &str) -> Value {
        json!({"type": type_, "status": status, "reason": "R", "message": "because", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn pod(uid: &str, status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "a-0", "labels": {"devserver.io/uid": uid}}, "status": status})).unwrap()
    }

    #[test]
    fn a_status_of_an_older_spec_is_not_believed() {
        let old = server(
            &json!({"phase": "Running", "observedGeneration": 1, "ssh": {"user": "dev", "hostKeys": ["x"]}}),
        );
        assert_eq!(verdict(&old), Verdict::Pending(None));
        assert_eq!(reached(&old, None), None);
    }

    #[test]
    fn running_without_host_keys_is_not_ready_because_it_could_not_be_verified() {
        assert!(matches!(
            verdict(&server(
                &json!({"phase": "Running", "observedGeneration": 2, "ssh": {"user": "dev"}})
            )),
            Verdict::Pending(_)
        ));
        let with = server(
            &json!({"phase": "Running", "observedGeneration": 2, "ssh": {"user": "dev", "hostKeys": ["x"]}}),
        );
        assert_eq!(verdict(&with), Verdict::Ready);
        assert_eq!(reached(&with, None), Some(Step::Ready));
    }

    #[test]
    fn an_invalid_spec_and_a_failure_end_the_wait() {
        let invalid = server(
            &json!({"phase": "Pending", "observedGeneration": 2, "conditions": [condition("Valid", "False")]}),
        );
        assert_eq!(
            verdict(&invalid),
            Verdict::Hopeless("R".into(), "because".into())
        );
        let failed = server(
            &json!({"phase": "Failed", "message": "crash loop", "observedGeneration": 2, "conditions": [condition("Ready", "False")]}),
        );
        assert_eq!(
            verdict(&failed),
            Verdict::Hopeless("R".into(), "crash loop".into())
        );
    }

    #[test]
    fn the_pod_tells_the_steps_between_when_it_can_be_read() {
        let server = server(
            &json!({"phase": "Provisioning", "observedGeneration": 2, "conditions": [condition("Valid", "True")]}),
        );
        let scheduled = json!({"conditions": [{"type": "PodScheduled", "status": "True"}]});
        let running = json!({"containerStatuses": [{"name": "dev", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}}]});
        assert_eq!(reached(&server, None), Some(Step::Accepted));
        assert_eq!(
            reached(&server, Some(&pod("u1", &json!({})))),
            Some(Step::Accepted)
        );
        assert_eq!(
            reached(&server, Some(&pod("u1", &scheduled))),
            Some(Step::Scheduled)
        );
        assert_eq!(
            reached(&server, Some(&pod("u1", &running))),
            Some(Step::Started)
        );
        let mut ending = pod("u1", &running);
        ending.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        for other in [pod("another", &running), ending] {
            assert_eq!(reached(&server, Some(&other)), Some(Step::Accepted));
        }
    }

    #[test]
    fn a_client_may_be_started_when_the_image_of_this_very_pod_is_there() {
        let status = json!({"phase": "Provisioning", "observedGeneration": 2, "conditions": [condition("Valid", "True")],
            "ssh": {"user": "dev", "hostKeys": ["x"]}});
        let server = server(&status);
        let pod = |restarts: i32, state: &Value| {
            let status = json!({"conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"name": "dev", "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state}]});
            let mut pod = pod("u1", &status);
            pod.metadata.uid = Some("p1".into());
            pod
        };
        let (waits, runs) = (
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({"running": {}}),
        );
        for (restarts, state, pulled, expected) in [
            (0, &waits, None, false),
            (0, &waits, Some("p0"), false),
            (0, &waits, Some("p1"), true),
            (1, &waits, Some("p1"), false),
            (0, &runs, None, true),
            (1, &runs, Some("p1"), false),
        ] {
            let pod = pod(restarts, state);
            let told = may_connect(&server, Some(&pod), pulled);
            assert_eq!(told, expected, "{restarts} {state} {pulled:?}");
        }
        assert!(!may_connect(&server, None, Some("p1")));
    }

    #[test]
    fn only_the_image_of_the_machine_itself_counts_as_pulled() {
        let event = |kind: &str, path: &str, reason: &str| -> Event {
            serde_json::from_value(json!({"metadata": {}, "reason": reason,
                "involvedObject": {"kind": kind, "uid": "p1", "fieldPath": path}}))
            .unwrap()
        };
        let dev = "spec.containers{dev}";
        assert_eq!(pulled(&event("Pod", dev, "Pulled")).as_deref(), Some("p1"));
        for other in [
            event("Pod", "spec.containers{sidecar}", "Pulled"),
            event("Pod", "spec.initContainers{dev}", "Pulled"),
            event("Pod", dev, "Pulling"),
            event("PodGroup", dev, "Pulled"),
        ] {
            assert_eq!(pulled(&other), None);
        }
    }
}
