//! Before the end its user is warned: at each instant once, whoever restarts, and anew after an extension.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::{DevServerStatus, condition::EXPIRING};
use devserver_e2e::{Rig, condition, events, has_reason, is_running, short_lived};
use devserver_testkit::{
    proxy::{
        request::Verb,
        rule::{Action, Count, Match, Rule},
    },
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use serde_json::json;

const HOUR: i64 = 3600;

fn is_warned(seconds: i64) -> impl Fn(&DevServerStatus) -> bool {
    move |status| {
        has_reason(status, EXPIRING, "ExpiresSoon")
            && status.expiration_warning_seconds == Some(seconds)
    }
}

async fn has_events(rig: &Rig, expected: usize) -> anyhow::Result<()> {
    wait::until(&format!("{expected} warnings"), PATIENCE, async || {
        let found = events(&rig.scene, sample::NAME, EXPIRING).await?;
        Ok(Seen::when(found == expected, found))
    })
    .await
}

#[tokio::test]
async fn each_warning_is_given_once_also_when_the_operator_starts_anew() -> anyhow::Result<()> {
    with_namespace("warnings", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "2h")).await?;
        let quiet = scene.status(sample::NAME, "runs", is_running).await?;
        let status = quiet.status.unwrap_or_default();
        ensure!(
            condition(&status, EXPIRING).is_none(),
            "warned too early: {status:?}"
        );
        let mut texts = Vec::new();
        for (number, seconds) in [(1, 3600), (2, 900), (3, 300)] {
            rig.operator.set_time(2 * HOUR - seconds)?;
            let warned = scene
                .status(sample::NAME, "is warned", is_warned(seconds))
                .await?;
            let status = warned.status.unwrap_or_default();
            texts.extend(condition(&status, EXPIRING).map(|c| c.message.clone()));
            has_events(&rig, number).await?;
            rig.operator.restart().await?;
            wait::no_writes(rig.operator.trace(), Duration::from_secs(3)).await?;
            has_events(&rig, number).await?;
        }
        texts.dedup();
        ensure!(
            texts.len() == 1
                && texts
                    .iter()
                    .all(|t| t.contains("devctl extend workbench 4h")),
            "the text changes with the time: {texts:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_life_that_is_shorter_than_the_warnings_is_warned_of_once() -> anyhow::Result<()> {
    with_namespace("short life", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "10m")).await?;
        scene
            .status(sample::NAME, "is warned", is_warned(900))
            .await?;
        has_events(&rig, 1).await?;
        wait::quiet(rig.operator.trace(), Duration::from_secs(3), PATIENCE).await?;
        has_events(&rig, 1).await
    })
    .await
}

#[tokio::test]
async fn an_extension_takes_the_warning_back_and_the_new_end_is_warned_of_anew()
-> anyhow::Result<()> {
    with_namespace("extended", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "2h")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        rig.operator.set_time(2 * HOUR - 300)?;
        scene
            .status(sample::NAME, "is warned", is_warned(300))
            .await?;
        let longer = json!({"spec": {"lifecycle": {"timeToLive": "4h"}}});
        scene.patch(sample::NAME, longer).await?;
        let unwarned = |s: &DevServerStatus| {
            condition(s, EXPIRING).is_none() && s.expiration_warning_seconds.is_none()
        };
        scene
            .status(sample::NAME, "is not warned any more", unwarned)
            .await?;
        rig.operator.set_time(4 * HOUR - 300)?;
        scene
            .status(sample::NAME, "is warned anew", is_warned(300))
            .await?;
        has_events(&rig, 2).await
    })
    .await
}

#[tokio::test]
async fn a_warning_whose_answer_is_lost_is_not_given_twice() -> anyhow::Result<()> {
    with_namespace("lost answer", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        scene.create(&short_lived(&rig, "2h")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        wait::quiet(rig.operator.trace(), Duration::from_secs(1), PATIENCE).await?;
        rig.operator.proxy().arm(Rule {
            when: Match {
                verb: Some(Verb::Create),
                plural: Some("events".to_owned()),
                ..Match::default()
            },
            nth: Count::First(2),
            then: Action::LoseResponse,
        });
        rig.operator.set_time(HOUR)?;
        scene
            .status(sample::NAME, "is warned", is_warned(3600))
            .await?;
        has_events(&rig, 1).await
    })
    .await
}
