//! A drain waits for a high-memory environment that is at work, and for no other.

use anyhow::{Context as _, ensure};
use devserver_api::Phase;
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{kubelet::Fortune, sample, wait, wait::Seen, with_namespace};
use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};
use kube::{Api, Client, ResourceExt as _, api::EvictParams};
use serde_json::json;

const BUDGET: &str = "devserver-workbench";
const POD: &str = "workbench-0";
/// Makes the small flavor (1Gi) one of high memory.
const LOW: &str = "highMemoryThreshold: 512Mi";

/// The answer of the eviction API, which is what `kubectl drain` asks.
async fn eviction(rig: &Rig) -> anyhow::Result<Result<(), u16>> {
    let mut config = rig.scene.cluster().config.clone();
    // A refusal is an answer here, not something to try again.
    config.default_retry = false;
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config)?, rig.scene.namespace());
    match pods.evict(POD, &EvictParams::default()).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) => Ok(Err(status.code)),
        Err(other) => Err(other.into()),
    }
}

/// Waits until the disruption controller has counted the pod.
async fn counted(rig: &Rig, healthy: i32) -> anyhow::Result<()> {
    let counts = |b: &PodDisruptionBudget| {
        let status = b.status.as_ref();
        status.is_some_and(|s| {
            s.current_healthy.unwrap_or(0) == healthy
                && s.expected_pods == Some(1)
                && s.observed_generation == b.metadata.generation
        })
    };
    let what = format!("counts {healthy} healthy");
    rig.scene
        .object::<PodDisruptionBudget>(BUDGET, &what, counts)
        .await
        .map(drop)
}

#[tokio::test]
async fn an_eviction_is_refused_while_a_high_memory_machine_is_ready() -> anyhow::Result<()> {
    with_namespace("eviction", async |scene| {
        let rig = Rig::with_config(scene.clone(), LOW).await?;
        rig.running().await?;
        counted(&rig, 1).await?;
        let (pod, home) = rig.precious().await?;
        for _ in 0..3 {
            let answer = eviction(&rig).await?;
            ensure!(answer == Err(429), "{answer:?}");
        }
        ensure!(
            rig.precious().await? == (pod.clone(), home.clone()),
            "it was evicted"
        );
        // Not ready, it protects nobody's work.
        rig.kubelet.set(Fortune::NotReady);
        counted(&rig, 0).await?;
        let answer = eviction(&rig).await?;
        ensure!(answer == Ok(()), "{answer:?}");
        rig.kubelet.set(Fortune::Ready);
        wait::until(
            "another pod",
            devserver_testkit::scene::PATIENCE,
            async || {
                let now = rig.scene.api::<Pod>().get(POD).await?;
                Ok(Seen::when(now.uid().as_ref() != Some(&pod), "the same pod"))
            },
        )
        .await?;
        scene.status(sample::NAME, "runs again", is_running).await?;
        let (_, same_home) = rig.precious().await?;
        ensure!(same_home == home, "the home was lost");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_suspended_machine_holds_up_no_drain() -> anyhow::Result<()> {
    with_namespace("drain by suspension", async |scene| {
        let rig = Rig::with_config(scene.clone(), LOW).await?;
        rig.running().await?;
        counted(&rig, 1).await?;
        let set = |suspend: bool| json!({"spec": {"suspend": suspend}});
        scene.patch(sample::NAME, set(true)).await?;
        scene
            .status(sample::NAME, "is suspended", |s| {
                s.phase == Some(Phase::Suspended)
            })
            .await?;
        scene.gone::<PodDisruptionBudget>(BUDGET).await?;
        scene.gone::<Pod>(POD).await?;
        scene.patch(sample::NAME, set(false)).await?;
        scene.status(sample::NAME, "runs again", is_running).await?;
        counted(&rig, 1).await
    })
    .await
}

#[tokio::test]
async fn an_ordinary_machine_has_no_budget_and_is_evicted() -> anyhow::Result<()> {
    with_namespace("eviction of an ordinary one", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let budgets = rig.names::<PodDisruptionBudget>().await?;
        ensure!(budgets.is_empty(), "{budgets:?}");
        let before = scene.api::<Pod>().get(POD).await?.uid().context("no uid")?;
        let answer = eviction(&rig).await?;
        ensure!(answer == Ok(()), "{answer:?}");
        scene
            .object::<Pod>(POD, "is another", |p| p.uid().as_ref() != Some(&before))
            .await?;
        scene.status(sample::NAME, "runs again", is_running).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_budget_goes_when_the_machine_becomes_an_ordinary_one() -> anyhow::Result<()> {
    with_namespace("budget of a former", async |scene| {
        let rig = Rig::with_config(scene.clone(), "highMemoryThreshold: 1536Mi").await?;
        let mut server = rig.sample();
        server.spec.flavor = Some(rig.large.clone());
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        counted(&rig, 1).await?;
        let small = json!({"spec": {"flavor": rig.small}});
        scene.patch(sample::NAME, small).await?;
        scene.gone::<PodDisruptionBudget>(BUDGET).await
    })
    .await
}
