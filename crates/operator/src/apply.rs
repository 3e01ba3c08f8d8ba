//! Writes what differs and nothing else; the workload last.

use devserver_core::{Environment, Kind, Object, Problem, desired, desired::superfluous, diff};
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
///
/// What the workload needs does not depend on each other, so it is written at once; the workload comes when all of it
/// is there, so that the first pod finds everything. Any part of it is a state the next look goes on from.
pub async fn all(ctx: &Context, env: &Environment) -> Result<Option<Problem>, Error> {
    let objects = desired(env);
    let seen = try_join_all(objects.iter().map(|object| look(ctx, env, object))).await?;
    let workload = objects.iter().position(|o| o.kind() == Kind::StatefulSet);
    let mut pairs: Vec<_> = objects.iter().zip(seen).collect();
    let rest = pairs.split_off(workload.unwrap_or(pairs.len()));
    let needed = pairs
        .into_iter()
        .map(|(object, seen)| one(ctx, env, object, seen));
    let problems = try_join_all(needed).await?;
    if let Some(problem) = problems.into_iter().flatten().next() {
        return Ok(Some(problem));
    }
    for (object, seen) in rest {
        if let Some(problem) = one(ctx, env, object, seen).await? {
            return Ok(Some(problem));
        }
    }
    remove_superfluous(ctx, env, &objects).await?;
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

/// Objects that a change of the spec can make superfluous: what is ours and no longer wanted goes.
async fn remove_superfluous(
    ctx: &Context,
    env: &Environment,
    objects: &[Object],
) -> Result<(), Error> {
    for (kind, name) in superfluous(env, objects) {
        remove(ctx, env, kind, &name).await?;
    }
    Ok(())
}

async fn remove(ctx: &Context, env: &Environment, kind: Kind, name: &str) -> Result<(), Error> {
    let Some(seen) = view(ctx, kind, &env.namespace, name) else {
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
        "delete an object that is no longer asked for",
        api(ctx, kind, &env.namespace).delete(name, &params),
    )
    .await;
    match deleted {
        Err(error) if !error.is_not_found() => Err(error),
        _ => {
            ctx.metrics.wrote("delete", kind.as_str());
            ctx.written.forget(kind, &env.namespace, name);
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
    let (group, plural) = kind.resource();
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
