//! Killed before and after every single write of create, update and expiry, the operator ends where it would have ended.

use anyhow::ensure;
use devserver_api::DevServerStatus;
use devserver_e2e::is_running;
use devserver_testkit::{
    cluster::root,
    crash::{CASE, Ending, Stage, Story, everywhere, is_wanted, undisturbed},
    kubelet::Fortune,
    sample,
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use serde_json::{Value, json};

/// Rewrites the golden file when set.
const UPDATE: &str = "UPDATE_GOLDEN";
const NEW_IMAGE: &str = "docker.io/library/debian:13";

#[derive(Clone, Copy)]
pub(super) enum Tale {
    Create,
    Update,
    Expire,
}

impl Story for Tale {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Expire => "expire",
        }
    }

    async fn prepare(self, stage: &Stage) -> anyhow::Result<()> {
        if matches!(self, Self::Create) {
            return Ok(());
        }
        stage.kubelet.set(Fortune::Ready);
        create(stage).await?;
        stage
            .scene
            .status(sample::NAME, "runs", is_running)
            .await
            .map(drop)
    }

    async fn act(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Self::Create => {
                create(stage).await?;
                let begun = |s: &DevServerStatus| s.phase.is_some();
                stage.scene.status(sample::NAME, "has begun", begun).await?;
                // Held until now, so that the number of status writes does not depend on who is faster.
                stage
                    .scene
                    .object::<Pod>("workbench-0", "is made", |_| true)
                    .await?;
                stage.kubelet.set(Fortune::Ready);
                stage
                    .scene
                    .status(sample::NAME, "runs", is_running)
                    .await
                    .map(drop)
            }
            Self::Update => {
                let change = json!({"spec": {
                    "image": NEW_IMAGE,
                    "flavor": stage.scene.flavor_name("large"),
                    "ssh": {"publicKey": sample::OTHER_KEY},
                }});
                stage.scene.patch(sample::NAME, change).await?;
                let key = format!("{}\n", sample::OTHER_KEY).into_bytes();
                stage
                    .scene
                    .object::<Secret>("workbench-authorized-keys", "has the new key", |s| {
                        s.data
                            .as_ref()
                            .and_then(|d| d.get("authorized_keys"))
                            .is_some_and(|l| l.0 == key)
                    })
                    .await?;
                let pending =
                    |s: &DevServerStatus| devserver_e2e::condition(s, "RestartPending").is_some();
                stage
                    .scene
                    .status(sample::NAME, "a restart is pending", pending)
                    .await
                    .map(drop)
            }
            Self::Expire => {
                // Counted from its creation: over already.
                let change = json!({"spec": {"lifecycle": {"timeToLive": "1s"}}});
                stage.scene.patch(sample::NAME, change).await?;
                stage
                    .scene
                    .gone::<devserver_api::DevServer>(sample::NAME)
                    .await?;
                stage.scene.gone::<Pod>("workbench-0").await
            }
        }
    }
}

async fn create(stage: &Stage) -> anyhow::Result<()> {
    let server = sample::devserver(sample::NAME, &stage.scene.flavor_name("small"));
    stage.scene.create(&server).await.map(drop)
}

async fn survives(tale: Tale) -> anyhow::Result<()> {
    if !is_wanted(tale) {
        return Ok(());
    }
    let ending = Box::pin(undisturbed(tale)).await?;
    if std::env::var_os(CASE).is_none() {
        as_committed(tale.name(), &ending)?;
    }
    let survived = Box::pin(everywhere(tale, &ending)).await?;
    println!(
        "{}: {} writes, {survived} crashes survived",
        tale.name(),
        ending.writes.len()
    );
    Ok(())
}

/// A change that adds a write shows in review.
fn as_committed(name: &str, ending: &Ending) -> anyhow::Result<()> {
    let path = root().join(format!("tests/golden/writes-{name}.json"));
    let actual = json!({"count": ending.writes.len(), "writes": ending.writes});
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(
            &path,
            format!("{}\n", serde_json::to_string_pretty(&actual)?),
        )?;
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    ensure!(
        committed == actual,
        "{name} writes {actual}, committed are {committed}; run with {UPDATE}=1 when that is meant"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_creation_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Create).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_an_update_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Update).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_an_expiry_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Expire).await
}

#[test]
fn a_creation_takes_at_most_nine_writes() -> anyhow::Result<()> {
    let path = root().join("tests/golden/writes-create.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let count = committed
        .get("count")
        .and_then(Value::as_u64)
        .unwrap_or(u64::MAX);
    ensure!(count <= 9, "{count} writes");
    Ok(())
}
