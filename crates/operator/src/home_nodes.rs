//! Where the volume of a kept home is, read before the environment starts.

use devserver_api::DevServer;
use devserver_core::{References, references::HomeNodes, status::node};
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::{Api, ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// The home's volume and the nodes; `None` when there is nothing to decide: no home yet, no nodes known, or a pod that has
/// its node already. Volumes are not watched, because a cluster has many and each is looked at only at a start.
pub async fn read(
    ctx: &Context,
    server: &DevServer,
    references: &References,
) -> Result<Option<HomeNodes>, Error> {
    let claim = references.home_claim.as_ref();
    let Some(volume) = claim.and_then(|c| c.spec.as_ref()?.volume_name.as_ref()) else {
        return Ok(None);
    };
    if !ctx.platform.check_home_zone || server.spec.suspend || has_node(ctx, server) {
        return Ok(None);
    }
    let nodes = ctx.caches.nodes.state();
    if nodes.is_empty() {
        return Ok(None);
    }
    let api: Api<PersistentVolume> = Api::all(ctx.client.clone());
    let found = bounded("read the home's volume", api.get_opt(volume)).await;
    match found {
        Ok(volume) => Ok(volume.map(|volume| HomeNodes { volume, nodes })),
        // Not allowed to know: the scheduler will say what is wrong, if something is.
        Err(error) if error.refusal().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

fn has_node(ctx: &Context, server: &DevServer) -> bool {
    let namespace = server.namespace().unwrap_or_default();
    let name = format!("{}-0", server.name_any());
    let pod = ctx
        .caches
        .pods
        .get(&ObjectRef::<Pod>::new(&name).within(&namespace));
    pod.is_some_and(|pod| node(&pod).is_some())
}
