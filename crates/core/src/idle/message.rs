//! What an owner is told when a stage came.

use devserver_api::{DevServer, IdleStage, IdleStatus};
use kube::ResourceExt as _;
use serde_json::json;

use super::{condition::deed, period::notification_id};
use crate::message::Message;

/// What is told when that stage came.
pub fn message(server: &DevServer, status: &IdleStatus, stage: IdleStage) -> Message {
    let (name, namespace) = (server.name_any(), server.namespace().unwrap_or_default());
    let since = status.since.as_ref().map(|at| at.0.to_string());
    let quiet = format!(
        "There was no sign of life in your environment {name} (namespace {namespace}) since {}.",
        since.as_deref().unwrap_or("an unknown time")
    );
    let next = match (status.next_stage, &status.next_time) {
        (Some(stage), Some(at)) => format!("Next: {} at {}.", deed(stage), at.0),
        _ => "Nothing more is done.".to_owned(),
    };
    let keep = format!(
        "To keep it as it is, use it, or: devctl snooze {name} --for 4h\nWhy: devctl why {name}"
    );
    let (subject, body) = match stage {
        IdleStage::Warn => (
            format!("{name} is about to be stopped: nobody uses it"),
            format!("{next} Its home is kept.\n{keep}"),
        ),
        IdleStage::Terminate => (
            format!("{name} was stopped: nobody used it"),
            format!("Its home and its settings are kept. To start it again: devctl resume {name}"),
        ),
        _ => (format!("{name} is idle"), format!("{next}\n{keep}")),
    };
    Message {
        id: notification_id(server, status, stage),
        owner: server.spec.owner.clone(),
        subject,
        text: format!("{quiet}\n{body}\n"),
        data: json!({
            "name": name, "namespace": namespace, "uid": server.metadata.uid, "owner": server.spec.owner,
            "stage": stage, "since": since, "signal": status.signal, "rule": status.rule,
            "nextStage": status.next_stage, "nextTime": status.next_time,
        }),
        kind: match stage {
            IdleStage::Warn => "io.devserver.idle.warned",
            IdleStage::Terminate => "io.devserver.idle.stopped",
            _ => "io.devserver.idle.noticed",
        },
        source: format!("/namespaces/{namespace}/devservers/{name}"),
    }
}
