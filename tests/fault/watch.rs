//! Watches that end, and what changed meanwhile.

use std::time::Duration;

use devserver_e2e::{Rig, is_running};
use devserver_testkit::diff::differences;
use devserver_testkit::{
    canonical, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::Service;
use kube::api::DeleteParams;

#[tokio::test]
async fn cut_watches_come_back_and_miss_nothing() -> anyhow::Result<()> {
    with_namespace("cut watches", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        wait::quiet(rig.operator.trace(), Duration::from_secs(1), PATIENCE).await?;
        let before = canonical::state(&scene.client(), scene.namespace()).await?;
        rig.operator.proxy().cut_watches();
        scene
            .api::<Service>()
            .delete("workbench-ssh", &DeleteParams::default())
            .await?;
        wait::until("the Service is back", PATIENCE, async || {
            let differ = differences(
                &before,
                &canonical::state(&scene.client(), scene.namespace()).await?,
            );
            Ok(Seen::when(differ.is_empty(), differ.join("\n")))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn what_is_created_while_the_operator_is_stopped_runs_when_it_goes_on() -> anyhow::Result<()>
{
    with_namespace("stopped operator", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.operator
            .signal(nix::sys::signal::Signal::SIGSTOP)
            .await?;
        scene.create(&rig.sample()).await?;
        rig.operator
            .signal(nix::sys::signal::Signal::SIGCONT)
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}
