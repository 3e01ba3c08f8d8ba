//! Who stopped an environment is told, and is told no more when it runs.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, group, suspension::SuspendedBy};
use devserver_e2e::Rig;
use devserver_testkit::{Scene, devctl, sample, users, with_namespace};
use kube::ResourceExt as _;

async fn told(scene: &Scene) -> anyhow::Result<(bool, SuspendedBy)> {
    let server = scene.api::<DevServer>().get(sample::NAME).await?;
    let by = SuspendedBy::read(server.annotations());
    Ok((server.spec.suspend, by))
}

#[tokio::test]
async fn devctl_suspend_tells_who_and_resume_takes_it_back() -> anyhow::Result<()> {
    with_namespace("suspended by", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        rig.running().await?;
        // As the idle policy would have left it, were it older.
        let idle = serde_json::json!({
            "metadata": {"annotations": {group::ANNOTATION_SUSPENDED_BY: "idle"}},
        });
        scene.patch(sample::NAME, idle).await?;
        let output = devctl::run(&scene, &alice, &["suspend", sample::NAME]).await?;
        ensure!(output.status.success(), "{output:?}");
        let SuspendedBy::User(name) = told(&scene).await?.1 else {
            anyhow::bail!("{:?}", told(&scene).await?);
        };
        ensure!(name.ends_with(":alice"), "{name}");
        let output = devctl::run(&scene, &alice, &["why", sample::NAME]).await?;
        let text = String::from_utf8(output.stdout).context("no text")?;
        ensure!(text.contains(&format!("on request of {name}")), "{text}");
        let output = devctl::run(&scene, &alice, &["resume", sample::NAME]).await?;
        ensure!(output.status.success(), "{output:?}");
        let (suspended, by) = told(&scene).await?;
        ensure!(!suspended && by == SuspendedBy::Somebody, "{by:?}");
        Ok(())
    })
    .await
}
