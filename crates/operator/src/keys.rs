//! Public keys that `spec.ssh.authorizedKeysFrom` names, read at each look. By name only and not watched: the operator
//! holds no Secret it did not make, so a change counts with the next look, at the latest after one resync.

use devserver_api::{DevServer, KeyRef};
use devserver_core::resolve::keys::{is_nameable, named};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// The text of each entry, in order; `None` in place of one that is missing.
pub async fn read(ctx: &Context, server: &DevServer) -> Result<Vec<Option<String>>, Error> {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let sources = &server.spec.ssh.authorized_keys_from;
    try_join_all(sources.iter().map(async |source| match named(source) {
        // Part of a request's path: what is no name is never asked for.
        Some((_, reference)) if !is_nameable(reference) => Ok(None),
        Some(("Secret", reference)) => secret(ctx, namespace, reference).await,
        Some((_, reference)) => config_map(ctx, namespace, reference).await,
        None => Ok(None),
    }))
    .await
}

async fn secret(
    ctx: &Context,
    namespace: &str,
    reference: &KeyRef,
) -> Result<Option<String>, Error> {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let found = bounded(
        "read a Secret with public keys",
        api.get_opt(&reference.name),
    );
    let bytes = found
        .await?
        .and_then(|s| s.data)
        .and_then(|mut d| d.remove(&reference.key));
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()))
}

async fn config_map(
    ctx: &Context,
    namespace: &str,
    reference: &KeyRef,
) -> Result<Option<String>, Error> {
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace);
    let found = bounded(
        "read a ConfigMap with public keys",
        api.get_opt(&reference.name),
    );
    Ok(found
        .await?
        .and_then(|c| c.data)
        .and_then(|mut d| d.remove(&reference.key)))
}
