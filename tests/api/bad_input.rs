//! Bad input hurts only itself: refused, or explained in a condition, naming field and remedy; what runs goes on.

use crate::bad_input_table::{Explained, Table};
use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition};
use devserver_e2e::{Rig, condition, has_reason, is_running, refusal};
use devserver_testkit::{
    Scene, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

async fn change(scene: &Scene, spec: &Value) -> Result<DevServer, kube::Error> {
    let params = PatchParams {
        field_manager: Some("user".to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"spec": spec}));
    scene
        .api::<DevServer>()
        .patch(sample::NAME, &params, &patch)
        .await
}

#[tokio::test]
async fn what_admission_can_judge_is_refused_with_field_and_remedy() -> anyhow::Result<()> {
    with_namespace("bad input refused", async |scene| {
        scene
            .create(&sample::devserver(sample::NAME, "any"))
            .await?;
        for case in Table::read()?.refused {
            let context = || format!("{} {}", case.what, case.spec);
            let message = refusal(change(&scene, &case.spec).await).with_context(context)?;
            for word in &case.words {
                ensure!(
                    message.contains(word),
                    "{}: {word:?} is missing in: {message}",
                    context()
                );
            }
            let remedy = [
                "such as",
                "must",
                "cannot",
                "create a new",
                "too",
                "at least",
                "supported values",
                "PRIVATE",
            ];
            ensure!(
                remedy.iter().any(|w| message.contains(w)),
                "{}: no remedy in: {message}",
                context()
            );
            ensure!(
                !message.contains("b3BlbnNzaC1rZXk"),
                "the private key is echoed"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_name_that_kubernetes_would_refuse_later_is_refused_now() -> anyhow::Result<()> {
    with_namespace("bad names", async |scene| {
        let long = |n: usize| "a".repeat(n);
        let names = [
            long(53),
            long(63),
            long(64),
            "a.b".to_owned(),
            "1abc".to_owned(),
            "Abc".to_owned(),
            "a_b".to_owned(),
            "-a".to_owned(),
            "a-".to_owned(),
        ];
        for name in names {
            let server = sample::devserver(&name, "any");
            let made = scene
                .api::<DevServer>()
                .create(&PostParams::default(), &server)
                .await;
            let message = refusal(made).with_context(|| name.clone())?;
            ensure!(message.contains("metadata.name"), "{name}: {message}");
        }
        scene.create(&sample::devserver(&long(52), "any")).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_devserver_without_any_key_is_refused() -> anyhow::Result<()> {
    with_namespace("no key", async |scene| {
        let mut server = sample::devserver(sample::NAME, "any");
        server.spec.ssh.public_key = None;
        let made = scene
            .api::<DevServer>()
            .create(&PostParams::default(), &server)
            .await;
        let message = refusal(made)?;
        ensure!(
            message.contains("spec.ssh") && message.contains("publicKey"),
            "{message}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_only_the_operator_can_judge_is_explained_and_what_runs_goes_on() -> anyhow::Result<()>
{
    with_namespace("bad input explained", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let good = rig.running().await?;
        let mut neighbour = rig.sample();
        neighbour.metadata.name = Some("neighbour".to_owned());
        scene.create(&neighbour).await?;
        let neighbour = scene.status("neighbour", "runs", is_running).await?;
        let before = rig.snapshot().await?;
        for case in Table::read()?.explained {
            is_explained(&scene, &case).await?;
            restore(&scene, &good).await?;
            let healed = |s: &_| is_running(s) && has_reason(s, condition::VALID, "Valid");
            scene.status(sample::NAME, "is valid again", healed).await?;
            let unchanged = rig.is_unchanged_since(&before).await;
            unchanged.with_context(|| case.what.clone())?;
        }
        let after = scene.api::<DevServer>().get("neighbour").await?;
        ensure!(
            after.resource_version() == neighbour.resource_version(),
            "the neighbour was written to"
        );
        Ok(())
    })
    .await
}

/// Makes the change and demands that it is explained while the DevServer goes on running.
async fn is_explained(scene: &Scene, case: &Explained) -> anyhow::Result<()> {
    let what = &case.what;
    change(scene, &case.spec)
        .await
        .with_context(|| what.clone())?;
    let told = |s: &_| has_reason(s, condition::VALID, &case.reason);
    let told = scene.status(sample::NAME, what, told).await?;
    let status = told.status.context("no status")?;
    let valid = condition(&status, condition::VALID).context("no condition")?;
    ensure!(valid.status == "False", "{what}: {valid:?}");
    for word in &case.words {
        ensure!(
            valid.message.contains(word),
            "{what}: {word:?} is missing in: {}",
            valid.message
        );
    }
    ensure!(
        is_running(&status),
        "{what}: it no longer counts as running: {status:?}"
    );
    Ok(())
}

/// Puts the whole spec back as it was; a merge patch could not remove what the case added.
async fn restore(scene: &Scene, good: &DevServer) -> anyhow::Result<()> {
    // In two steps, because admission compares with the size asked for last, also when that was never granted.
    change(scene, &json!({"persistentHomeSize": null})).await?;
    wait::until("the spec is as before", PATIENCE, async || {
        let mut server = scene.api::<DevServer>().get(sample::NAME).await?;
        server.spec = good.spec.clone();
        let replaced = scene
            .api::<DevServer>()
            .replace(sample::NAME, &PostParams::default(), &server)
            .await;
        match replaced {
            // The operator wrote its status in between.
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                Ok(Seen::NotYet(status.message.clone()))
            }
            other => Ok(Seen::Yes(other.map(drop)?)),
        }
    })
    .await
}

#[tokio::test]
async fn a_devserver_that_never_was_valid_makes_nothing_and_heals() -> anyhow::Result<()> {
    with_namespace("invalid from the start", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        let missing = scene.flavor_name("later");
        server.spec.flavor = Some(missing.clone());
        scene.create(&server).await?;
        let told = scene
            .status(sample::NAME, "is invalid", |s| {
                has_reason(s, condition::READY, "FlavorNotFound")
            })
            .await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(
            // The names of all, unless there are too many.
            message.contains(&missing)
                && (message.contains(&rig.small) || message.contains("devctl flavors")),
            "{message}"
        );
        ensure!(
            rig.names::<StatefulSet>().await?.is_empty(),
            "something was made"
        );
        scene.flavor("later", "250m", "512Mi").await?;
        scene
            .status(sample::NAME, "runs once the flavor is there", is_running)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_the_operator_cannot_read_stops_nobody_else() -> anyhow::Result<()> {
    with_namespace("unreadable neighbour", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        // Valid to the schema (the API server keeps any number there), too large for the type that reads it.
        let api: Api<DevServer> = scene.api();
        let odd = json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": "odd",
                "annotations": {"test.devserver.io/large": "x".repeat(200 << 10)}},
            "spec": {"flavor": rig.small, "ssh": {"publicKey": sample::KEY}},
        });
        api.patch("odd", &PatchParams::apply("user"), &Patch::Apply(&odd))
            .await?;
        let broken = json!({"status": {"ssh": {"user": "dev", "nodePort": 2_147_483_647}}});
        api.patch_status("odd", &PatchParams::default(), &Patch::Merge(&broken))
            .await?;
        rig.running().await?;
        wait::until("the odd one is looked after too", PATIENCE, async || {
            let status = api.get("odd").await?.status.unwrap_or_default();
            Ok(Seen::when(is_running(&status), format!("{status:?}")))
        })
        .await
    })
    .await
}
