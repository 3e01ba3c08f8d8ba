//! Condition types and reasons, and how a condition changes without moving its time for nothing.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The pod is Ready and sshd answers.
pub const READY: &str = "Ready";
/// The spec can be turned into an environment.
pub const VALID: &str = "Valid";
/// A change waits for a restart; the message says which.
pub const RESTART_PENDING: &str = "RestartPending";

/// The end of its time is near, or has come and something holds the deletion back.
pub const EXPIRING: &str = "Expiring";

/// Nobody uses it, and what the policy says is being done.
pub const IDLE: &str = "Idle";

/// A DevServer of the flavor would find a node.
pub const SCHEDULABLE: &str = "Schedulable";
/// The flavor is the one of DevServers that name none; only on flavors that are marked so.
pub const DEFAULT: &str = "Default";

/// A condition before it is known since when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One of the condition types above.
    pub type_: &'static str,
    /// True, false, or unknown.
    pub status: Option<bool>,
    /// CamelCase word for programs.
    pub reason: String,
    /// Sentence for people.
    pub message: String,
}

impl Verdict {
    /// A condition that holds (`true`) or does not (`false`).
    pub fn new(
        type_: &'static str,
        status: bool,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status: Some(status),
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// The condition to write: `lastTransitionTime` moves only when the status does (API conventions, "Conditions").
    pub fn since(
        &self,
        before: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> Condition {
        let status = match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let last_transition_time = before
            .iter()
            .find(|c| c.type_ == self.type_ && c.status == status)
            // Whole seconds: the API server stores no fraction, and a fraction would look like a change for ever.
            .map_or_else(
                || Time(whole_seconds(now)),
                |c| c.last_transition_time.clone(),
            );
        Condition {
            type_: self.type_.to_owned(),
            status: status.to_owned(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            observed_generation: generation,
            last_transition_time,
        }
    }
}

/// `at` without its fraction of a second, as the API server stores it.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The condition of that type, if there.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}
