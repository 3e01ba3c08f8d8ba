//! Attacks A4 and A8: a daemon that is root of the node, and programs that make their user root.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServerFlavor, DevServerStatus, condition::VALID, group};
use devserver_e2e::{Rig, has_reason, is_running};
use devserver_testkit::{Scene, sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, PersistentVolumeClaim, PodSpec},
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

async fn offer(scene: &Scene, flavor: &str, change: Value) -> anyhow::Result<()> {
    let flavors: Api<DevServerFlavor> = Api::all(scene.client());
    let patch = Patch::Merge(json!({ "spec": change }));
    flavors
        .patch(flavor, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// The sample with a Docker daemon, of a flavor that wants one of that mode.
async fn ask(rig: &Rig, mode: Value) -> anyhow::Result<()> {
    offer(&rig.scene, &rig.small, json!({ "docker": mode })).await?;
    let mut server = rig.sample();
    server.spec.docker = Some(serde_json::from_value(json!({"enabled": true}))?);
    rig.scene.create(&server).await?;
    Ok(())
}

async fn pod(scene: &Scene) -> anyhow::Result<PodSpec> {
    let workload = scene.api::<StatefulSet>().get(sample::NAME).await?;
    let spec = workload.spec.and_then(|s| s.template.spec);
    spec.context("the workload has no pod")
}

fn privileged(pod: &PodSpec) -> Vec<String> {
    let is = |c: &&Container| c.security_context.as_ref().and_then(|s| s.privileged) == Some(true);
    pod.containers
        .iter()
        .filter(is)
        .map(|c| c.name.clone())
        .collect()
}

#[tokio::test]
async fn a4_a_flavor_alone_makes_no_daemon_that_is_root_of_the_node() -> anyhow::Result<()> {
    with_namespace("a4 flavor", async |scene| {
        let rig = Rig::with_config(scene.clone(), "{userNamespaces: Enabled}").await?;
        ask(&rig, json!("Privileged")).await?;
        let refused = |s: &DevServerStatus| has_reason(s, VALID, "DockerNotAllowed");
        let told = scene.status(sample::NAME, "is refused", refused).await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        for word in [
            "docker: Privileged",
            "docker.allowedModes",
            "another flavor",
        ] {
            ensure!(message.contains(word), "{word:?} is missing in: {message}");
        }
        let made = scene.api::<StatefulSet>().get_opt(sample::NAME).await?;
        ensure!(made.is_none(), "there is a workload");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a4_the_platform_alone_makes_no_daemon_that_is_root_of_the_node() -> anyhow::Result<()> {
    with_namespace("a4 platform", async |scene| {
        let config = "{userNamespaces: Enabled, docker: {allowedModes: [Rootless, Privileged]}}";
        let rig = Rig::with_config(scene.clone(), config).await?;
        ask(&rig, Value::Null).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let pod = pod(&scene).await?;
        ensure!(privileged(&pod).is_empty(), "{:?}", privileged(&pod));
        ensure!(pod.host_users == Some(false), "it has no user namespace");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a4_where_both_say_so_the_daemon_is_privileged_and_the_machine_is_not() -> anyhow::Result<()>
{
    with_namespace("a4 both", async |scene| {
        let config = "{userNamespaces: Enabled, docker: {allowedModes: [Rootless, Privileged]}}";
        let rig = Rig::with_config(scene.clone(), config).await?;
        ask(&rig, json!("Privileged")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let first = pod(&scene).await?;
        ensure!(privileged(&first) == ["docker"], "{:?}", privileged(&first));
        // Taken away from the flavor, a machine that runs goes on, and none is made anew.
        let before = rig.snapshot().await?;
        offer(&scene, &rig.small, json!({"docker": "None"})).await?;
        let refused = |s: &DevServerStatus| has_reason(s, VALID, "DockerNotAllowed");
        scene.status(sample::NAME, "is refused", refused).await?;
        rig.is_unchanged_since(&before).await
    })
    .await
}

/// With `no_new_privs` the kernel gives nobody anything for a program's owner or mode, wherever its volume comes from.
#[tokio::test]
async fn a8_where_nobody_may_be_root_no_program_of_a_shared_volume_makes_anybody_root()
-> anyhow::Result<()> {
    with_namespace("a8 setuid", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        offer(&scene, &rig.small, json!({"isolation": "Restricted"})).await?;
        let claim = json!({
            "metadata": {"name": "tools", "labels": {group::LABEL_SHARED: "true"}},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
        });
        rig.scene.api::<PersistentVolumeClaim>().create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
        let mut server = rig.sample();
        server.spec.volumes = vec![serde_json::from_value(json!({"claimName": "tools", "mountPath": "/tools"}))?];
        server.spec.editor = Some(serde_json::from_value(json!({"enabled": true}))?);
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let pod = pod(&scene).await?;
        let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
        for container in containers {
            let context = container.security_context.clone().unwrap_or_default();
            ensure!(context.allow_privilege_escalation == Some(false), "{}: {context:?}", container.name);
            ensure!(context.run_as_non_root == Some(true), "{}: {context:?}", container.name);
        }
        Ok(())
    })
    .await
}
