//! Deletion: garbage collection takes what is owned; the home stays unless its owner said otherwise.

use anyhow::ensure;
use devserver_api::{DevServer, LifecycleSpec, VolumeRetention};
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{
    canonical, proxy::request::Verb, sample, scene::PATIENCE, wait, wait::Seen, with_namespace,
};
use kube::api::DeleteParams;

async fn leaves(retention: Option<VolumeRetention>, expected: &[&str]) -> anyhow::Result<()> {
    with_namespace(&format!("delete {retention:?}"), async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.lifecycle = retention.map(|volume_retention| LifecycleSpec {
            volume_retention: Some(volume_retention),
            ..LifecycleSpec::default()
        });
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::default())
            .await?;
        wait::until("only what was promised is left", PATIENCE, async || {
            let state = canonical::state(&scene.client(), scene.namespace()).await?;
            let left: Vec<&str> = state
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().map(String::as_str))
                .collect();
            Ok(Seen::when(left == expected, format!("{left:?}")))
        })
        .await?;
        let deletes: usize = [
            "services",
            "secrets",
            "statefulsets",
            "persistentvolumeclaims",
            "pods",
        ]
        .iter()
        .map(|plural| rig.operator.trace().count(Verb::Delete, plural))
        .sum();
        ensure!(
            deletes == 0,
            "the operator deleted {deletes} objects that garbage collection takes"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_devserver_leaves_its_home_and_nothing_else() -> anyhow::Result<()> {
    leaves(None, &["PersistentVolumeClaim/home-workbench-0"]).await?;
    leaves(
        Some(VolumeRetention::Retain),
        &["PersistentVolumeClaim/home-workbench-0"],
    )
    .await
}

#[tokio::test]
async fn with_volume_retention_delete_the_home_goes_too() -> anyhow::Result<()> {
    leaves(Some(VolumeRetention::Delete), &[]).await
}
