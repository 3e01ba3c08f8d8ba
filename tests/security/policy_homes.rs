//! A home is not deleted under its DevServer.

use devserver_api::{DevServer, group};
use devserver_testkit::{
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::guard::{Guarded, is_refused};

fn claim(name: &str, server: Option<&str>) -> anyhow::Result<PersistentVolumeClaim> {
    let labels = server.map(|server| json!({group::LABEL_NAME: server}));
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }))?)
}

/// The API server reads DevServers as the policy's parameters, a moment after they are there or gone.
async fn until_deletable(
    claims: &Api<PersistentVolumeClaim>,
    name: &str,
    wanted: bool,
) -> anyhow::Result<()> {
    let dry = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    wait::until(
        &format!("{name} can be deleted: {wanted}"),
        PATIENCE,
        async || {
            let answer = claims.delete(name, &dry).await;
            Ok(Seen::when(
                answer.is_ok() == wanted,
                format!("{:?}", answer.err()),
            ))
        },
    )
    .await
}

#[tokio::test]
async fn a_home_is_deleted_only_when_its_devserver_is_gone() -> anyhow::Result<()> {
    with_namespace("policy homes", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let admin = scene.api::<PersistentVolumeClaim>();
        let params = PostParams::default();
        // As the StatefulSet controller makes them, here by hand: the home of a DevServer, the one of another that is gone.
        for object in [
            claim("home-workbench-0", Some("workbench"))?,
            claim("home-gone-0", Some("gone"))?,
            claim("home-made-0", None)?,
        ] {
            admin.create(&params, &object).await?;
        }
        guarded
            .api::<DevServer>()
            .create(&params, &guarded.devserver())
            .await?;
        let claims = guarded.api::<PersistentVolumeClaim>();
        until_deletable(&claims, "home-workbench-0", false).await?;
        let deleted = claims
            .delete("home-workbench-0", &DeleteParams::default())
            .await;
        let words = ["home-workbench-0", "volumeRetention"];
        is_refused(deleted, "homes", &words)?;
        for name in ["home-gone-0", "home-made-0"] {
            claims.delete(name, &DeleteParams::default()).await?;
        }
        let all = claims
            .delete_collection(&DeleteParams::default(), &kube::api::ListParams::default())
            .await;
        is_refused(all, "homes", &words)?;
        guarded
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::default())
            .await?;
        until_deletable(&claims, "home-workbench-0", true).await?;
        claims
            .delete("home-workbench-0", &DeleteParams::default())
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_administrator_deletes_a_home_whatever_is_there() -> anyhow::Result<()> {
    with_namespace("policy homes admin", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let admin = scene.api::<PersistentVolumeClaim>();
        admin
            .create(
                &PostParams::default(),
                &claim("home-workbench-0", Some("workbench"))?,
            )
            .await?;
        scene.create(&guarded.devserver()).await?;
        let claims = guarded.api::<PersistentVolumeClaim>();
        until_deletable(&claims, "home-workbench-0", false).await?;
        admin
            .delete("home-workbench-0", &DeleteParams::default())
            .await?;
        Ok(())
    })
    .await
}
