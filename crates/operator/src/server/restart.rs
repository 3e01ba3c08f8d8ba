//! Restarts an environment whose user asks for it, or wants changes to take effect by themselves; stops one whose spec
//! is invalid otherwise.

use devserver_api::{DevServer, group};
use devserver_core::{
    Environment, Invalid, Observed,
    status::{halt_now, restart_now},
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// Deletes the pod that is to be made anew; the StatefulSet controller makes it, never two at a time.
pub async fn when_due(
    ctx: &Context,
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
) -> Result<(), Error> {
    let Some(restart) = restart_now(server, outcome, seen) else {
        return Ok(());
    };
    ctx.may_write()?;
    let (name, uid) = restart.pod;
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let namespace = server.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &namespace);
    match bounded("restart the pod", api.delete(&name, &params)).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => {
            ctx.metrics.wrote("delete", "Pod");
            tracing::info!(pod = name, namespace, changes = restart.changes, "restarts");
            Ok(())
        }
    }
}

/// Scales down what an invalid spec asks to suspend. Nothing else of it is touched.
pub async fn halt(
    ctx: &Context,
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
) -> Result<(), Error> {
    let Some(workload) = halt_now(server, outcome, seen) else {
        return Ok(());
    };
    ctx.may_write()?;
    let patch = json!({
        // With the UID: a StatefulSet made again under the name is another.
        "metadata": {"uid": workload.metadata.uid},
        "spec": {"replicas": 0},
    });
    let params = PatchParams {
        field_manager: Some(group::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let namespace = server.namespace().unwrap_or_default();
    let api: Api<StatefulSet> = Api::namespaced(ctx.client.clone(), &namespace);
    let (name, patch) = (workload.name_any(), Patch::Merge(&patch));
    match bounded("stop the environment", api.patch(&name, &params, &patch)).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => {
            ctx.metrics.wrote("patch", "StatefulSet");
            Ok(())
        }
    }
}
