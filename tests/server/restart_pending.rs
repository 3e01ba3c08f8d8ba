//! A change that needs a restart says so and waits, unless its owner wants it at once.

use anyhow::{Context as _, ensure};
use devserver_api::condition::{self, RESTART_PENDING};
use devserver_e2e::{Rig, automatic, condition, is_running};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;

const NEW_IMAGE: &str = "docker.io/library/debian:13";

fn has_new_image(pod: &Pod) -> bool {
    let image = pod
        .spec
        .as_ref()
        .and_then(|s| s.containers.first()?.image.as_deref());
    image == Some(NEW_IMAGE)
}

#[tokio::test]
async fn a_new_image_waits_for_a_restart_and_says_so() -> anyhow::Result<()> {
    with_namespace("restart pending", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let precious = rig.precious().await?;
        let change = json!({"spec": {"image": NEW_IMAGE, "flavor": rig.large}});
        scene.patch(sample::NAME, change).await?;
        let pending = scene
            .status(sample::NAME, "a restart is pending", |s| {
                condition(s, RESTART_PENDING).is_some()
            })
            .await?;
        let status = pending.status.context("no status")?;
        let told = condition(&status, RESTART_PENDING).context("no condition")?;
        ensure!(
            told.status == "True" && told.message.contains(NEW_IMAGE),
            "{told:?}"
        );
        ensure!(
            told.message.contains("memory"),
            "the new size is not named: {told:?}"
        );
        ensure!(is_running(&status), "{status:?}");
        ensure!(rig.precious().await? == precious, "it was restarted");
        scene
            .api::<Pod>()
            .delete("workbench-0", &DeleteParams::default())
            .await?;
        scene
            .object::<Pod>("workbench-0", "has the new image", has_new_image)
            .await?;
        scene
            .status(sample::NAME, "nothing is pending", |s| {
                is_running(s) && condition(s, RESTART_PENDING).is_none()
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_restart_policy_automatic_it_restarts_at_once_and_keeps_its_home() -> anyhow::Result<()>
{
    with_namespace("automatic restart", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&automatic(&rig)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let (_, home) = rig.precious().await?;
        scene
            .patch(sample::NAME, json!({"spec": {"image": NEW_IMAGE}}))
            .await?;
        scene
            .object::<Pod>("workbench-0", "has the new image", has_new_image)
            .await?;
        let after = scene
            .status(sample::NAME, "runs", |s| {
                is_running(s) && condition(s, RESTART_PENDING).is_none()
            })
            .await?;
        ensure!(rig.precious().await?.1 == home, "the home was lost");
        let status = after.status.unwrap_or_default();
        ensure!(
            condition(&status, condition::READY).is_some_and(|c| c.status == "True"),
            "{status:?}"
        );
        Ok(())
    })
    .await
}
