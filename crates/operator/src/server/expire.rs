//! Ends a DevServer whose time is over.

use devserver_api::DevServer;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Preconditions, PropagationPolicy},
    runtime::events::{Event, EventType},
};

use crate::{
    context::Context,
    error::{Error, bounded},
};
use kube::Resource;

/// Deletes exactly the object that was read: one made again under the name, or extended since, is another.
pub async fn expire(ctx: &Context, api: &Api<DevServer>, server: &DevServer) -> Result<(), Error> {
    ctx.leadership.check()?;
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: server.metadata.uid.clone(),
            resource_version: server.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    match bounded(
        "delete the expired DevServer",
        api.delete(&server.name_any(), &params),
    )
    .await
    {
        Ok(_) => {}
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    }
    ctx.metrics.wrote("delete", "DevServer");
    tracing::info!(
        devserver = server.name_any(),
        namespace = server.namespace(),
        "expired"
    );
    let event = Event {
        type_: EventType::Normal,
        reason: "Expired".to_owned(),
        note: Some("its time to live is over; it was deleted".to_owned()),
        action: "Delete".to_owned(),
        secondary: None,
    };
    if let Err(error) = ctx.recorder.publish(&event, &server.object_ref(&())).await {
        tracing::warn!(error = %error, "failed to record an event");
    }
    Ok(())
}
