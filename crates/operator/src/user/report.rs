//! Tells what became of a user: status and an event, only when they say something new.

use devserver_api::{DevServerUser, DevServerUserStatus, condition};
use devserver_core::user::{Account, InvalidUser, Seen, status};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    runtime::events::{Event, EventType},
};

use super::Context;
use crate::{error::Error, objects};

/// Writes the status when it differs from the one that was read a moment ago.
pub async fn report(
    ctx: &Context,
    api: &Api<DevServerUser>,
    user: &DevServerUser,
    outcome: &Result<Account, InvalidUser>,
    seen: &Seen,
    now: Timestamp,
) -> Result<(), Error> {
    let new = status(user, outcome, seen, now);
    if user.status.as_ref() == Some(&new) {
        return Ok(());
    }
    ctx.leadership.check()?;
    if objects::write_status(api, user, &new).await?.is_none() {
        // Deleted meanwhile: nobody is left to tell.
        return Ok(());
    }
    ctx.metrics.wrote("patch", "DevServerUserStatus");
    announce(ctx, user, &new).await;
    Ok(())
}

async fn announce(ctx: &Context, user: &DevServerUser, new: &DevServerUserStatus) {
    let reasons = |status: &DevServerUserStatus| {
        [condition::VALID, condition::READY].map(|type_| {
            condition::find(&status.conditions, type_)
                .map(|c| c.reason.clone())
                .unwrap_or_default()
        })
    };
    let before = user.status.clone().unwrap_or_default();
    if reasons(&before) == reasons(new) {
        return;
    }
    let is_ready = new.phase.as_deref() == Some("Ready");
    let [valid, ready] = reasons(new);
    let event = Event {
        type_: if is_ready {
            EventType::Normal
        } else {
            EventType::Warning
        },
        reason: if valid == "Valid" { ready } else { valid },
        note: new.message.clone().map(|m| m.chars().take(1000).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // An event is a courtesy: the status says the same.
    if let Err(error) = ctx.recorder.publish(&event, &user.object_ref(&())).await {
        tracing::warn!(error = %error, "failed to record an event");
    }
}
