//! Clocks that are wrong, and many ends at once. Tests move the clock and never sleep: the operator's own by a file, the
//! API server's by the `Date` of its answers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{
    DevServer, DevServerStatus,
    condition::{EXPIRING, READY},
};
use devserver_e2e::{Rig, condition, events, has_reason, is_running, short_lived};
use devserver_testkit::{
    operator::Settings,
    proxy::request::Verb,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{ResourceExt as _, api::ListParams};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Looks come each second.
const FIVE_LOOKS: Duration = Duration::from_secs(6);

fn deletions(rig: &Rig) -> usize {
    rig.operator.trace().count(Verb::Delete, "devservers")
}

/// Nothing is deleted for several looks, and nothing written.
async fn lives(rig: &Rig) -> anyhow::Result<()> {
    wait::no_writes(rig.operator.trace(), FIVE_LOOKS).await?;
    ensure!(deletions(rig) == 0, "a deletion was tried");
    let server = rig.scene.api::<DevServer>().get(sample::NAME).await?;
    ensure!(
        server.status.as_ref().is_some_and(is_running),
        "{:?}",
        server.status
    );
    Ok(())
}

fn is_held(status: &DevServerStatus) -> bool {
    has_reason(status, EXPIRING, "ClockSkew")
}

async fn metric(rig: &Rig, name: &str) -> anyhow::Result<i64> {
    let page = rig.operator.page("/metrics").await?;
    let line = page
        .lines()
        .find(|l| l.starts_with(name))
        .context("no such metric")?;
    Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
}

#[tokio::test]
async fn an_operator_whose_clock_is_a_day_ahead_deletes_nothing() -> anyhow::Result<()> {
    with_namespace("own clock ahead", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "8h")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        rig.operator.set_clock(DAY)?;
        lives(&rig).await?;
        let ahead = metric(&rig, "devserver_operator_clock_difference_seconds").await?;
        ensure!((ahead + DAY).abs() < 60, "the metric says {ahead}");
        // The end by the API server's clock is the end.
        rig.operator.proxy().set_clock(8 * HOUR);
        scene.gone::<DevServer>(sample::NAME).await?;
        ensure!(deletions(&rig) == 1, "{} deletions", deletions(&rig));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_api_server_whose_clock_is_a_day_ahead_has_nothing_deleted_and_it_is_said()
-> anyhow::Result<()> {
    with_namespace("server clock ahead", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "8h")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        rig.operator.proxy().set_clock(DAY);
        let told = scene.status(sample::NAME, "says so", is_held).await?;
        let status = told.status.unwrap_or_default();
        let said = condition(&status, EXPIRING).context("no condition")?;
        ensure!(said.message.contains("administrator"), "{said:?}");
        lives(&rig).await?;
        rig.operator.restart().await?;
        lives(&rig).await?;
        let warned = events(&scene, sample::NAME, "ClockSkew").await?;
        ensure!(warned == 1, "{warned} events");
        rig.operator.proxy().set_clock(0);
        scene
            .status(sample::NAME, "is as before", |s| {
                is_running(s) && condition(s, EXPIRING).is_none()
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_operator_whose_clock_is_behind_waits_until_both_agree() -> anyhow::Result<()> {
    with_namespace("own clock behind", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "8h")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        rig.operator.proxy().set_clock(8 * HOUR);
        rig.operator.set_clock(-DAY)?;
        scene.status(sample::NAME, "says so", is_held).await?;
        lives(&rig).await?;
        // Each clock goes on: the later one comes to the end, too.
        rig.operator.set_clock(8 * HOUR)?;
        scene.gone::<DevServer>(sample::NAME).await?;
        ensure!(deletions(&rig) == 1, "{} deletions", deletions(&rig));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn clocks_that_jump_back_bring_nothing_back_to_an_earlier_state() -> anyhow::Result<()> {
    with_namespace("both clocks back", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "8h")).await?;
        let before = scene.status(sample::NAME, "runs", is_running).await?;
        for ahead in [-DAY, -365 * DAY, 0] {
            rig.operator.set_time(ahead)?;
            lives(&rig).await?;
        }
        let after = scene.api::<DevServer>().get(sample::NAME).await?;
        let since = |s: &DevServer| {
            let status = s.status.clone().unwrap_or_default();
            condition(&status, READY).map(|c| c.last_transition_time.clone())
        };
        ensure!(since(&after) == since(&before), "{:?}", since(&after));
        Ok(())
    })
    .await
}

const MANY: usize = 25;
/// Of each of them, at its own pace.
const THREE_LOOKS: Duration = Duration::from_secs(16);

async fn left(rig: &Rig) -> anyhow::Result<Vec<DevServer>> {
    let all = rig
        .scene
        .api::<DevServer>()
        .list(&ListParams::default())
        .await?;
    Ok(all.items)
}

async fn are_left(rig: &Rig, expected: usize) -> anyhow::Result<()> {
    wait::until(&format!("{expected} are left"), PATIENCE, async || {
        let left = left(rig).await?.len();
        ensure!(left >= expected, "{left} are left, too few");
        Ok(Seen::when(left == expected, left))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_that_end_at_once_go_ten_in_a_minute_and_the_others_are_told()
-> anyhow::Result<()> {
    with_namespace("burst", async |scene| {
        // A look at each in a second would be all that a slow machine ever does.
        let settings = Settings {
            resync: 5,
            ..Settings::alone(scene.namespace())
        };
        let rig = Rig::with_settings(scene.clone(), &settings).await?;
        let created = stream::iter(0..MANY).map(|i| {
            let mut server = short_lived(&rig, "1h");
            server.metadata.name = Some(format!("box-{i}"));
            let scene = &scene;
            async move { scene.create(&server).await.map(drop) }
        });
        created.buffer_unordered(8).try_collect::<Vec<()>>().await?;
        wait::until("all run", PATIENCE, async || {
            let running = left(&rig).await?;
            let running = running
                .iter()
                .filter(|s| s.status.as_ref().is_some_and(is_running));
            let running = running.count();
            Ok(Seen::when(running == MANY, running))
        })
        .await?;
        rig.operator.set_time(HOUR)?;
        are_left(&rig, 15).await?;
        wait::until("those that wait are told", PATIENCE, async || {
            let waiting = left(&rig).await?;
            let told = waiting.iter().filter(|s| {
                let status = s.status.clone().unwrap_or_default();
                has_reason(&status, EXPIRING, "WaitsForItsTurn")
            });
            let told = told.count();
            Ok(Seen::when(told == 15, told))
        })
        .await?;
        wait::no_writes(rig.operator.trace(), THREE_LOOKS).await?;
        ensure!(
            deletions(&rig) == 10,
            "{} deletions within a minute",
            deletions(&rig)
        );
        rig.operator.set_time(HOUR + 61)?;
        are_left(&rig, 5).await?;
        rig.operator.set_time(HOUR + 122)?;
        are_left(&rig, 0).await?;
        ensure!(deletions(&rig) == MANY, "{} deletions", deletions(&rig));
        let homes = scene
            .api::<PersistentVolumeClaim>()
            .list(&ListParams::default())
            .await?;
        let kept = homes
            .iter()
            .filter(|c| c.name_any().starts_with("home-box-"))
            .count();
        ensure!(kept == MANY, "{kept} homes are kept");
        Ok(())
    })
    .await
}
