//! Writes what differs and nothing else; the workload when all it needs is there, and what it does not wait for after it.

use std::time::Duration;

use devserver_api::{DevServer, names::ServerName};
use devserver_core::{
    Environment, Kind, Object, Problem,
    desired::{HASH_ANNOTATION, desired, superfluous},
    diff,
};
use futures::future::{try_join, try_join_all};
use kube::{
    Api,
    api::{DynamicObject, ObjectMeta},
};
use serde_json::Value;

use crate::{
    context::Context,
    error::{Error, bounded},
    host_keys, objects,
    observe::{Ownership, ownership, view},
};

/// What became of a look at all objects.
#[derive(Default)]
pub struct Applied {
    /// The public host keys, when there are some.
    pub host_keys: Vec<String>,
    /// What stopped it, if something did.
    pub problem: Option<Problem>,
    /// Whether the Secrets were not read, because they had been a moment ago.
    pub believed: bool,
    /// The rest is left to a look after this time, or to the first one after something was seen.
    pub head_start: Option<Duration>,
}

/// Makes the objects of an environment be as they should.
///
/// What the workload needs does not depend on each other, so it is written at once, and the rest is looked up meanwhile. The workload is
/// written when all of that is there and nothing of the rest is somebody else's, so that the first pod finds everything; the Services,
/// which make controllers and every node work, come after it, and after the head start it may have. Any part of it is a state the next
/// look goes on from.
///
/// The home's claim is left to the StatefulSet's controller. Made here, a tenth of a second earlier, it was now and then
/// bound in the very moment its pod got a node, and a kubelet that sees a claim half bound waits ten seconds.
pub async fn all(
    ctx: &Context,
    env: &Environment,
    head_start: impl Fn() -> Option<Duration>,
) -> Result<Applied, Error> {
    let objects = desired(env);
    let workload = objects.iter().position(|o| o.kind() == Kind::StatefulSet);
    let (needed, rest) = objects.split_at(workload.unwrap_or(objects.len()));
    let looks = try_join_all(rest.iter().map(|object| look(ctx, env, object)));
    let (mut applied, seen) = try_join(needs(ctx, env, needed), looks).await?;
    let mut taken = rest
        .iter()
        .zip(&seen)
        .filter_map(|(object, seen)| foreign(env, object, seen.as_ref()?));
    applied.problem = applied.problem.or_else(|| taken.next());
    for (object, seen) in rest.iter().zip(seen) {
        if applied.problem.is_none() {
            applied.problem = make(ctx, env, object, seen).await?;
        }
        if applied.problem.is_none() && object.kind() == Kind::StatefulSet {
            applied.head_start = head_start();
            if applied.head_start.is_some() {
                return Ok(applied);
            }
        }
    }
    if applied.problem.is_none() {
        remove_superfluous(ctx, env, &objects).await?;
    }
    Ok(applied)
}

