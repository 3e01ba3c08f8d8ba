//! Tells in an event what the condition `Expiring` says anew, exactly once.

use devserver_api::{DevServer, DevServerStatus, condition};
use devserver_core::{event::mark, status::news_of_the_end};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use super::once::{Once, once};
use crate::{context::Context, error::Error};

/// Before the status is written: who dies between the two makes the same event again and finds it there.
pub async fn warn(
    ctx: &Context,
    server: &DevServer,
    new: &DevServerStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(told) = news_of_the_end(server.status.as_ref(), new) else {
        return Ok(());
    };
    let event = Once {
        name: name(server, new, told),
        // The word of the condition, except for the ordinary warning, which has the condition's own name.
        reason: match told.reason.as_str() {
            "ExpiresSoon" => condition::EXPIRING.to_owned(),
            other => other.to_owned(),
        },
        note: told.message.clone(),
        action: "Warn",
        is_warning: true,
    };
    once(ctx, server, &event, now).await.map(drop)
}

/// One for each DevServer, end, warning and reason.
fn name(server: &DevServer, new: &DevServerStatus, told: &Condition) -> String {
    let uid = mark(server.metadata.uid.as_deref());
    let ends = new.expiration_time.as_ref().map_or(0, |t| t.0.as_second());
    let warning = new.expiration_warning_seconds.unwrap_or_default();
    let reason = told.reason.to_lowercase();
    format!("{}.{uid}-{ends:x}-{warning}-{reason}", server.name_any())
}
