//! Stops an environment that nobody uses: `spec.suspend`, with the mark of a policy.

use std::time::Duration;

use devserver_api::{DevServer, group};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// Stops exactly what was read: one that was snoozed or changed since is looked at anew. `Some`: how long until its turn.
pub async fn stop(
    ctx: &Context,
    api: &Api<DevServer>,
    server: &DevServer,
) -> Result<Option<Duration>, Error> {
    ctx.may_write()?;
    let settings = ctx.platform.idle.as_ref();
    let per_minute = settings.map_or(1, |idle| idle.max_terminations_per_minute);
    if let Err(wait) = ctx.idle_turns.take(per_minute, ctx.clock.steady()) {
        ctx.metrics.idle().stop("waits");
        return Ok(Some(wait));
    }
    let patch = json!({
        "metadata": {
            "uid": server.metadata.uid,
            "resourceVersion": server.metadata.resource_version,
            "annotations": {group::ANNOTATION_SUSPENDED_BY: group::SUSPENDED_BY_POLICY},
        },
        "spec": {"suspend": true},
    });
    let params = PatchParams {
        field_manager: Some(group::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let (name, patch) = (server.name_any(), Patch::Merge(&patch));
    let stopped = bounded(
        "stop the idle environment",
        api.patch(&name, &params, &patch),
    )
    .await;
    if let Err(error) = stopped {
        // Without an answer it may have been stopped, and counts.
        if error.is_not_found() || error.is_conflict() || error.refusal().is_some() {
            ctx.idle_turns.give_back();
        }
        return if error.is_not_found() {
            Ok(None)
        } else {
            Err(error)
        };
    }
    ctx.metrics.wrote("patch", "DevServer");
    ctx.metrics.idle().stop("stopped");
    tracing::info!(
        devserver = name,
        namespace = server.namespace(),
        "stopped: nobody used it"
    );
    Ok(None)
}
