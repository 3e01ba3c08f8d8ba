//! Writes what differs, in order, and nothing else.

use devserver_core::{Environment, Kind, Object, Problem, desired, diff};
use futures::future::try_join_all;
use kube::{
    Api,
    api::{
        ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, Preconditions,
    },
};
use serde_json::Value;

use crate::{
    context::Context,
    error::{Error, bounded},
    observe::{Ownership, ownership, view},
};

/// Makes the objects of an environment be as they should; the problem that stopped it, if one did.
pub async fn all(ctx: &Context, env: &Environment) -> Result<Option<Problem>, Error> {
    let objects = desired(env);
    // Reads do not depend on each other, so they are made at once; writes keep their order.
    let seen = try_join_all(objects.iter().map(|object| look(ctx, env, object))).await?;
    for (object, seen) in objects.iter().zip(seen) {
        if let Some(problem) = one(ctx, env, object, seen).await? {
            return Ok(Some(problem));
        }
    }
    remove_ssh_service(ctx, env, &objects).await?;
    Ok(None)
}

/// The object as it is, if it is.
async fn look(ctx: &Context, env: &Environment, object: &Object) -> Result<Option<Value>, Error> {
    match view(ctx, object.kind(), &env.namespace, object.name()) {
        Some(seen) => Ok(Some(seen)),
        // Not in the cache is not absent: the cache holds only what carries our label, and Secrets it never holds.
        None => read(ctx, object.kind(), &env.namespace, object.name()).await,
    }
}

async fn one(
    ctx: &Context,
    env: &Environment,
    object: &Object,
    seen: Option<Value>,
) -> Result<Option<Problem>, Error> {
    let (kind, name) = (object.kind(), object.name());
    let wanted = object.to_value();
    if let Some(seen) = &seen {
        if kind != Kind::PersistentVolumeClaim {
            match ownership(&metadata(seen), &env.uid) {
                Ownership::Ours => {}
                Ownership::Collected => {
                    return Ok(Some(Problem::waiting_for_collection(kind.as_str(), name)));
                }
                Ownership::Foreign => return Ok(Some(Problem::name_taken(kind.as_str(), name))),
            }
        }
        if diff::is_applied(&wanted, seen) {
            return Ok(None);
        }
    }
    match apply(ctx, kind, &env.namespace, name, &wanted).await {
        Ok(()) => Ok(None),
        Err(error) => match error.refusal() {
            Some(status) => Ok(Some(Problem::refused(kind.as_str(), name, &status.message))),
            None => Err(error),
        },
    }
}

async fn read(
    ctx: &Context,
    kind: Kind,
    namespace: &str,
    name: &str,
) -> Result<Option<Value>, Error> {
    let found = bounded("read an object", api(ctx, kind, namespace).get_opt(name)).await?;
    Ok(found.and_then(|object| serde_json::to_value(object).ok()))
}

async fn apply(
    ctx: &Context,
    kind: Kind,
    namespace: &str,
    name: &str,
    wanted: &Value,
) -> Result<(), Error> {
    ctx.leadership.check()?;
    let params = PatchParams::apply(devserver_api::group::FIELD_MANAGER).force();
    let patch = Patch::Apply(wanted);
    let written = bounded(
        "apply an object",
        api(ctx, kind, namespace).patch(name, &params, &patch),
    )
    .await?;
    ctx.metrics.wrote("apply", kind.as_str());
    tracing::debug!(kind = kind.as_str(), namespace, name, "applied");
    if kind != Kind::Secret
        && let Ok(value) = serde_json::to_value(written)
    {
        ctx.written.remember(kind, namespace, name, value);
    }
    Ok(())
}

/// The one object that a change of the spec can make superfluous.
async fn remove_ssh_service(
    ctx: &Context,
    env: &Environment,
    objects: &[Object],
) -> Result<(), Error> {
    let name = env.name.ssh_service();
    if objects
        .iter()
        .any(|o| o.kind() == Kind::Service && o.name() == name)
    {
        return Ok(());
    }
    let Some(seen) = view(ctx, Kind::Service, &env.namespace, &name) else {
        return Ok(());
    };
    let meta = metadata(&seen);
    if ownership(&meta, &env.uid) != Ownership::Ours || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    ctx.leadership.check()?;
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: meta.uid,
            resource_version: meta.resource_version,
        }),
        ..DeleteParams::default()
    };
    let deleted = bounded(
        "delete the ssh Service",
        api(ctx, Kind::Service, &env.namespace).delete(&name, &params),
    )
    .await;
    match deleted {
        Err(error) if !error.is_not_found() => Err(error),
        _ => {
            ctx.metrics.wrote("delete", Kind::Service.as_str());
            ctx.written.forget(Kind::Service, &env.namespace, &name);
            Ok(())
        }
    }
}

fn metadata(object: &Value) -> ObjectMeta {
    object
        .get("metadata")
        .and_then(|meta| serde_json::from_value(meta.clone()).ok())
        .unwrap_or_default()
}

fn api(ctx: &Context, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    let (group, plural) = match kind {
        Kind::ServiceAccount => ("", "serviceaccounts"),
        Kind::Secret => ("", "secrets"),
        Kind::ConfigMap => ("", "configmaps"),
        Kind::Service => ("", "services"),
        Kind::PersistentVolumeClaim => ("", "persistentvolumeclaims"),
        Kind::StatefulSet => ("apps", "statefulsets"),
    };
    let resource = ApiResource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        api_version: if group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{group}/v1")
        },
        kind: kind.as_str().to_owned(),
        plural: plural.to_owned(),
    };
    Api::namespaced_with(ctx.client.clone(), namespace, &resource)
}
