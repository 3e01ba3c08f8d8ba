//! The flavor of those who name none. Flavors are cluster-wide, so all of this is one test and one story.

use anyhow::ensure;
use devserver_api::{DevServerFlavor, condition};
use devserver_e2e::{Rig, has_reason, is_running};
use devserver_testkit::{Scene, sample, with_namespace};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

async fn set_default(scene: &Scene, flavor: &str, is_default: bool) -> anyhow::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    let patch = Patch::Merge(json!({"spec": {"default": is_default}}));
    api.patch(flavor, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn told(scene: &Scene, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    let server = scene
        .status(sample::NAME, reason, |s| {
            has_reason(s, condition::VALID, reason)
        })
        .await?;
    let message = server
        .status
        .unwrap_or_default()
        .conditions
        .into_iter()
        .find(|c| c.type_ == condition::VALID)
        .map(|c| c.message)
        .unwrap_or_default();
    for word in words {
        ensure!(message.contains(word), "{word:?} is missing in: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn who_names_no_flavor_gets_the_one_default_and_is_told_when_there_is_none_or_two()
-> anyhow::Result<()> {
    with_namespace("default flavor", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.flavor = None;
        scene.create(&server).await?;
        told(&scene, "NoDefaultFlavor", &["spec.flavor"]).await?;

        set_default(&scene, &rig.small, true).await?;
        let runs = scene
            .status(sample::NAME, "runs with the default", is_running)
            .await?;
        let used = runs.status.and_then(|s| s.flavor);
        ensure!(used.as_deref() == Some(rig.small.as_str()), "{used:?}");
        let precious = rig.precious().await?;
        let workload = scene
            .api::<StatefulSet>()
            .get("workbench")
            .await?
            .metadata
            .generation;

        set_default(&scene, &rig.large, true).await?;
        told(
            &scene,
            "AmbiguousDefaultFlavor",
            &["spec.flavor", &rig.small, &rig.large],
        )
        .await?;
        scene.status(sample::NAME, "runs on", is_running).await?;
        ensure!(
            rig.precious().await? == precious,
            "the pod or the home was lost"
        );
        let now = scene
            .api::<StatefulSet>()
            .get("workbench")
            .await?
            .metadata
            .generation;
        ensure!(now == workload, "the StatefulSet was changed");

        set_default(&scene, &rig.large, false).await?;
        told(&scene, "Valid", &[]).await?;
        set_default(&scene, &rig.small, false).await?;
        told(&scene, "NoDefaultFlavor", &[]).await?;
        scene
            .status(sample::NAME, "runs on without a default", is_running)
            .await?;
        ensure!(
            rig.precious().await? == precious,
            "the pod or the home was lost"
        );
        Ok(())
    })
    .await
}
