//! Attack E2: to get more than was allowed by an edit, by zeros, or by resources under other names.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition::VALID};
use devserver_e2e::{Rig, has_reason, is_running, judged, offer, refusal};
use devserver_testkit::{sample, with_namespace};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

/// Resources, the reason why they are refused, and a word of the message.
fn cheats() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            json!({"requests": {"cpu": "0"}}),
            "InvalidResources",
            "requests.cpu",
        ),
        (
            json!({"requests": {"memory": "0"}}),
            "InvalidResources",
            "requests.memory",
        ),
        (
            json!({"limits": {"memory": 0}}),
            "InvalidResources",
            "limits.memory",
        ),
        (
            json!({"requests": {"cpu": "0.0001"}}),
            "InvalidResources",
            "1m",
        ),
        (
            json!({"requests": {"memory": "512m"}}),
            "InvalidResources",
            "512Mi",
        ),
        (
            json!({"requests": {"memory": "3Gi"}, "limits": {"memory": "2Gi"}}),
            "InvalidResources",
            "raise the limit",
        ),
        (
            json!({"limits": {"cpu": "3"}}),
            "ResourcesTooLarge",
            "ask for less",
        ),
        (
            json!({"limits": {"memory": "4294967297"}}),
            "ResourcesTooLarge",
            "4Gi",
        ),
        (
            json!({"limits": {"example.com/license": "1"}}),
            "FlavorNotAllowed",
            "example.com/license",
        ),
        (
            json!({"limits": {"hugepages-1Gi": "1Gi"}}),
            "FlavorNotAllowed",
            "hugepages-1Gi",
        ),
        (
            json!({"requests": {"ephemeral-storage": "1Ti"}}),
            "FlavorNotAllowed",
            "ephemeral-storage",
        ),
    ]
}

#[tokio::test]
async fn e2_amounts_that_cheat_are_refused_and_what_runs_goes_on() -> anyhow::Result<()> {
    with_namespace("e2 amounts", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = rig.snapshot().await?;
        for (resources, reason, word) in cheats() {
            let change = json!({"spec": {"resources": resources}});
            scene.patch(sample::NAME, change).await?;
            let judged = judged(&scene, reason).await;
            let (status, message) = judged.with_context(|| resources.to_string())?;
            ensure!(
                message.contains(word) && message.contains("spec.resources."),
                "{resources}: {message}"
            );
            ensure!(is_running(&status), "{resources}: {status:?}");
            scene
                .patch(sample::NAME, json!({"spec": {"resources": null}}))
                .await?;
            scene
                .status(sample::NAME, "is valid again", |s| {
                    has_reason(s, VALID, "Valid")
                })
                .await?;
        }
        rig.is_unchanged_since(&before).await
    })
    .await
}

#[tokio::test]
async fn e2_what_is_no_amount_at_all_is_refused_at_once() -> anyhow::Result<()> {
    with_namespace("e2 words", async |scene| {
        scene
            .create(&sample::devserver(sample::NAME, "any"))
            .await?;
        let api: Api<DevServer> = scene.api();
        for amount in [
            json!("-1"),
            json!("ten"),
            json!("1k1"),
            json!(""),
            json!("1 Gi"),
            json!(1.5),
            json!([1]),
        ] {
            let patch = Patch::Merge(json!({"spec": {"resources": {"requests": {"cpu": amount}}}}));
            let answer = api
                .patch(sample::NAME, &PatchParams::default(), &patch)
                .await;
            let message = refusal(answer).with_context(|| amount.to_string())?;
            ensure!(
                message.contains("spec.resources.requests"),
                "{amount}: {message}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn e2_a_swapped_flavor_keeps_what_was_asked_for_within_its_own_bounds() -> anyhow::Result<()>
{
    with_namespace("e2 swap", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let wide = json!({
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
            "maximumResources": {"memory": "32Gi"},
        });
        let wide = offer(&scene, "wide", wide).await?;
        let mut server = rig.sample();
        server.spec.flavor = Some(wide);
        server.spec.resources = serde_json::from_value(json!({"requests": {"memory": "16Gi"}}))?;
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        // The small flavor allows 4Gi: the wish of before does not come along.
        scene.patch(sample::NAME, json!({"spec": {"flavor": rig.small}})).await?;
        let told = scene
            .status(sample::NAME, "is refused", |s| has_reason(s, VALID, "ResourcesTooLarge"))
            .await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(message.contains("16Gi") && message.contains("4Gi"), "{message}");
        scene.patch(sample::NAME, json!({"spec": {"resources": null}})).await?;
        scene.status(sample::NAME, "is valid", |s| has_reason(s, VALID, "Valid")).await?;
        Ok(())
    })
    .await
}
