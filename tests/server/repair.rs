//! Drift is repaired: what is deleted or edited comes back, whoever did it.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_api::condition;
use devserver_e2e::{Rig, SHARED, automatic, claim, is_running};
use devserver_testkit::{
    canonical, diff::differences, operator::Settings, sample, wait, wait::Seen, with_namespace,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
};
use kube::{ResourceExt as _, api::DeleteParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Demands that the namespace ends as it was.
async fn as_before(rig: &Rig, before: &Value, what: &str) -> anyhow::Result<()> {
    let (client, namespace) = (rig.scene.client(), rig.scene.namespace().to_owned());
    wait::until(what, devserver_testkit::scene::PATIENCE, async || {
        let differ = differences(before, &canonical::state(&client, &namespace).await?);
        Ok(Seen::when(differ.is_empty(), differ.join("\n")))
    })
    .await
}

async fn delete<K>(rig: &Rig, name: &str, before: &Value) -> anyhow::Result<()>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api = rig.scene.api::<K>();
    let old = api.get(name).await?.meta().uid.clone();
    api.delete(name, &DeleteParams::background()).await?;
    rig.scene
        .object::<K>(name, "comes back", |o| {
            o.meta().uid != old && o.meta().deletion_timestamp.is_none()
        })
        .await?;
    as_before(rig, before, &format!("after {name} was deleted")).await
}

async fn edit<K>(rig: &Rig, name: &str, patch: Value, before: &Value) -> anyhow::Result<()>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    rig.meddle::<K>(name, patch.clone())
        .await
        .with_context(|| format!("{name} {patch}"))?;
    as_before(rig, before, &format!("after {name} was edited: {patch}")).await
}

#[tokio::test]
async fn every_watched_object_that_is_deleted_comes_back() -> anyhow::Result<()> {
    with_namespace("deleted objects", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = canonical::state(&scene.client(), scene.namespace()).await?;
        delete::<ServiceAccount>(&rig, "devserver-workbench", &before).await?;
        delete::<ConfigMap>(&rig, "workbench-sshd-config", &before).await?;
        delete::<Service>(&rig, "workbench-headless", &before).await?;
        delete::<Service>(&rig, "workbench-ssh", &before).await?;
        delete::<StatefulSet>(&rig, "workbench", &before).await
    })
    .await
}

