//! The story of a home that outlives its DevServer and is removed in the end, for the crash tests.

use anyhow::ensure;
use devserver_api::{DevServer, trash};
use devserver_e2e::{events, is_running};
use devserver_testkit::{
    crash::{Stage, Story, everywhere, is_wanted, undisturbed},
    kubelet::Fortune,
    operator::Settings,
    sample,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::DeleteParams;

use super::crash::as_committed;

const HOME: &str = "home-workbench-0";
const DAY: i64 = 86_400;

/// Deleted, its home marked, its removal announced, its home removed.
#[derive(Clone, Copy)]
struct Trash;

impl Story for Trash {
    fn name(self) -> &'static str {
        "trash"
    }

    fn loses_home(self) -> bool {
        true
    }

    fn settings(self, namespace: &str) -> Settings {
        Settings {
            config: Some("trash: {retention: 720h}".to_owned()),
            ..Settings::alone(namespace)
        }
    }

    async fn prepare(self, stage: &Stage) -> anyhow::Result<()> {
        stage.kubelet.set(Fortune::Ready);
        let server = sample::devserver(sample::NAME, &stage.scene.flavor_name("small"));
        stage.scene.create(&server).await?;
        stage.scene.status(sample::NAME, "runs", is_running).await?;
        home(stage, "remembers what it is of", |claim| {
            trash::record(claim).is_some()
        })
        .await
    }

    async fn act(self, stage: &Stage) -> anyhow::Result<()> {
        let scene = &stage.scene;
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::background())
            .await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        scene.gone::<Pod>("workbench-0").await?;
        home(stage, "says when it ended", |claim| {
            trash::marks(claim).ended.is_some()
        })
        .await?;
        stage.operator.set_time(29 * DAY + 3600)?;
        home(stage, "is about to be removed", |claim| {
            trash::marks(claim).warned.is_some()
        })
        .await?;
        stage.operator.set_time(31 * DAY)?;
        scene.gone::<PersistentVolumeClaim>(HOME).await?;
        for reason in ["HomeRemovalSoon", "HomeRemoved"] {
            // One, however often it was tried.
            let told = events(scene, HOME, reason).await?;
            ensure!(told == 1, "{reason}: {told}");
        }
        Ok(())
    }
}

async fn home(
    stage: &Stage,
    what: &str,
    holds: impl Fn(&PersistentVolumeClaim) -> bool,
) -> anyhow::Result<()> {
    stage.scene.object(HOME, what, holds).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_the_trash_it_ends_the_same() -> anyhow::Result<()> {
    if !is_wanted(Trash) {
        return Ok(());
    }
    let ending = Box::pin(undisturbed(Trash)).await?;
    if std::env::var_os(devserver_testkit::crash::CASE).is_none() {
        as_committed("trash", &ending)?;
    }
    let survived = Box::pin(everywhere(Trash, &ending)).await?;
    println!(
        "trash: {} writes, {survived} crashes survived",
        ending.writes.len()
    );
    Ok(())
}
