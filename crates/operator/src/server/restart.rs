//! Restarts an environment whose owner wants changes to take effect by themselves.

use devserver_api::RestartPolicy;
use devserver_core::{Environment, Observed, status::pending_restart};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
};

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// Deletes the pod that still is as before; the StatefulSet controller makes it anew, never two at a time.
pub async fn when_automatic(
    ctx: &Context,
    env: &Environment,
    seen: &Observed,
) -> Result<(), Error> {
    if env.restart_policy != RestartPolicy::Automatic {
        return Ok(());
    }
    let Some(restart) = pending_restart(seen) else {
        return Ok(());
    };
    ctx.leadership.check()?;
    let (name, uid) = restart.pod;
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &env.namespace);
    match bounded("restart the pod", api.delete(&name, &params)).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => {
            ctx.metrics.wrote("delete", "Pod");
            tracing::info!(
                pod = name,
                namespace = env.namespace,
                changes = restart.changes,
                "restarts"
            );
            Ok(())
        }
    }
}
