//! The end of its time: deleted exactly once, never early, also across a restart of the operator.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, LifecycleSpec};
use devserver_e2e::Rig;
use devserver_testkit::{
    proxy::{request::Verb, trace::Record},
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

/// Seconds to live: enough for a slow machine to have told of the end before it comes.
const TTL: i64 = 10;
/// Longer than that.
const BEYOND: Duration = Duration::from_secs(12);

fn short_lived(rig: &Rig) -> DevServer {
    let mut server = rig.sample();
    let time_to_live = Some(format!("{TTL}s"));
    server.spec.lifecycle = Some(LifecycleSpec {
        time_to_live,
        ..LifecycleSpec::default()
    });
    server
}

fn deletions(rig: &Rig) -> Vec<Record> {
    let records = rig.operator.trace().records().into_iter();
    records
        .filter(|r| r.asked.plural == "devservers" && r.asked.verb == Verb::Delete)
        .collect()
}

/// Waits until it is gone; fails when that is before its time.
async fn lives_its_time(rig: &Rig, server: &DevServer) -> anyhow::Result<()> {
    let born = server.creation_timestamp().context("no creation time")?.0;
    let api = rig.scene.api::<DevServer>();
    wait::until("it expires", PATIENCE, async || {
        // Read before the look: what is gone now was there until then at most.
        let now = Timestamp::now();
        if api.get_opt(sample::NAME).await?.is_some() {
            return Ok(Seen::NotYet("it is still there".to_owned()));
        }
        let lived = now.duration_since(born).as_millis();
        ensure!(
            lived >= i128::from(TTL) * 1000 - 300,
            "it lived only {lived} ms"
        );
        Ok(Seen::Yes(()))
    })
    .await
}

#[tokio::test]
async fn an_expired_devserver_is_deleted_once_and_not_before_its_time() -> anyhow::Result<()> {
    with_namespace("expires once", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let server = scene.create(&short_lived(&rig)).await?;
        let told = scene
            .status(sample::NAME, "says when", |s| s.expiration_time.is_some())
            .await?;
        let ends = told
            .status
            .and_then(|s| s.expiration_time)
            .context("no time")?
            .0;
        let born = server.creation_timestamp().context("no creation time")?.0;
        ensure!(ends.duration_since(born).as_secs() == TTL, "{born} {ends}");
        lives_its_time(&rig, &server).await?;
        wait::quiet(rig.operator.trace(), Duration::from_secs(1), PATIENCE).await?;
        let deletions = deletions(&rig);
        let [once] = deletions.as_slice() else {
            anyhow::bail!("{} deletions", deletions.len())
        };
        ensure!(once.uid_precondition == server.uid(), "{once:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_expires_while_no_operator_runs_is_deleted_once_by_the_next() -> anyhow::Result<()> {
    with_namespace("expires across a restart", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let server = scene.create(&short_lived(&rig)).await?;
        rig.operator.kill().await?;
        let born = server.creation_timestamp().context("no creation time")?.0;
        wait::until("its time is over", PATIENCE, async || {
            let age = Timestamp::now().duration_since(born).as_secs();
            Ok(Seen::when(age > TTL, age))
        })
        .await?;
        ensure!(
            scene
                .api::<DevServer>()
                .get_opt(sample::NAME)
                .await?
                .is_some(),
            "who deleted it?"
        );
        rig.operator.spawn().await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        ensure!(
            deletions(&rig).len() == 1,
            "{} deletions",
            deletions(&rig).len()
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_extended_devserver_lives_on() -> anyhow::Result<()> {
    with_namespace("extended", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&short_lived(&rig)).await?;
        scene
            .patch(
                sample::NAME,
                json!({"spec": {"lifecycle": {"timeToLive": "1h"}}}),
            )
            .await?;
        wait::stays("it lives on", BEYOND, async || {
            let there = scene.api::<DevServer>().get_opt(sample::NAME).await?;
            Ok(Seen::when(there.is_some(), "it was deleted"))
        })
        .await?;
        ensure!(deletions(&rig).is_empty(), "a deletion was tried");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_devserver_made_again_under_the_name_is_not_deleted_for_the_first() -> anyhow::Result<()>
{
    with_namespace("made again in time", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&short_lived(&rig)).await?;
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &kube::api::DeleteParams::default())
            .await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        let second = scene.create(&rig.sample()).await?;
        wait::stays("the second lives", BEYOND, async || {
            let there = scene.api::<DevServer>().get_opt(sample::NAME).await?;
            Ok(Seen::when(
                there.and_then(|s| s.uid()) == second.uid(),
                "it was deleted",
            ))
        })
        .await
    })
    .await
}