#[tokio::test]
async fn every_watched_object_that_is_edited_is_put_right() -> anyhow::Result<()> {
    with_namespace("edited objects", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = canonical::state(&scene.client(), scene.namespace()).await?;
        let labels = json!({"metadata": {"labels": {"devserver.io/name": "stolen"}}});
        edit::<ServiceAccount>(
            &rig,
            "devserver-workbench",
            json!({"automountServiceAccountToken": true}),
            &before,
        )
        .await?;
        edit::<ConfigMap>(
            &rig,
            "workbench-sshd-config",
            json!({"data": {"sshd_config": "PermitRootLogin yes\n"}}),
            &before,
        )
        .await?;
        edit::<ConfigMap>(&rig, "workbench-sshd-config", labels, &before).await?;
        edit::<Service>(
            &rig,
            "workbench-ssh",
            json!({"spec": {"selector": {"devserver.io/name": "other"}}}),
            &before,
        )
        .await?;
        edit::<Service>(
            &rig,
            "workbench-headless",
            json!({"spec": {"publishNotReadyAddresses": false}}),
            &before,
        )
        .await?;
        edit::<StatefulSet>(&rig, "workbench", json!({"spec": {"replicas": 0}}), &before).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_whose_owner_was_taken_away_is_not_taken_over() -> anyhow::Result<()> {
    with_namespace("owner taken away", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let orphan = json!({"metadata": {"ownerReferences": null}, "spec": {"type": "ClusterIP"}});
        let made = rig.meddle::<Service>("workbench-ssh", orphan).await?;
        let told = |s: &devserver_api::DevServerStatus| {
            s.message
                .as_deref()
                .is_some_and(|m| m.contains("workbench-ssh") && m.contains("does not belong"))
        };
        let server = scene
            .status(sample::NAME, "says whose it is not", told)
            .await?;
        ensure!(
            is_running(&server.status.unwrap_or_default()),
            "what runs was stopped"
        );
        let now = scene.api::<Service>().get("workbench-ssh").await?;
        ensure!(
            now.resource_version() == made.resource_version(),
            "it was taken over"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn secrets_are_put_right_at_the_next_look_though_nobody_watches_them() -> anyhow::Result<()> {
    with_namespace("secrets repaired", async |scene| {
        let settings = Settings {
            resync: 1,
            ..Settings::alone(scene.namespace())
        };
        let rig = Rig::with_settings(scene.clone(), &settings).await?;
        rig.running().await?;
        let before = canonical::state(&scene.client(), scene.namespace()).await?;
        let mallory = "c3NoLWVkMjU1MTkgQUFBQSBtYWxsb3J5Cg==";
        edit::<Secret>(
            &rig,
            "workbench-authorized-keys",
            json!({"data": {"authorized_keys": mallory}}),
            &before,
        )
        .await?;
        delete::<Secret>(&rig, "workbench-authorized-keys", &before).await
    })
    .await
}

#[tokio::test]
async fn removed_host_keys_are_made_again_and_the_status_follows() -> anyhow::Result<()> {
    with_namespace("host keys removed", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let old = rig
            .running()
            .await?
            .status
            .and_then(|s| s.ssh)
            .context("no ssh status")?
            .host_keys;
        scene
            .api::<Secret>()
            .delete("workbench-host-keys", &DeleteParams::default())
            .await?;
        rig.operator.restart().await?;
        scene
            .status(sample::NAME, "has new host keys", |s| {
                s.ssh
                    .as_ref()
                    .is_some_and(|ssh| ssh.host_keys.len() == 2 && ssh.host_keys != old)
            })
            .await?;
        let secret = scene.api::<Secret>().get("workbench-host-keys").await?;
        ensure!(
            secret.immutable == Some(true),
            "the new Secret may be edited"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_field_removed_from_the_spec_disappears_from_the_objects() -> anyhow::Result<()> {
    with_namespace("to and back", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        claim(&scene, "datasets", SHARED).await?;
        scene.create(&automatic(&rig)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        wait::quiet(rig.operator.trace(), Duration::from_secs(1), Duration::from_secs(30)).await?;
        let before = canonical::state(&scene.client(), scene.namespace()).await?;
        let there = json!({"spec": {"sharedVolumeClaimName": "datasets",
            "ssh": {"publicKeys": [sample::OTHER_KEY], "motd": "Mind the gap", "agentForwarding": false}}});
        scene.patch(sample::NAME, there).await?;
        let mounts = |w: &StatefulSet| {
            let pod = w.spec.as_ref().and_then(|s| s.template.spec.as_ref());
            pod.and_then(|p| p.volumes.as_ref()).is_some_and(|v| v.iter().any(|v| v.name == "shared"))
        };
        scene.object::<StatefulSet>("workbench", "mounts the claim", mounts).await?;
        scene
            .object::<ConfigMap>("workbench-sshd-config", "has the motd", |c| {
                c.data.as_ref().and_then(|d| d.get("motd")).is_some_and(|m| m == "Mind the gap\n")
            })
            .await?;
        let back = json!({"spec": {"sharedVolumeClaimName": null,
            "ssh": {"publicKeys": null, "motd": null, "agentForwarding": null}}});
        scene.patch(sample::NAME, back).await?;
        as_before(&rig, &before, "to and back").await
    })
    .await
}

#[tokio::test]
async fn a_changed_key_or_motd_does_not_touch_the_pod_template() -> anyhow::Result<()> {
    with_namespace("key change", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = rig.snapshot().await?;
        let change = json!({"spec": {"ssh": {"publicKey": sample::OTHER_KEY, "motd": "Hello"}}});
        scene.patch(sample::NAME, change).await?;
        scene
            .object::<Secret>("workbench-authorized-keys", "has the new key", |s| {
                let line = s.data.as_ref().and_then(|d| d.get("authorized_keys"));
                line.is_some_and(|l| l.0 == format!("{}\n", sample::OTHER_KEY).into_bytes())
            })
            .await?;
        let server = scene.status(sample::NAME, "runs on", is_running).await?;
        let status = server.status.unwrap_or_default();
        ensure!(
            devserver_e2e::condition(&status, condition::RESTART_PENDING).is_none(),
            "{status:?}"
        );
        rig.is_unchanged_since(&before).await
    })
    .await
}
