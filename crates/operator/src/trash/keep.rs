//! Writes down what is needed to make a DevServer again, while it lives.

use devserver_api::DevServer;
use devserver_core::{Environment, Invalid, References, trash};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::Value;

use crate::{
    context::Context,
    error::{Error, bounded},
};

/// The record on the claim of its home, where the platform has a trash. An invalid spec is none to make again: the one before stays.
pub async fn keep(
    ctx: &Context,
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    references: &References,
) -> Result<(), Error> {
    let (Some(_), Ok(env), Some(claim)) = (&ctx.platform.trash, outcome, &references.home_claim)
    else {
        return Ok(());
    };
    match trash::living(server, env, claim) {
        Some(patch) => write(ctx, claim, &patch).await,
        None => Ok(()),
    }
}

/// Changes exactly the claim that was read. One that somebody has changed since is seen again, and judged anew.
pub(super) async fn write(
    ctx: &Context,
    claim: &PersistentVolumeClaim,
    patch: &Value,
) -> Result<(), Error> {
    ctx.may_write()?;
    let params = PatchParams {
        field_manager: Some(devserver_api::group::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let namespace = claim.namespace().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.clone(), &namespace);
    let (name, patch) = (claim.name_any(), Patch::Merge(patch));
    match bounded("mark the home", claims.patch(&name, &params, &patch)).await {
        Ok(_) => {
            ctx.metrics.wrote("patch", "PersistentVolumeClaim");
            Ok(())
        }
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        // A record is a courtesy: where none may be written the environment works all the same.
        Err(error) if error.refusal().is_some() => {
            tracing::warn!(claim = name, namespace, error = %error, "failed to mark the home");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
