//! An event that is made once, whoever restarts: its name says what it is about, and who makes it again finds it there.

use devserver_api::DevServer;
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Resource,
    api::{ObjectMeta, PostParams},
};

use crate::{
    context::{Context, reporter},
    error::{Error, bounded},
};

/// An event.
pub struct Once {
    /// Its own name.
    pub name: String,
    /// CamelCase word.
    pub reason: String,
    /// Sentence for people.
    pub note: String,
    /// What is done, as a word.
    pub action: &'static str,
    /// Whether somebody should do something.
    pub is_warning: bool,
}

/// Makes it, unless it is there. Whether it is new.
pub async fn once(
    ctx: &Context,
    server: &DevServer,
    event: &Once,
    now: Timestamp,
) -> Result<bool, Error> {
    once_about(ctx, &server.object_ref(&()), event, now).await
}

/// The same about any object of a namespace.
pub async fn once_about(
    ctx: &Context,
    about: &ObjectReference,
    event: &Once,
    now: Timestamp,
) -> Result<bool, Error> {
    ctx.may_write()?;
    let namespace = about.namespace.clone().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(ctx.client.clone(), &namespace);
    let params = PostParams::default();
    let event = object(ctx, about, event, now);
    match bounded("record an event", api.create(&params, &event)).await {
        Ok(_) => {
            ctx.metrics.wrote("create", "Event");
            Ok(true)
        }
        Err(error) if error.is_conflict() => Ok(false),
        // An event is a courtesy, the condition says the same: where none may be made the status is written all the same.
        Err(error) if error.refusal().is_some() || error.is_not_found() => {
            tracing::warn!(error = %error, "failed to record an event");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn object(ctx: &Context, about: &ObjectReference, event: &Once, now: Timestamp) -> Event {
    let reporter = reporter(&ctx.identity);
    Event {
        metadata: ObjectMeta {
            name: Some(event.name.clone()),
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reason: Some(event.reason.clone()),
        note: Some(event.note.chars().take(1000).collect()),
        action: Some(event.action.to_owned()),
        type_: Some(
            if event.is_warning {
                "Warning"
            } else {
                "Normal"
            }
            .to_owned(),
        ),
        regarding: Some(about.clone()),
        reporting_controller: Some(reporter.controller),
        reporting_instance: reporter.instance,
        ..Event::default()
    }
}
