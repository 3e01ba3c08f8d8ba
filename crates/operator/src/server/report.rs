//! Tells what was seen: status and an event, only when they say something new.

use devserver_api::{DevServer, DevServerStatus, Phase, condition};
use devserver_core::{Environment, Invalid, Observed, status};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    runtime::events::{Event, EventType},
};

use super::warn;
use crate::{context::Context, error::Error, objects};

/// Writes the status when it differs from the one that was read a moment ago.
pub async fn report(
    ctx: &Context,
    api: &Api<DevServer>,
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
    now: Timestamp,
) -> Result<(), Error> {
    let new = status(server, outcome, seen, &ctx.platform, now);
    if server.status.as_ref() == Some(&new) {
        return Ok(());
    }
    warn::warn(ctx, server, &new, now).await?;
    ctx.may_write()?;
    if objects::write_status(api, server, &new).await?.is_none() {
        // Deleted meanwhile: nobody is left to tell.
        return Ok(());
    }
    ctx.metrics.wrote("patch", "DevServerStatus");
    announce(ctx, server, &new).await;
    Ok(())
}

async fn announce(ctx: &Context, server: &DevServer, new: &DevServerStatus) {
    let reason = |status: &DevServerStatus, type_| {
        condition::find(&status.conditions, type_)
            .map(|c| c.reason.clone())
            .unwrap_or_default()
    };
    let before = server.status.clone().unwrap_or_default();
    let same = [condition::READY, condition::VALID]
        .iter()
        .all(|type_| reason(&before, type_) == reason(new, type_));
    // That it starts is no news: the StatefulSet's and the pod's own events say so step by step.
    let starts =
        new.phase == Some(Phase::Provisioning) && reason(&before, condition::READY).is_empty();
    if same || starts {
        return;
    }
    let invalid =
        condition::find(&new.conditions, condition::VALID).is_some_and(|c| c.status == "False");
    let troubled = invalid || matches!(new.phase, Some(Phase::Failed | Phase::Pending));
    let event = Event {
        type_: if troubled {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: reason(
            new,
            if invalid {
                condition::VALID
            } else {
                condition::READY
            },
        ),
        note: new.message.clone().map(|m| m.chars().take(1000).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // An event is a courtesy: the status says the same.
    if let Err(error) = ctx.recorder.publish(&event, &server.object_ref(&())).await {
        tracing::warn!(error = %error, "failed to record an event");
    }
}
