//! Attack E3: to live longer than the platform allows.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, DevServerStatus, condition::VALID};
use devserver_e2e::{Rig, has_reason, is_running, short_lived};
use devserver_testkit::{sample, users, with_namespace};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

const HOUR: i64 = 3600;
const BOUND: &str = "maxTimeToLive: 8h";

/// Seconds from the creation to the end that the status tells.
fn life(server: &DevServer) -> anyhow::Result<i64> {
    let status = server.status.as_ref().context("no status")?;
    let ends = status.expiration_time.as_ref().context("no end")?.0;
    let born = server.creation_timestamp().context("no creation")?.0;
    Ok(ends.duration_since(born).as_secs())
}

#[tokio::test]
async fn e3_extensions_for_ever_do_not_outlive_the_bound() -> anyhow::Result<()> {
    with_namespace("e3 extended", async |scene| {
        let rig = Rig::attentive(scene.clone(), BOUND).await?;
        let mallory = users::user(&scene, "mallory", users::developer()).await?;
        let api: Api<DevServer> = Api::namespaced(mallory.client, scene.namespace());
        api.create(&PostParams::default(), &short_lived(&rig, "1h"))
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        for ttl in ["4h", "8h", "9h", "80000h"] {
            let patch = json!({"spec": {"lifecycle": {"timeToLive": ttl}}});
            api.patch(sample::NAME, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
            let seen = scene.status(sample::NAME, ttl, |_| true).await?;
            ensure!(life(&seen)? <= 8 * HOUR, "{ttl}: {}", life(&seen)?);
        }
        let refused = |s: &DevServerStatus| has_reason(s, VALID, "InvalidTimeToLive");
        let seen = scene.status(sample::NAME, "is refused", refused).await?;
        ensure!(life(&seen)? == 8 * HOUR, "{}", life(&seen)?);
        // The field taken away, and the spec made invalid in another way: the bound counts all the same.
        for patch in [
            json!({"spec": {"lifecycle": null}}),
            json!({"spec": {"flavor": "no-such", "lifecycle": {"timeToLive": "80000h"}}}),
        ] {
            api.patch(sample::NAME, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
            let seen = scene.status(sample::NAME, "is looked at", |_| true).await?;
            ensure!(life(&seen)? == 8 * HOUR, "{patch}: {}", life(&seen)?);
        }
        rig.operator.set_time(8 * HOUR)?;
        scene.gone::<DevServer>(sample::NAME).await
    })
    .await
}

#[tokio::test]
async fn e3_without_a_time_to_live_the_bound_is_the_end() -> anyhow::Result<()> {
    with_namespace("e3 absent", async |scene| {
        let rig = Rig::attentive(scene.clone(), BOUND).await?;
        let seen = rig.running().await?;
        ensure!(life(&seen)? == 8 * HOUR, "{}", life(&seen)?);
        // To suspend and to resume is no new life.
        for suspend in [true, false] {
            let patch = json!({"spec": {"suspend": suspend}});
            scene.patch(sample::NAME, patch).await?;
            let seen = scene.status(sample::NAME, "is looked at", |_| true).await?;
            ensure!(life(&seen)? == 8 * HOUR, "{}", life(&seen)?);
        }
        rig.operator.set_time(8 * HOUR)?;
        scene.gone::<DevServer>(sample::NAME).await
    })
    .await
}

#[tokio::test]
async fn e3_a_status_written_by_its_user_changes_no_end() -> anyhow::Result<()> {
    with_namespace("e3 status", async |scene| {
        let rig = Rig::attentive(scene.clone(), BOUND).await?;
        rig.running().await?;
        let forged = json!({"status": {"expirationTime": "2999-01-01T00:00:00Z", "expirationWarningSeconds": 1}});
        let mallory = users::user(&scene, "mallory", users::developer()).await?;
        let api: Api<DevServer> = Api::namespaced(mallory.client, scene.namespace());
        let refused = api.patch_status(sample::NAME, &PatchParams::default(), &Patch::Merge(&forged)).await;
        ensure!(refused.is_err(), "an ordinary user wrote a status");
        // Even an administrator's slip has no effect: the end is counted from the creation at each look.
        scene
            .api::<DevServer>()
            .patch_status(sample::NAME, &PatchParams::default(), &Patch::Merge(&forged))
            .await?;
        rig.operator.set_time(8 * HOUR)?;
        scene.gone::<DevServer>(sample::NAME).await
    })
    .await
}
