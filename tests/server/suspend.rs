//! Suspend stops the pod and keeps the home; resume brings both together again.

use anyhow::ensure;
use devserver_api::Phase;
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use serde_json::json;

#[tokio::test]
async fn a_suspended_devserver_has_no_pod_but_its_home_and_its_keys() -> anyhow::Result<()> {
    with_namespace("suspend", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let before = rig.running().await?;
        let (pod, home) = rig.precious().await?;
        scene
            .patch(sample::NAME, json!({"spec": {"suspend": true}}))
            .await?;
        scene
            .status(sample::NAME, "is suspended", |s| {
                s.phase == Some(Phase::Suspended)
            })
            .await?;
        scene.gone::<Pod>("workbench-0").await?;
        let workload = scene.api::<StatefulSet>().get("workbench").await?;
        ensure!(
            workload.spec.and_then(|s| s.replicas) == Some(0),
            "replicas"
        );
        scene
            .patch(sample::NAME, json!({"spec": {"suspend": false}}))
            .await?;
        let after = scene.status(sample::NAME, "runs again", is_running).await?;
        let (new_pod, same_home) = rig.precious().await?;
        ensure!(new_pod != pod && same_home == home, "the home was not kept");
        let ssh = |s: &devserver_api::DevServer| s.status.clone().and_then(|s| s.ssh);
        ensure!(ssh(&after) == ssh(&before), "address or host keys changed");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_devserver_may_be_created_suspended() -> anyhow::Result<()> {
    with_namespace("created suspended", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.suspend = true;
        scene.create(&server).await?;
        scene
            .status(sample::NAME, "is suspended", |s| {
                s.phase == Some(Phase::Suspended)
            })
            .await?;
        ensure!(rig.names::<Pod>().await?.is_empty(), "a pod was made");
        scene
            .patch(sample::NAME, json!({"spec": {"suspend": false}}))
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}
