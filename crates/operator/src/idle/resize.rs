//! Changes the size of a running pod, without a restart (KEP-1287).

use devserver_api::DevServer;
use devserver_core::Observed;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};

use super::Evaluated;
use crate::{
    context::Context,
    error::{Error, bounded},
};

/// After the status is written: it has what the pod goes back to.
pub async fn resize(
    ctx: &Context,
    server: &DevServer,
    evaluated: &Evaluated,
    seen: &Observed,
) -> Result<(), Error> {
    let Some(pod) = &seen.pod else {
        return Ok(());
    };
    let Some(patch) = evaluated.patch(ctx, pod) else {
        return Ok(());
    };
    ctx.may_write()?;
    let namespace = server.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &namespace);
    let name = pod.name_any();
    let params = PatchParams {
        field_manager: Some(devserver_api::group::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Strategic(&patch);
    let call = api.patch_subresource("resize", &name, &params, &patch);
    match bounded("resize the pod", call).await {
        Ok(_) => {
            ctx.metrics.wrote("patch", "Pod/resize");
            tracing::info!(pod = name, namespace, size = ?evaluated.size, "resized");
            Ok(())
        }
        // Another pod by now, or a cluster that cannot: nothing depends on it.
        Err(error) if error.is_not_found() || error.is_conflict() || error.refusal().is_some() => {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            ctx.reports.refuse(uid, ctx.clock.steady());
            tracing::warn!(pod = name, namespace, error = %error, "failed to resize the pod");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
