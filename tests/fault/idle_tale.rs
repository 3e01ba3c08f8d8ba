//! The story of an environment that nobody uses, for the crash tests.

use anyhow::ensure;
use devserver_api::{DevServerFlavor, DevServerStatus, IdleStage, IdleState, Phase};
use devserver_testkit::{crash::Stage, sample};
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

const POD: &str = "workbench-0";
/// The ladder of document 003, but for a second between warning and stop.
pub(super) const CONFIG: &str = "
activity: {}
idle:
  intervalSeconds: 1
  stages: {alert: 30m, notify: 2h, downscale: 8h, warn: 23h59m59s, terminate: 24h}
";

/// The agent was asked, and somebody has just typed.
pub(super) async fn is_in_use(stage: &Stage) -> anyhow::Result<()> {
    let used = |s: &DevServerStatus| {
        s.idle
            .as_ref()
            .is_some_and(|i| i.state == IdleState::Active)
    };
    let status = stage.scene.status(sample::NAME, "is in use", used);
    status.await.map(drop)
}

/// The small flavor is one that shrinks.
pub(super) async fn shrinks(stage: &Stage) -> anyhow::Result<()> {
    let patch =
        Patch::Merge(json!({"spec": {"minimumResources": {"cpu": "100m", "memory": "64Mi"}}}));
    let flavors = Api::<DevServerFlavor>::all(stage.scene.client());
    let name = stage.scene.flavor_name("small");
    flavors
        .patch(&name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Each step waits for the one before, so that none is left out by one that comes at the same time.
pub(super) async fn is_left_alone(stage: &Stage) -> anyhow::Result<()> {
    let reached = |wanted: IdleStage| {
        move |s: &DevServerStatus| s.idle.as_ref().and_then(|i| i.stage) >= Some(wanted)
    };
    for (minutes, wanted) in [
        (31, IdleStage::Alert),
        (2 * 60 + 1, IdleStage::Notify),
        (8 * 60 + 1, IdleStage::Downscale),
    ] {
        stage.agent.pass(&stage.operator, minutes * 60)?;
        let what = format!("{wanted:?} came");
        stage
            .scene
            .status(sample::NAME, &what, reached(wanted))
            .await?;
    }
    // The time between the warning and the stop is a second, and begins with the warning.
    stage.agent.pass(&stage.operator, 24 * 3600 + 60)?;
    stage.scene.gone::<Pod>(POD).await?;
    let stopped = |s: &DevServerStatus| {
        s.phase == Some(Phase::Suspended)
            && s.idle
                .as_ref()
                .is_some_and(|i| i.state == IdleState::Stopped)
    };
    let told = stage
        .scene
        .status(sample::NAME, "is stopped", stopped)
        .await?;
    ensure!(told.spec.suspend, "it is not suspended");
    for reason in [
        "DevEnvIdle",
        "IdleNotice",
        "IdleDownscale",
        "IdleWarning",
        "IdleStopped",
    ] {
        let events = stage
            .scene
            .api::<Event>()
            .list(&ListParams::default())
            .await?;
        let names: Vec<String> = events
            .iter()
            .filter(|e| e.reason.as_deref() == Some(reason))
            .map(ResourceExt::name_any)
            .collect();
        // One, however often it was tried.
        ensure!(names.len() == 1, "{reason}: {names:?}");
    }
    Ok(())
}
