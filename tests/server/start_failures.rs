//! What keeps a DevServer from starting is said: which thing, why, and what to do.

use anyhow::ensure;
use devserver_api::{DevServerStatus, Phase, condition};
use devserver_e2e::{Rig, SHARED, claim, has_reason, is_running};
use devserver_testkit::{Scene, kubelet::Fortune, sample, wait, wait::Seen, with_namespace};
use k8s_openapi::api::{core::v1::ResourceQuota, events::v1::Event};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

async fn says(scene: &Scene, phase: Phase, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    let holds =
        |s: &DevServerStatus| s.phase == Some(phase) && has_reason(s, condition::READY, reason);
    let told = scene.status(sample::NAME, reason, holds).await?;
    let message = told.status.and_then(|s| s.message).unwrap_or_default();
    for word in words {
        ensure!(message.contains(word), "{word:?} is missing in: {message}");
    }
    has_event(scene, reason).await
}

/// The same in an event, which is where `kubectl describe` shows it.
async fn has_event(scene: &Scene, reason: &str) -> anyhow::Result<()> {
    wait::until(
        &format!("an event {reason}"),
        devserver_testkit::scene::PATIENCE,
        async || {
            let events = scene.api::<Event>().list(&ListParams::default()).await?;
            let ours = events.iter().any(|event| {
                event.reason.as_deref() == Some(reason)
                    && event.reporting_controller.as_deref() == Some("devserver-operator")
                    && event.regarding.as_ref().and_then(|r| r.name.as_deref())
                        == Some(sample::NAME)
            });
            let reasons: Vec<_> = events.iter().filter_map(|e| e.reason.clone()).collect();
            Ok(Seen::when(ours, reasons.join(", ")))
        },
    )
    .await
}

async fn recovers(rig: &Rig) -> anyhow::Result<()> {
    rig.kubelet.set(Fortune::Ready);
    rig.scene
        .status(sample::NAME, "runs once the cause is gone", is_running)
        .await
        .map(drop)
}

/// A quota of the namespace that the API server enforces by now.
async fn quota(scene: &Scene, hard: Value) -> anyhow::Result<()> {
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "tight"}, "spec": {"hard": hard},
    }))?;
    scene
        .api::<ResourceQuota>()
        .create(&PostParams::default(), &quota)
        .await?;
    // The quota controller has to have counted once before the API server enforces it.
    scene
        .object::<ResourceQuota>("tight", "is enforced", |q| {
            q.status.as_ref().is_some_and(|s| s.hard.is_some())
        })
        .await
        .map(drop)
}

/// Raises the quota, and demands that this is enough.
async fn runs_with_quota(rig: &Rig, hard: Value) -> anyhow::Result<()> {
    rig.meddle::<ResourceQuota>("tight", json!({"spec": {"hard": hard}}))
        .await?;
    rig.scene
        .status(sample::NAME, "runs once there is quota", is_running)
        .await
        .map(drop)
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() -> anyhow::Result<()> {
    with_namespace("image pull", async |scene| {
        let why = Fortune::ImagePullFails("manifest unknown".to_owned());
        let rig = Rig::with_fortune(scene.clone(), why).await?;
        scene.create(&rig.sample()).await?;
        says(
            &scene,
            Phase::Failed,
            "ImagePullFailed",
            &[sample::IMAGE, "manifest unknown", "spec.image"],
        )
        .await?;
        recovers(&rig).await
    })
    .await
}

#[tokio::test]
async fn that_no_node_fits_is_said_with_the_schedulers_reason() -> anyhow::Result<()> {
    with_namespace("unschedulable", async |scene| {
        let why = "0/3 nodes are available: 3 Insufficient memory.";
        let rig = Rig::with_fortune(scene.clone(), Fortune::Unschedulable(why.to_owned())).await?;
        scene.create(&rig.sample()).await?;
        says(
            &scene,
            Phase::Pending,
            "Unschedulable",
            &["no node fits", why, "flavor"],
        )
        .await?;
        recovers(&rig).await
    })
    .await
}

#[tokio::test]
async fn a_crash_loop_is_said_with_exit_code_and_last_words() -> anyhow::Result<()> {
    with_namespace("crash loop", async |scene| {
        let fortune = Fortune::CrashLoop(3, "startup.sh: /etc/passwd is read-only".to_owned());
        let rig = Rig::with_fortune(scene.clone(), fortune).await?;
        scene.create(&rig.sample()).await?;
        says(
            &scene,
            Phase::Failed,
            "CrashLoop",
            &["exit code 3", "/etc/passwd is read-only"],
        )
        .await?;
        recovers(&rig).await
    })
    .await
}

#[tokio::test]
async fn a_shared_claim_that_is_not_there_is_named_and_waited_for() -> anyhow::Result<()> {
    with_namespace("shared claim", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.shared_volume_claim_name = Some("datasets".to_owned());
        scene.create(&server).await?;
        says(
            &scene,
            Phase::Pending,
            "ClaimNotFound",
            &["spec.sharedVolumeClaimName", "datasets"],
        )
        .await?;
        claim(&scene, "datasets", SHARED).await?;
        scene
            .status(sample::NAME, "runs once the claim is there", is_running)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_used_up_quota_is_said_and_more_of_it_heals() -> anyhow::Result<()> {
    with_namespace("quota", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        quota(&scene, json!({"requests.memory": "256Mi"})).await?;
        scene.create(&rig.sample()).await?;
        says(
            &scene,
            Phase::Pending,
            "QuotaExceeded",
            &["quota", "requests.memory"],
        )
        .await?;
        runs_with_quota(&rig, json!({"requests.memory": "8Gi"})).await
    })
    .await
}

#[tokio::test]
async fn a_quota_on_the_objects_themselves_is_said_too() -> anyhow::Result<()> {
    with_namespace("object quota", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        quota(&scene, json!({"count/statefulsets.apps": "0"})).await?;
        scene.create(&rig.sample()).await?;
        says(
            &scene,
            Phase::Pending,
            "QuotaExceeded",
            &["StatefulSet", "exceeded quota"],
        )
        .await?;
        runs_with_quota(&rig, json!({"count/statefulsets.apps": "5"})).await
    })
    .await
}
