//! Writes what differs, in order: the namespace, its bounds, then rights. Nothing is written into a namespace that is not the user's.

use devserver_api::{DevServerUser, group};
use devserver_core::{
    Problem, diff,
    user::{self, Account, OBJECT_NAME, Seen, UserKind, UserObject, standing},
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams, PostParams},
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    error::{Error, bounded},
    objects::{self, Ownership, ownership},
};

/// Makes everything be as it should; what was seen, and what stopped it, if something did.
pub async fn all(ctx: &Context, account: &Account) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let namespace = match ensure_namespace(ctx, account).await {
        Ok(namespace) => namespace,
        Err(error) => {
            let kind = UserKind::Namespace.as_str();
            seen.problem = Some(objects::refused(kind, &account.namespace, error)?);
            return Ok(seen);
        }
    };
    seen.problem = user::namespace_problem(account, standing(account, &namespace));
    if seen.problem.is_some() {
        return Ok(seen);
    }
    seen.has_namespace = true;
    let objects = user::desired(account);
    for object in &objects {
        seen.problem = match object {
            UserObject::Namespace(_) => label_namespace(ctx, object, &namespace).await?,
            _ => one(ctx, account, object).await?,
        };
        if seen.problem.is_some() {
            return Ok(seen);
        }
    }
    for kind in user::superfluous(&objects) {
        let api = api(ctx, kind, &account.namespace);
        if let Some(found) = bounded("read an object", api.get_opt(OBJECT_NAME)).await? {
            remove(ctx, kind, &api, &found, &account.uid).await?;
        }
    }
    let wanted: Vec<&str> = objects
        .iter()
        .filter(|object| object.kind() == UserKind::RoleBinding)
        .map(UserObject::name)
        .collect();
    unbind(ctx, &account.namespace, &account.uid, &wanted).await?;
    Ok(seen)
}

/// Takes back what was given before it turned out that the username is another's.
pub async fn withdraw(ctx: &Context, user: &DevServerUser) -> Result<(), Error> {
    let namespace = user::namespace_name(&user.spec.username);
    let uid = user.metadata.uid.as_deref().unwrap_or_default();
    unbind(ctx, &namespace, uid, &[]).await?;
    let account = user::service_account_name(&user.spec.username);
    for (kind, name) in [
        (UserKind::ServiceAccount, account.as_str()),
        (UserKind::LimitRange, OBJECT_NAME),
        (UserKind::ResourceQuota, OBJECT_NAME),
    ] {
        let api = api(ctx, kind, &namespace);
        if let Some(found) = bounded("read an object", api.get_opt(name)).await? {
            remove(ctx, kind, &api, &found, uid).await?;
        }
    }
    Ok(())
}

/// The namespace as it is, made if it was not. Made by a plain create: what is there already is never taken.
async fn ensure_namespace(ctx: &Context, account: &Account) -> Result<Namespace, Error> {
    let api: Api<Namespace> = Api::all(ctx.client.clone());
    let name = &account.namespace;
    if let Some(found) = bounded("read the namespace", api.get_opt(name)).await? {
        return Ok(found);
    }
    ctx.leadership.check()?;
    let params = PostParams {
        field_manager: Some(group::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let namespace = user::namespace_identity(account);
    match bounded("create the namespace", api.create(&params, &namespace)).await {
        // Somebody was faster, or our own answer was lost: its label tells.
        Err(error) if error.is_conflict() => bounded("read the namespace", api.get(name)).await,
        Ok(made) => {
            ctx.metrics.wrote("create", UserKind::Namespace.as_str());
            tracing::info!(namespace = name, user = account.name, "namespace made");
            Ok(made)
        }
        Err(error) => Err(error),
    }
}

async fn label_namespace(
    ctx: &Context,
    object: &UserObject,
    seen: &Namespace,
) -> Result<Option<Problem>, Error> {
    let mut wanted = object.to_value();
    if diff::is_applied(&wanted, &serde_json::to_value(seen).unwrap_or_default()) {
        return Ok(None);
    }
    // With the UID: a namespace made by others meanwhile is refused by the API server, not taken.
    if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".to_owned(), json!(seen.metadata.uid));
    }
    let api = cluster_wide(ctx, UserKind::Namespace);
    apply(ctx, UserKind::Namespace, &api, object.name(), &wanted).await
}

async fn one(
    ctx: &Context,
    account: &Account,
    object: &UserObject,
) -> Result<Option<Problem>, Error> {
    let (kind, name) = (object.kind(), object.name());
    let api = api(ctx, kind, &account.namespace);
    let wanted = object.to_value();
    if let Some(found) = bounded("read an object", api.get_opt(name)).await? {
        let owner = ownership::<DevServerUser>(&found.metadata, &account.uid);
        if let Some(problem) = owner.problem(kind.as_str(), name) {
            return Ok(Some(problem));
        }
        if diff::is_applied(&wanted, &serde_json::to_value(&found).unwrap_or_default()) {
            return Ok(None);
        }
    }
    apply(ctx, kind, &api, name, &wanted).await
}

async fn apply(
    ctx: &Context,
    kind: UserKind,
    api: &Api<DynamicObject>,
    name: &str,
    wanted: &Value,
) -> Result<Option<Problem>, Error> {
    ctx.leadership.check()?;
    match objects::apply(api, name, wanted).await {
        Ok(_) => {
            ctx.metrics.wrote("apply", kind.as_str());
            Ok(None)
        }
        Err(error) => objects::refused(kind.as_str(), name, error).map(Some),
    }
}

/// Removes bindings of the user that are not wanted any more.
async fn unbind(ctx: &Context, namespace: &str, uid: &str, wanted: &[&str]) -> Result<(), Error> {
    let api = api(ctx, UserKind::RoleBinding, namespace);
    let ours = ListParams::default().labels(group::LABEL_NAMESPACE_USER);
    for found in bounded("list the role bindings", api.list(&ours)).await? {
        let name = found.metadata.name.as_deref().unwrap_or_default();
        if !wanted.contains(&name) {
            remove(ctx, UserKind::RoleBinding, &api, &found, uid).await?;
        }
    }
    Ok(())
}

/// Deletes exactly the object that was read, if it is the user's.
async fn remove(
    ctx: &Context,
    kind: UserKind,
    api: &Api<DynamicObject>,
    found: &DynamicObject,
    uid: &str,
) -> Result<(), Error> {
    let meta = &found.metadata;
    let is_ours = ownership::<DevServerUser>(meta, uid) == Ownership::Ours;
    if !is_ours || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    ctx.leadership.check()?;
    objects::delete(api, meta).await?;
    ctx.metrics.wrote("delete", kind.as_str());
    Ok(())
}

fn api(ctx: &Context, kind: UserKind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(ctx.client.clone(), namespace, &resource(kind))
}

fn cluster_wide(ctx: &Context, kind: UserKind) -> Api<DynamicObject> {
    Api::all_with(ctx.client.clone(), &resource(kind))
}

fn resource(kind: UserKind) -> ApiResource {
    let (group, plural) = kind.resource();
    objects::resource(group, plural, kind.as_str())
}