/// What the workload needs, all at once.
async fn needs(ctx: &Context, env: &Environment, objects: &[Object]) -> Result<Applied, Error> {
    let secrets = secrets(env, objects);
    let (namespace, name) = (&env.namespace, env.name.as_str());
    let believed = ctx.believed.recall(namespace, name, &secrets);
    let is_believed = believed.is_some();
    let keys = async {
        match believed {
            Some(keys) => Ok(Ok(keys)),
            None => host_keys::ensure(ctx, env).await,
        }
    };
    let objects = objects
        .iter()
        .filter(|object| !is_believed || object.kind() != Kind::Secret);
    let objects = try_join_all(objects.map(|object| one(ctx, env, object)));
    let (keys, problems) = try_join(keys, objects).await?;
    let (host_keys, no_keys) = match keys {
        Ok(keys) => (keys, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    let problem = no_keys.or_else(|| problems.into_iter().flatten().next());
    if problem.is_none() && !is_believed {
        ctx.believed.remember(namespace, name, secrets, &host_keys);
    }
    Ok(Applied {
        host_keys,
        problem,
        believed: is_believed,
        head_start: None,
    })
}

/// For whom Secrets are wanted, and the hashes of what they say, never that itself.
fn secrets(env: &Environment, objects: &[Object]) -> Vec<String> {
    let hash = |object: &Object| {
        let annotations = object.metadata().annotations.as_ref();
        annotations
            .and_then(|all| all.get(HASH_ANNOTATION).cloned())
            .unwrap_or_default()
    };
    let secrets = objects.iter().filter(|o| o.kind() == Kind::Secret);
    std::iter::once(env.uid.clone())
        .chain(secrets.map(hash))
        .collect()
}

/// The object as it is, if it is.
async fn look(ctx: &Context, env: &Environment, object: &Object) -> Result<Option<Value>, Error> {
    match view(ctx, object.kind(), &env.namespace, object.name()) {
        Some(seen) => Ok(Some(seen)),
        // Not in the cache is not absent: the cache holds only what carries our label, and Secrets it never holds.
        None => read(ctx, object.kind(), &env.namespace, object.name()).await,
    }
}

async fn one(ctx: &Context, env: &Environment, object: &Object) -> Result<Option<Problem>, Error> {
    let seen = look(ctx, env, object).await?;
    make(ctx, env, object, seen).await
}

/// Why what was seen must not be touched.
fn foreign(env: &Environment, object: &Object, seen: &Value) -> Option<Problem> {
    let ownership = || ownership(&metadata(seen), &env.uid);
    object
        .is_owned()
        .then(|| ownership().problem(object.kind().as_str(), object.name()))?
}

/// Makes what was seen be as it should.
async fn make(
    ctx: &Context,
    env: &Environment,
    object: &Object,
    seen: Option<Value>,
) -> Result<Option<Problem>, Error> {
    let (kind, name) = (object.kind(), object.name());
    let wanted = object.to_value();
    if let Some(seen) = &seen {
        let problem = foreign(env, object, seen);
        if problem.is_some() {
            return Ok(problem);
        }
        if diff::is_applied(&wanted, seen) {
            return Ok(None);
        }
        // What a binding gives cannot change: the old one goes first, and with it its rights.
        if kind == Kind::RoleBinding && wanted.get("roleRef") != seen.get("roleRef") {
            delete(ctx, &env.namespace, kind, &metadata(seen)).await?;
        }
    }
    match apply(ctx, kind, &env.namespace, name, &wanted).await {
        Ok(()) => Ok(None),
        Err(error) => objects::refused(kind.as_str(), name, error).map(Some),
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
    ctx.may_write()?;
    let written = objects::apply(&api(ctx, kind, namespace), name, wanted).await?;
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
        remove(ctx, &env.namespace, &env.uid, kind, &name).await?;
    }
    Ok(())
}

async fn remove(
    ctx: &Context,
    namespace: &str,
    uid: &str,
    kind: Kind,
    name: &str,
) -> Result<(), Error> {
    let Some(seen) = view(ctx, kind, namespace, name) else {
        return Ok(());
    };
    let meta = metadata(&seen);
    if ownership(&meta, uid) != Ownership::Ours || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    delete(ctx, namespace, kind, &meta).await
}

async fn delete(
    ctx: &Context,
    namespace: &str,
    kind: Kind,
    seen: &ObjectMeta,
) -> Result<(), Error> {
    ctx.may_write()?;
    objects::delete(&api(ctx, kind, namespace), seen).await?;
    ctx.metrics.wrote("delete", kind.as_str());
    let name = seen.name.as_deref().unwrap_or_default();
    ctx.written.forget(kind, namespace, name);
    Ok(())
}

/// Takes the rights in the cluster that the platform no longer allows, though the spec that asks for them is invalid: what
/// runs is left alone, but not what it may do.
pub async fn revoke(ctx: &Context, server: &DevServer) -> Result<(), Error> {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    let name = ServerName::parse(server.metadata.name.as_deref().unwrap_or_default());
    let Ok(name) = name else {
        return Ok(());
    };
    remove(ctx, namespace, uid, Kind::RoleBinding, &name.role_binding()).await
}

fn metadata(object: &Value) -> ObjectMeta {
    object
        .get("metadata")
        .and_then(|meta| serde_json::from_value(meta.clone()).ok())
        .unwrap_or_default()
}

fn api(ctx: &Context, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    let (group, plural) = kind.resource();
    let resource = objects::resource(group, plural, kind.as_str());
    Api::namespaced_with(ctx.client.clone(), namespace, &resource)
}
