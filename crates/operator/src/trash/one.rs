//! One home without a DevServer: read anew, then marked, announced or removed.

use devserver_api::{DevServer, trash as api};
use devserver_core::trash::{Announcement, Removal, Rules, event_name, needed_by, step};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{Api, Resource as _, ResourceExt as _, api::ListParams};

use super::keep::write;
use crate::{
    context::Context,
    error::{Error, bounded},
    objects,
    server::once::{Once, once_about},
};

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it demanded is done.
    Done,
    /// Nothing is to be done, or something stands in the way: not again in a moment.
    Rests,
}

/// One step.
pub async fn one(
    ctx: &Context,
    seen: &PersistentVolumeClaim,
    rules: &Rules,
) -> Result<Outcome, Error> {
    let namespace = seen.namespace().unwrap_or_default();
    let Some(name) = api::home_of(seen) else {
        return Ok(Outcome::Rests);
    };
    let servers: Api<DevServer> = Api::namespaced(ctx.client.clone(), &namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.clone(), &namespace);
    // Quorum reads: nothing is marked or removed because a cache lacks a DevServer.
    let server = bounded("read the DevServer", servers.get_opt(name.as_str())).await?;
    if server.is_some() {
        return Ok(Outcome::Rests);
    }
    let claim = bounded("read the home", claims.get_opt(&seen.name_any())).await?;
    let Some(claim) = claim.filter(api::stays) else {
        return Ok(Outcome::Rests);
    };
    let clocks = ctx.clock.read();
    let step = step(&claim, rules, clocks);
    if let Some(announcement) = &step.announce {
        announce(ctx, &claim, announcement, clocks.now()).await?;
    }
    if let Some(patch) = &step.patch {
        write(ctx, &claim, patch).await?;
        return Ok(Outcome::Done);
    }
    match step.removal {
        Removal::Due => remove(ctx, &claims, &claim, name.as_str(), clocks.now()).await,
        Removal::Disputed | Removal::No => Ok(Outcome::Rests),
    }
}

async fn announce(
    ctx: &Context,
    claim: &PersistentVolumeClaim,
    announcement: &Announcement,
    now: Timestamp,
) -> Result<(), Error> {
    let name = api::home_of(claim).map(|name| name.to_string());
    let name = name.unwrap_or_default();
    let event = Once {
        name: event_name(claim, announcement.end, "removal"),
        reason: "HomeRemovalSoon".to_owned(),
        note: format!(
            "the home of the DevServer {name}, which has ended, is removed for good at {}; to keep it: devctl undelete {name}",
            announcement.removal
        ),
        action: "Warn",
        is_warning: true,
    };
    once_about(ctx, &claim.object_ref(&()), &event, now)
        .await
        .map(drop)
}

/// Removes exactly the claim that was read, unless something needs it.
async fn remove(
    ctx: &Context,
    claims: &Api<PersistentVolumeClaim>,
    claim: &PersistentVolumeClaim,
    name: &str,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let claim_name = claim.name_any();
    let namespace = claim.namespace().unwrap_or_default();
    if let Some(who) = needed(ctx, &namespace, (name, &claim_name)).await? {
        tracing::info!(
            claim = claim_name,
            namespace,
            who,
            "the home is still needed"
        );
        return Ok(Outcome::Rests);
    }
    ctx.may_write()?;
    let per_minute = ctx.platform.max_expirations_per_minute;
    if ctx
        .trash_turns
        .take(per_minute, ctx.clock.steady())
        .is_err()
    {
        return Ok(Outcome::Rests);
    }
    let end = api::marks(claim).removal.unwrap_or(now);
    let event = Once {
        name: event_name(claim, end, "removed"),
        reason: "HomeRemoved".to_owned(),
        note: format!(
            "the time for which the home of the DevServer {name} was kept is over: it is being removed"
        ),
        action: "Delete",
        is_warning: false,
    };
    once_about(ctx, &claim.object_ref(&()), &event, now).await?;
    let params = objects::exactly(&claim.metadata);
    let deleted = bounded("remove the home", claims.delete(&claim_name, &params)).await;
    match deleted {
        Ok(_) => {
            ctx.metrics.wrote("delete", "PersistentVolumeClaim");
            tracing::info!(claim = claim_name, namespace, "the home was removed");
            Ok(Outcome::Done)
        }
        // Somebody changed it, or it is gone: judged anew.
        Err(error) if error.is_not_found() || error.is_conflict() => {
            ctx.trash_turns.give_back();
            Ok(Outcome::Rests)
        }
        Err(error) => {
            // Without an answer it may have been removed, and counts.
            if error.refusal().is_some() {
                ctx.trash_turns.give_back();
            }
            Err(error)
        }
    }
}

/// What needs the claim, by what the API server says now.
async fn needed(
    ctx: &Context,
    namespace: &str,
    home: (&str, &str),
) -> Result<Option<String>, Error> {
    let servers: Api<DevServer> = Api::namespaced(ctx.client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    let all = ListParams::default();
    let servers = bounded("list the DevServers", servers.list(&all)).await?;
    let pods = bounded("list the pods", pods.list(&all)).await?;
    let flavors = ctx.caches.flavors.state();
    let flavors = flavors.iter().map(AsRef::as_ref);
    Ok(needed_by(home, &servers, flavors, &pods))
}
