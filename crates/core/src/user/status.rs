//! What to tell about a user: a function of what was seen.

use devserver_api::{
    DevServerUser, DevServerUserStatus, RoleReference,
    condition::{self, Verdict},
    group,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;

use super::{Account, InvalidUser};
use crate::Problem;

/// Whose a namespace is that has the name of a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Made for this user, now or for an earlier DevServerUser of the same username.
    Ours,
    /// Made for this user, and on its way out.
    Terminating,
    /// It was there before; nothing is written into it.
    Foreign,
}

/// Whose the namespace is. By its label, which only administrators can set; a DevServerUser made again finds its homes again.
pub fn standing(account: &Account, namespace: &Namespace) -> Standing {
    let labels = namespace.metadata.labels.as_ref();
    let label = labels.and_then(|l| l.get(group::LABEL_NAMESPACE_USER));
    if label != Some(&account.username) {
        Standing::Foreign
    } else if namespace.metadata.deletion_timestamp.is_some() {
        Standing::Terminating
    } else {
        Standing::Ours
    }
}

/// Why a namespace cannot be used; `None` when it can.
pub fn namespace_problem(account: &Account, standing: Standing) -> Option<Problem> {
    let name = &account.namespace;
    match standing {
        Standing::Ours => None,
        Standing::Terminating => Some(Problem {
            reason: "NamespaceTerminating",
            message: format!(
                "the namespace {name:?} is being deleted; it is made anew once it is gone"
            ),
        }),
        Standing::Foreign => Some(Problem {
            reason: "NameTaken",
            message: format!(
                "the namespace {name:?} exists already and was not made for this user; nothing was written into it; \
                 choose another username, or have an administrator remove the namespace or label it {}={}",
                group::LABEL_NAMESPACE_USER,
                account.username
            ),
        }),
    }
}

/// What was seen of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The namespace is there and the user's.
    pub has_namespace: bool,
    /// What stood in the way of the rest.
    pub problem: Option<Problem>,
}

/// The status to write.
pub fn status(
    user: &DevServerUser,
    outcome: &Result<Account, InvalidUser>,
    seen: &Seen,
    now: Timestamp,
) -> DevServerUserStatus {
    let before = user.status.clone().unwrap_or_default();
    let valid = valid(outcome);
    let ready = ready(outcome, seen);
    let phase = match (&ready.status, &valid.status, &seen.problem) {
        (_, Some(false), _) => "Error",
        (Some(true), ..) => "Ready",
        (_, _, Some(problem)) if waits(problem) => "Pending",
        _ => "Error",
    };
    let message = if valid.status == Some(true) {
        ready.message.clone()
    } else {
        valid.message.clone()
    };
    let generation = user.metadata.generation;
    DevServerUserStatus {
        phase: Some(phase.to_owned()),
        message: Some(message),
        namespace: outcome
            .as_ref()
            .ok()
            .filter(|_| seen.has_namespace)
            .map(|account| account.namespace.clone()),
        observed_generation: generation,
        conditions: [valid, ready]
            .iter()
            .map(|verdict| verdict.since(&before.conditions, generation, now))
            .collect(),
    }
}

fn waits(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        "NamespaceTerminating" | "WaitingForGarbageCollection"
    )
}

fn valid(outcome: &Result<Account, InvalidUser>) -> Verdict {
    match outcome {
        Err(invalid) => Verdict::new(
            condition::VALID,
            false,
            invalid.reason(),
            invalid.to_string(),
        ),
        Ok(account) if !account.refused_roles.is_empty() => Verdict::new(
            condition::VALID,
            false,
            "RoleNotAllowed",
            format!(
                "spec.additionalRoleRefs: {} may not be given to users and is not bound; remove it, or have it added to allowedRoles of the platform",
                words(&account.refused_roles)
            ),
        ),
        Ok(_) => Verdict::new(condition::VALID, true, "Valid", "the spec is understood"),
    }
}

fn words(roles: &[RoleReference]) -> String {
    let words: Vec<String> = roles
        .iter()
        .map(|role| format!("{}/{}", role.kind, role.name))
        .collect();
    words.join(", ")
}

fn ready(outcome: &Result<Account, InvalidUser>, seen: &Seen) -> Verdict {
    match (outcome, &seen.problem) {
        (Err(invalid), _) => Verdict::new(
            condition::READY,
            false,
            invalid.reason(),
            invalid.to_string(),
        ),
        (Ok(_), Some(problem)) => Verdict::new(
            condition::READY,
            false,
            problem.reason,
            problem.message.clone(),
        ),
        (Ok(account), None) => Verdict::new(
            condition::READY,
            true,
            "Ready",
            format!(
                "may have DevServers in the namespace {:?}",
                account.namespace
            ),
        ),
    }
}
