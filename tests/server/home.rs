//! The home volume: its class, its growth, and whose it is.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition};
use devserver_e2e::{Rig, condition, expandable_home, has_reason, is_running};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;

const HOME: &str = "home-workbench-0";

fn asks_for(claim: &PersistentVolumeClaim, size: &str) -> bool {
    let spec = claim.spec.as_ref();
    let requests = spec.and_then(|s| s.resources.as_ref()?.requests.as_ref());
    requests
        .and_then(|r| r.get("storage"))
        .is_some_and(|q| q.0 == size)
}

#[tokio::test]
async fn a_home_of_the_class_asked_for_grows_in_place() -> anyhow::Result<()> {
    with_namespace("home grows", async |scene| {
        let class = expandable_home(&scene, HOME).await?;
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.storage_class_name = Some(class.clone());
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let bound = |c: &PersistentVolumeClaim| {
            c.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound")
        };
        let claim = scene
            .object::<PersistentVolumeClaim>(HOME, "is bound", bound)
            .await?;
        let actual = claim
            .spec
            .as_ref()
            .and_then(|s| s.storage_class_name.as_deref());
        ensure!(actual == Some(class.as_str()), "{actual:?}");
        let precious = rig.precious().await?;
        scene
            .patch(sample::NAME, json!({"spec": {"persistentHomeSize": "2Gi"}}))
            .await?;
        scene
            .object::<PersistentVolumeClaim>(HOME, "asks for more", |c| asks_for(c, "2Gi"))
            .await?;
        let server = scene.status(sample::NAME, "runs on", is_running).await?;
        ensure!(
            rig.precious().await? == precious,
            "the pod or the home was lost"
        );
        let status = server.status.context("no status")?;
        ensure!(
            has_reason(&status, condition::READY, "Running"),
            "{status:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c4_a_kept_home_is_not_given_to_another_owner() -> anyhow::Result<()> {
    with_namespace("home of another", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let (_, home) = rig.precious().await?;
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::default())
            .await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        scene.gone::<Pod>("workbench-0").await?;
        let mut thief = rig.sample();
        thief.spec.owner = Some("mallory@example.com".to_owned());
        scene.create(&thief).await?;
        let told = scene
            .status(sample::NAME, "is refused", |s| {
                has_reason(s, condition::VALID, "HomeOfAnotherOwner")
            })
            .await?;
        let status = told.status.unwrap_or_default();
        let valid = condition(&status, condition::VALID).context("no condition")?;
        ensure!(valid.message.contains(HOME), "{}", valid.message);
        ensure!(
            scene.api::<Pod>().get_opt("workbench-0").await?.is_none(),
            "a pod was made"
        );
        let kept = scene.api::<PersistentVolumeClaim>().get(HOME).await?;
        ensure!(kept.uid().as_ref() == Some(&home), "the home was replaced");
        Ok(())
    })
    .await
}
