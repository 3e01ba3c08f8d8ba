//! Public keys and the password hash that `spec.ssh` names, read at each look. By name only and not watched: the operator
//! holds no Secret it did not make, so a change counts with the next look, at the latest after one resync.

use std::fmt::Debug;

use devserver_api::{DevServer, KeyRef};
use devserver_core::{
    References,
    references::Found,
    resolve::keys::{is_nameable, is_of_platform, named},
};
use futures::future::{try_join, try_join_all};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, Resource, api::ObjectMeta};
use serde::de::DeserializeOwned;

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// Adds what is found under the names, if anything is named.
pub async fn add(
    ctx: &Context,
    server: &DevServer,
    references: &mut References,
) -> Result<(), Error> {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let ssh = &server.spec.ssh;
    let keys =
        try_join_all(
            ssh.authorized_keys_from
                .iter()
                .map(async |source| match named(source) {
                    Some(("Secret", reference)) => secret(ctx, namespace, reference).await,
                    Some((_, reference)) => config_map(ctx, namespace, reference).await,
                    None => Ok(Found::Missing),
                }),
        );
    let hash = async {
        // Where no password is allowed the answer is no, whatever there is.
        match &ssh.password_hash_from {
            Some(reference) if ctx.platform.allow_password_authentication => {
                secret(ctx, namespace, reference).await.map(Some)
            }
            _ => Ok(None),
        }
    };
    (references.keys_from, references.password_hash) = try_join(keys, hash).await?;
    Ok(())
}

async fn secret(ctx: &Context, namespace: &str, reference: &KeyRef) -> Result<Found, Error> {
    let found = read::<Secret>(ctx, namespace, reference).await?;
    Ok(found.map_or(Found::Missing, |secret| {
        content(&secret.metadata, || {
            let bytes = secret.data.as_ref()?.get(&reference.key)?;
            Some(String::from_utf8_lossy(&bytes.0).into_owned())
        })
    }))
}

async fn config_map(ctx: &Context, namespace: &str, reference: &KeyRef) -> Result<Found, Error> {
    let found = read::<ConfigMap>(ctx, namespace, reference).await?;
    Ok(found.map_or(Found::Missing, |map| {
        content(&map.metadata, || {
            map.data.as_ref()?.get(&reference.key).cloned()
        })
    }))
}

/// The object, if there is one. Its name becomes part of a request's path: what is no name is never asked for.
async fn read<K>(ctx: &Context, namespace: &str, reference: &KeyRef) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    if !is_nameable(reference) {
        return Ok(None);
    }
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace);
    bounded("read an object with keys", api.get_opt(&reference.name)).await
}

/// What is the platform's is not looked into.
fn content(metadata: &ObjectMeta, text: impl FnOnce() -> Option<String>) -> Found {
    if is_of_platform(metadata) {
        return Found::OfPlatform;
    }
    text().map_or(Found::Missing, Found::Text)
}
