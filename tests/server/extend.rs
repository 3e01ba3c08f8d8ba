//! `devctl extend` and `devctl restart` with an ordinary user's rights.

use std::process::Output;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition};
use devserver_e2e::{Rig, condition, is_running, short_lived};
use devserver_testkit::{
    Scene, devctl,
    proxy::request::Verb,
    sample,
    users::{self, User},
    with_namespace,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

async fn alice(scene: &Scene) -> anyhow::Result<User> {
    users::user(scene, "alice", users::developer()).await
}

fn said(output: &Output) -> String {
    format!(
        "{:?}: {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn time_to_live(server: &DevServer) -> Option<&str> {
    server.spec.lifecycle.as_ref()?.time_to_live.as_deref()
}

#[tokio::test]
async fn devctl_extend_adds_to_the_present_end_and_says_both() -> anyhow::Result<()> {
    with_namespace("devctl extend", async |scene| {
        let rig = Rig::with_config(scene.clone(), "defaultTimeToLive: 1h").await?;
        let alice = alice(&scene).await?;
        // The first end is the platform's default: the spec says nothing.
        let born = rig.running().await?;
        let before = born
            .status
            .and_then(|s| s.expiration_time)
            .context("no end")?;
        let output = devctl::run(&scene, &alice, &["extend", sample::NAME, "90m"]).await?;
        ensure!(output.status.success(), "{}", said(&output));
        let after = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(
            time_to_live(&after) == Some("2h30m"),
            "{:?}",
            time_to_live(&after)
        );
        let ends = after
            .status
            .and_then(|s| s.expiration_time)
            .context("no end")?;
        ensure!(
            ends.0.duration_since(before.0).as_secs() == 5400,
            "{ends:?}"
        );
        for instant in [before.0, ends.0] {
            let text = said(&output);
            ensure!(
                text.contains(&instant.to_string()),
                "{instant} is missing: {text}"
            );
        }
        let until = (ends.0 + jiff::SignedDuration::from_secs(60)).to_string();
        let output =
            devctl::run(&scene, &alice, &["extend", sample::NAME, "--until", &until]).await?;
        ensure!(output.status.success(), "{}", said(&output));
        let after = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(
            time_to_live(&after) == Some("2h31m"),
            "{:?}",
            time_to_live(&after)
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_the_platform_refuses_is_shown_and_taken_back() -> anyhow::Result<()> {
    with_namespace("extend too far", async |scene| {
        let rig = Rig::with_config(scene.clone(), "maxTimeToLive: 8h").await?;
        let alice = alice(&scene).await?;
        scene.create(&short_lived(&rig, "2h")).await?;
        let before = scene.status(sample::NAME, "runs", is_running).await?;
        let output = devctl::run(&scene, &alice, &["extend", sample::NAME, "7h"]).await?;
        ensure!(output.status.code() == Some(5), "{}", said(&output));
        for word in ["8h", "timeToLive", "as before"] {
            ensure!(
                said(&output).contains(word),
                "{word:?} is missing: {}",
                said(&output)
            );
        }
        let after = scene
            .status(sample::NAME, "is valid again", |s| {
                condition(s, condition::VALID).is_some_and(|c| c.status == "True")
            })
            .await?;
        ensure!(
            time_to_live(&after) == Some("2h"),
            "{:?}",
            time_to_live(&after)
        );
        let end = |s: &DevServer| s.status.clone().and_then(|s| s.expiration_time);
        ensure!(end(&after) == end(&before), "the end moved");
        let output = devctl::run(&scene, &alice, &["extend", "no-such", "1h"]).await?;
        ensure!(output.status.code() == Some(3), "{}", said(&output));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn devctl_extend_leaves_alone_what_has_no_end() -> anyhow::Result<()> {
    with_namespace("no end", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = alice(&scene).await?;
        let before = rig.running().await?;
        let output = devctl::run(&scene, &alice, &["extend", sample::NAME, "1h"]).await?;
        ensure!(output.status.success(), "{}", said(&output));
        ensure!(said(&output).contains("no end"), "{}", said(&output));
        let after = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(
            after.metadata.generation == before.metadata.generation,
            "it was changed"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn devctl_restart_makes_the_pod_anew_once_and_keeps_the_home() -> anyhow::Result<()> {
    with_namespace("devctl restart", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = alice(&scene).await?;
        rig.running().await?;
        let (pod, home) = rig.precious().await?;
        let output = devctl::run(&scene, &alice, &["restart", sample::NAME, "--wait"]).await?;
        ensure!(output.status.success(), "{}", said(&output));
        let (new_pod, same_home) = rig.precious().await?;
        ensure!(new_pod != pod && same_home == home, "{new_pod} {same_home}");
        // The wish stays in the object; it names a pod that is gone, whoever looks at it again.
        rig.operator.restart().await?;
        scene.nudge(sample::NAME).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let restarts = rig.operator.trace().count(Verb::Delete, "pods");
        ensure!(restarts == 1, "{restarts} restarts");
        ensure!(rig.precious().await?.0 == new_pod, "it was restarted again");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn devctl_restart_says_that_a_suspended_devserver_has_nothing_to_restart()
-> anyhow::Result<()> {
    with_namespace("restart suspended", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = alice(&scene).await?;
        let mut server = rig.sample();
        server.spec.suspend = true;
        let made = scene.create(&server).await?;
        let output = devctl::run(&scene, &alice, &["restart", sample::NAME]).await?;
        ensure!(output.status.code() == Some(1), "{}", said(&output));
        ensure!(said(&output).contains("devctl resume"), "{}", said(&output));
        ensure!(rig.names::<Pod>().await?.is_empty(), "a pod was made");
        let after = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(after.annotations() == made.annotations(), "it was changed");
        Ok(())
    })
    .await
}
