//! Why a DevServer is as it is, what happens next and when: pure, from what can be seen of it.
//!
//! Each line is one rule that applies, the most urgent first. The operator's own words are kept; what is added is what a
//! user asks next.

mod advice;
mod idle;
mod machine;
mod ready;
mod time;

use devserver_api::{
    DevServer, DevServerStatus, Phase, condition,
    suspension::{IDLE, SuspendedBy},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, Pod},
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::ResourceExt as _;
use serde::Serialize;

/// How long the operator may take to look at a change before that is strange.
const OPERATOR: i64 = 30;

/// One reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Word for programs: the reason in the condition, or a rule of this file.
    pub rule: String,
    /// What is seen, in words.
    pub signal: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What happens next, and by whom.
    pub next: String,
    /// When it happens, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Timestamp>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Line {
    fn new(rule: &str, signal: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            signal: signal.into(),
            ..Self::default()
        }
    }

    fn since(mut self, since: Option<&Time>) -> Self {
        self.since = since.map(|time| time.0);
        self
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    fn at(mut self, when: Option<Timestamp>) -> Self {
        self.when = when;
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// All reasons that apply. `events` are those of the DevServer and its objects, the oldest first.
pub fn why(server: &DevServer, pod: Option<&Pod>, events: &[Event], now: Timestamp) -> Vec<Line> {
    if server.metadata.deletion_timestamp.is_some() {
        return vec![deletion(server, pod)];
    }
    let mut lines = Vec::new();
    lines.extend(unseen(server, now));
    if let Some(status) = &server.status {
        lines.extend(invalid(server, status));
        lines.extend(if server.spec.suspend {
            Some(suspended(server, status))
        } else {
            ready::line(server, status, pod)
        });
        lines.extend(restart_pending(server, status));
    }
    if !server.spec.suspend {
        lines.extend(machine::lines(server, pod));
        lines.extend(machine::trouble(server, pod, events, now));
    }
    lines.extend(advice::lines(server));
    lines.extend(idle::line(server));
    lines.extend(time::end(server, now));
    lines
}

/// The condition of that type, when it says so.
fn told<'a>(status: &'a DevServerStatus, type_: &str, is: &str) -> Option<&'a Condition> {
    condition::find(&status.conditions, type_).filter(|c| c.status == is)
}

fn deletion(server: &DevServer, pod: Option<&Pod>) -> Line {
    let status = server.status.as_ref();
    let message = status
        .filter(|s| s.phase == Some(Phase::Terminating))
        .and_then(|s| s.message.clone());
    let ends = pod.and_then(|p| p.metadata.deletion_timestamp.as_ref());
    let line = Line::new(
        "Deleting",
        message.unwrap_or_else(|| "is being deleted".to_owned()),
    )
    .since(server.metadata.deletion_timestamp.as_ref())
    .at(ends.map(|time| time.0));
    let home = match time::retention(server) {
        devserver_api::VolumeRetention::Retain => "its home stays",
        devserver_api::VolumeRetention::Delete => "its home is deleted with it",
    };
    let is_stuck = status.is_some_and(|s| {
        told(s, condition::READY, "False").is_some_and(|c| c.reason == "StuckTerminating")
    });
    let line = line.next(format!("the pod ends, then the rest is removed; {home}"));
    if is_stuck {
        line.remedy("ask an administrator to look at the node named above")
    } else {
        line.remedy(format!(
            "when it is gone, create it anew with `devctl create {}`",
            server.name_any()
        ))
    }
}

/// The operator has not looked at the newest spec.
fn unseen(server: &DevServer, now: Timestamp) -> Option<Line> {
    let seen = server.status.as_ref().and_then(|s| s.observed_generation);
    if seen.is_some() && seen >= server.metadata.generation {
        return None;
    }
    let (signal, since) = match &server.status {
        None => (
            "the operator has not looked at it yet",
            server.metadata.creation_timestamp.as_ref(),
        ),
        Some(_) => (
            "the operator has not seen the newest spec yet; what follows is about an older one",
            None,
        ),
    };
    let line = Line::new("NotSeenYet", signal)
        .since(since)
        .next("the operator looks at it, most often within a second");
    let waited = since.map_or(0, |time| now.duration_since(time.0).as_secs());
    Some(if waited > OPERATOR {
        line.remedy("that takes too long: ask an administrator whether the operator runs; `devctl doctor` looks for it")
    } else {
        line
    })
}

fn invalid(server: &DevServer, status: &DevServerStatus) -> Option<Line> {
    let valid = told(status, condition::VALID, "False")?;
    let next = if status.phase == Some(Phase::Running) {
        "it goes on running with its last valid settings until the spec is corrected"
    } else {
        "nothing, until the spec is corrected or what it names is there"
    };
    let name = server.name_any();
    let remedy = match valid.reason.as_str() {
        "FlavorNotFound" | "NoDefaultFlavor" | "FlavorNotAllowed" | "InvalidFlavor" => {
            format!("choose one of `devctl flavors`: kubectl edit devserver {name}")
        }
        _ => format!("correct the field named above: kubectl edit devserver {name}"),
    };
    let line = Line::new(&valid.reason, valid.message.clone());
    let line = line.since(Some(&valid.last_transition_time));
    Some(line.next(next).remedy(remedy))
}

fn suspended(server: &DevServer, status: &DevServerStatus) -> Line {
    let ready = condition::find(&status.conditions, condition::READY);
    let is_stopped =
        status.phase == Some(Phase::Suspended) && ready.is_none_or(|c| c.reason != "Stopping");
    let who = match SuspendedBy::read(server.annotations()) {
        SuspendedBy::Policy(word) if word == IDLE => {
            "by a policy of the platform, because nobody used it".to_owned()
        }
        SuspendedBy::Policy(_) => "by a policy of the platform".to_owned(),
        SuspendedBy::User(name) => format!("on request of {}", name.escape_debug()),
        SuspendedBy::Somebody => "on request".to_owned(),
    };
    let name = server.name_any();
    let line = if is_stopped {
        let message = status
            .message
            .clone()
            .filter(|m| !m.starts_with("stopped on request"));
        let told = message.map(|m| format!("; {m}")).unwrap_or_default();
        Line::new(
            "Suspended",
            format!("it was stopped {who}; its home is kept{told}"),
        )
        .next("it stays stopped until somebody starts it")
    } else {
        Line::new("Stopping", format!("it is being stopped {who}"))
            .next("its programs are told to end, then the pod is removed; the home is kept")
    };
    line.since(ready.map(|c| &c.last_transition_time))
        .remedy(format!("start it with `devctl resume {name}`"))
}

fn restart_pending(server: &DevServer, status: &DevServerStatus) -> Option<Line> {
    let pending = told(status, condition::RESTART_PENDING, "True")?;
    let line = Line::new("RestartPending", pending.message.clone());
    let line = line.since(Some(&pending.last_transition_time));
    Some(
        line.next("it runs on as it is; the change takes effect when it is started the next time")
            .remedy(format!(
                "restart it when it suits you: `devctl restart {}`",
                server.name_any()
            )),
    )
}

#[cfg(test)]
mod tests;
