//! Tells in an event what the condition `Expiring` says anew, exactly once.

use devserver_api::{DevServer, DevServerStatus, condition};
use devserver_core::status::news_of_the_end;
use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{Condition, MicroTime},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// Before the status is written. The event's name says what it is about: who dies between the two makes the same event
/// again and finds it there.
pub async fn warn(
    ctx: &Context,
    server: &DevServer,
    new: &DevServerStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(told) = news_of_the_end(server.status.as_ref(), new) else {
        return Ok(());
    };
    ctx.leadership.check()?;
    let namespace = server.namespace().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(ctx.client.clone(), &namespace);
    let event = event(ctx, server, new, told, now);
    let params = PostParams::default();
    match bounded("record an event", api.create(&params, &event)).await {
        Ok(_) => {
            ctx.metrics.wrote("create", "Event");
            Ok(())
        }
        Err(error) if error.is_conflict() => Ok(()),
        // An event is a courtesy, the condition says the same: where none may be made the status is written all the same.
        Err(error) if error.refusal().is_some() || error.is_not_found() => {
            tracing::warn!(error = %error, "failed to record an event");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn event(
    ctx: &Context,
    server: &DevServer,
    new: &DevServerStatus,
    told: &Condition,
    now: Timestamp,
) -> Event {
    // The word of the condition, except for the ordinary warning, which has the condition's own name.
    let reason = match told.reason.as_str() {
        "ExpiresSoon" => condition::EXPIRING,
        other => other,
    };
    let reporter = crate::context::reporter(&ctx.identity);
    Event {
        metadata: ObjectMeta {
            name: Some(name(server, new, told)),
            namespace: server.namespace(),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reason: Some(reason.to_owned()),
        note: Some(told.message.chars().take(1000).collect()),
        action: Some("Warn".to_owned()),
        type_: Some("Warning".to_owned()),
        regarding: Some(server.object_ref(&())),
        reporting_controller: Some(reporter.controller),
        reporting_instance: reporter.instance,
        ..Event::default()
    }
}

/// One for each DevServer, end, warning and reason.
fn name(server: &DevServer, new: &DevServerStatus, told: &Condition) -> String {
    let uid: String = server
        .uid()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    let ends = new.expiration_time.as_ref().map_or(0, |t| t.0.as_second());
    let warning = new.expiration_warning_seconds.unwrap_or_default();
    let reason = told.reason.to_lowercase();
    format!("{}.{uid}-{ends:x}-{warning}-{reason}", server.name_any())
}
