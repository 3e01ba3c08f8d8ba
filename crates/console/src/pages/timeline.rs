//! How an environment came to be what it is: steps with the time each took. Pure.

use devserver_api::{DevServer, condition, duration, group};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// A step on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub title: &'static str,
    /// Class of the style: `done`, `now`, `later`.
    pub tone: &'static str,
    /// How long it took, or has taken so far.
    pub took: String,
}

/// The steps, from the wish to the machine. Empty where there is nothing to wait for.
pub fn steps(server: &DevServer, pod: Option<&Pod>, now: Timestamp) -> Vec<Step> {
    let created = server.metadata.creation_timestamp.as_ref().map(|t| t.0);
    let begin = pod
        .and_then(|p| p.metadata.creation_timestamp.as_ref())
        .map(|t| t.0);
    let placed = pod.and_then(|p| true_since(p, "PodScheduled"));
    let started = pod
        .and_then(container)
        .and_then(|c| c.state.as_ref()?.running.as_ref()?.started_at.as_ref())
        .map(|t| t.0);
    let ready = pod
        .and_then(|p| true_since(p, "Ready"))
        .filter(|_| started.is_some());
    let accepted = server
        .status
        .as_ref()
        .and_then(|s| condition::find(&s.conditions, condition::VALID))
        .filter(|c| c.status == "True");
    // A restart begins with its pod, and not with the day on which the environment was made.
    let origin = begin.into_iter().chain(created).max();
    let reached = [
        (
            "Accepted",
            begin.or(accepted.map(|c| c.last_transition_time.0)),
        ),
        ("Place found", placed),
        ("Image fetched, started", started),
        ("Ready to use", ready),
    ];
    let mut steps = Vec::new();
    let (mut before, mut is_open) = (origin, true);
    for (title, at) in reached {
        let (tone, took) = match at {
            Some(at) if is_open => ("done", span(before, at)),
            _ if is_open => ("now", span(before, now)),
            _ => ("later", String::new()),
        };
        is_open = is_open && at.is_some();
        before = at.or(before);
        steps.push(Step { title, tone, took });
    }
    steps
}

fn span(from: Option<Timestamp>, to: Timestamp) -> String {
    let seconds = from.map_or(0, |from| to.duration_since(from).as_secs().max(0));
    if seconds == 0 {
        "under 1s".to_owned()
    } else {
        duration::humanize(seconds)
    }
}

fn true_since(pod: &Pod, type_: &str) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_ == type_ && c.status == "True")?;
    Some(found.last_transition_time.as_ref()?.0)
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let all = pod.status.as_ref()?.container_statuses.as_ref()?;
    all.iter().find(|c| c.name == group::CONTAINER)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_step_has_its_time_and_the_one_that_is_awaited_is_marked() {
        let server: DevServer = serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}},
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T08:00:00Z"},
        }))
        .unwrap();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a-0", "creationTimestamp": "2026-01-01T08:00:01Z"},
            "status": {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T08:00:03Z"}]},
        }))
        .unwrap();
        let now = "2026-01-01T08:00:13Z".parse().unwrap();
        let told: Vec<_> = steps(&server, Some(&pod), now)
            .into_iter()
            .map(|s| (s.title, s.tone, s.took))
            .collect();
        assert_eq!(
            told,
            [
                ("Accepted", "done", "under 1s".to_owned()),
                ("Place found", "done", "2s".to_owned()),
                ("Image fetched, started", "now", "10s".to_owned()),
                ("Ready to use", "later", String::new()),
            ]
        );
        assert_eq!(steps(&server, None, now)[0].tone, "now");
    }
}
