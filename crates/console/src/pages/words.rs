//! What the cluster says, in words for people. Pure.

use devserver_api::{
    DevServer, DevServerFlavor, Phase, Schedulable, condition, duration, suspension::SuspendedBy,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

/// A state: the word, and the tone it is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Word for people.
    pub word: &'static str,
    /// Class of the style: `good`, `busy`, `idle`, `bad`.
    pub tone: &'static str,
}

/// How an environment is.
pub fn state(server: &DevServer) -> State {
    let status = server.status.as_ref();
    let is = |word, tone| State { word, tone };
    if server.metadata.deletion_timestamp.is_some() {
        return is("Being deleted", "idle");
    }
    let invalid = status
        .and_then(|s| condition::find(&s.conditions, condition::VALID))
        .is_some_and(|c| c.status == "False");
    match status.and_then(|s| s.phase) {
        Some(Phase::Running) => is("Running", "good"),
        Some(Phase::Failed) => is("Failed", "bad"),
        Some(Phase::Terminating) => is("Being deleted", "idle"),
        _ if invalid => is("Needs correction", "bad"),
        Some(Phase::Suspended) if server.spec.suspend => is("Stopped", "idle"),
        _ if server.spec.suspend => is("Stopping", "busy"),
        _ => is("Starting", "busy"),
    }
}

/// The same of a row of the table, for what belongs to somebody else.
pub fn state_of(phase: Option<Phase>, suspended: bool) -> State {
    let is = |word, tone| State { word, tone };
    match phase {
        _ if suspended => is("Stopped", "idle"),
        Some(Phase::Running) => is("Running", "good"),
        Some(Phase::Failed) => is("Failed", "bad"),
        Some(Phase::Terminating) => is("Being deleted", "idle"),
        _ => is("Starting", "busy"),
    }
}

/// How long ago or until then: `in 3h`, `2m ago`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs();
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", duration::humanize(seconds)),
        _ => format!("{} ago", duration::humanize(-seconds)),
    }
}

/// When it is deleted.
pub fn end(server: &DevServer, now: Timestamp) -> Option<String> {
    let at = server.status.as_ref()?.expiration_time.as_ref()?.0;
    Some(relative(at, now))
}

/// What requests of a flavor come to: `2 CPU · 4Gi`.
pub fn size(flavor: &DevServerFlavor) -> String {
    let requests = &flavor.spec.resources.requests;
    let part = |key: &str, unit: &str| requests.get(key).map(|q| format!("{}{unit}", q.0));
    let all = [
        part("cpu", " CPU"),
        part("memory", ""),
        part("nvidia.com/gpu", " GPU"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Whether an environment of the flavor finds a place.
pub fn fits(flavor: &DevServerFlavor) -> State {
    let is = |word, tone| State { word, tone };
    match flavor.status.as_ref().and_then(|s| s.schedulable) {
        Some(Schedulable::Yes) => is("Fits now", "good"),
        Some(Schedulable::Autoscaled) => is("Fits after a new machine", "busy"),
        Some(Schedulable::No) => is("No room", "bad"),
        Some(Schedulable::Unknown) | None => is("Not known", "idle"),
    }
}

/// Who stopped it.
pub fn stopped_by(server: &DevServer) -> String {
    match SuspendedBy::read(server.annotations()) {
        SuspendedBy::Policy(_) => "a policy of the platform, because nobody used it".to_owned(),
        SuspendedBy::User(name) => name,
        SuspendedBy::Somebody => "request".to_owned(),
    }
}

/// A condition in words.
pub fn condition(type_: &str, holds: bool) -> String {
    match (type_, holds) {
        (condition::READY, true) => "It can be used".to_owned(),
        (condition::READY, false) => "It cannot be used yet".to_owned(),
        (condition::VALID, true) => "Its settings are valid".to_owned(),
        (condition::VALID, false) => "Its settings need a correction".to_owned(),
        (condition::RESTART_PENDING, true) => "A change waits for a restart".to_owned(),
        (condition::RESTART_PENDING, false) => "Nothing waits for a restart".to_owned(),
        (condition::EXPIRING, true) => "Its time is nearly over".to_owned(),
        (condition::EXPIRING, false) => "Its time is not over soon".to_owned(),
        (other, true) => other.to_owned(),
        (other, false) => format!("Not {other}"),
    }
}

/// An advice in words.
pub fn advice(reason: &str) -> String {
    match reason {
        "OutOfMemory" => "Its memory ran out".to_owned(),
        "UnsavedWork" => "Some work is nowhere else".to_owned(),
        reason if reason.starts_with("Home") => "Its home fills up".to_owned(),
        reason if reason.starts_with("Docker") => "Its images fill their volume".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn server(spec: &Value, status: &Value) -> DevServer {
        serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": "a"}, "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn each_state_has_its_word() {
        let invalid = json!({"phase": "Pending", "conditions": [{"type": "Valid", "status": "False", "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        for (suspend, status, word) in [
            (false, json!({}), "Starting"),
            (false, json!({"phase": "Running"}), "Running"),
            (false, json!({"phase": "Failed"}), "Failed"),
            (true, json!({"phase": "Suspended"}), "Stopped"),
            (true, json!({"phase": "Provisioning"}), "Stopping"),
            (false, json!({"phase": "Suspended"}), "Starting"),
            (false, invalid, "Needs correction"),
        ] {
            let server = server(&json!({"ssh": {}, "suspend": suspend}), &status);
            assert_eq!(state(&server).word, word, "{status}");
        }
    }

    #[test]
    fn a_size_is_told_and_what_nobody_looked_at_is_not_known() {
        let flavor: DevServerFlavor = serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "small"},
            "spec": {"resources": {"requests": {"cpu": "2", "memory": "4Gi"}}},
        }))
        .unwrap();
        assert_eq!(size(&flavor), "2 CPU · 4Gi");
        assert_eq!(fits(&flavor).word, "Not known");
    }
}
