//! The flavor of those that name none.

use devserver_api::{DevServerFlavor, DevServerStatus};
use devserver_testkit::{crash::Stage, sample};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::waits_for_restart;

/// Marks the flavor and no other; what an earlier story left marked is not, then.
pub(super) async fn becomes(stage: &Stage, size: &str) -> anyhow::Result<String> {
    let (api, wanted) = (
        Api::<DevServerFlavor>::all(stage.scene.client()),
        stage.scene.flavor_name(size),
    );
    let mark = async |name: &str, is_default: bool| {
        let patch = Patch::Merge(json!({"spec": {"default": is_default}}));
        api.patch(name, &PatchParams::default(), &patch).await
    };
    // First this one: at no moment there is none.
    mark(&wanted, true).await?;
    for other in api.list(&ListParams::default()).await? {
        if other.spec.default && other.name_any() != wanted {
            // One that is gone by now is not marked either.
            let _ = mark(&other.name_any(), false).await;
        }
    }
    Ok(wanted)
}

pub(super) async fn changes(stage: &Stage) -> anyhow::Result<()> {
    let large = becomes(stage, "large").await?;
    let uses = |s: &DevServerStatus| s.flavor.as_ref() == Some(&large);
    stage
        .scene
        .status(sample::NAME, "uses the new default", uses)
        .await?;
    waits_for_restart(stage).await
}
