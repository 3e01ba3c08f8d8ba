//! Names are not identity: what is not ours is never touched, and what was another's is never adopted.

use std::fmt::Debug;

use anyhow::ensure;
use devserver_api::{DevServer, condition};
use devserver_e2e::{Rig, has_reason, is_running};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Secret, Service},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A foreign object in the way: it stays as it is, the condition names it, and its removal heals.
async fn name_taken<K>(kind: &str, name: &str, foreign: Value) -> anyhow::Result<()>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + serde::Serialize,
{
    with_namespace(&format!("taken {kind}"), async |scene| {
        let foreign: K = serde_json::from_value(foreign)?;
        scene
            .api::<K>()
            .create(&PostParams::default(), &foreign)
            .await?;
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&rig.sample()).await?;
        let told = scene
            .status(sample::NAME, "name is taken", |s| {
                has_reason(s, condition::READY, "NameTaken")
            })
            .await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(
            message.contains(kind) && message.contains(name),
            "{message}"
        );
        let now = scene.api::<K>().get(name).await?;
        // Not by its version: Kubernetes' own controllers write to it too.
        let managers = now
            .meta()
            .managed_fields
            .iter()
            .flatten()
            .filter_map(|m| m.manager.as_deref());
        let managers: Vec<&str> = managers.collect();
        ensure!(
            !managers.contains(&"devserver-operator"),
            "{kind} {name} was touched: {managers:?}"
        );
        scene
            .api::<K>()
            .delete(name, &DeleteParams::background())
            .await?;
        scene
            .status(sample::NAME, "runs once the name is free", is_running)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_foreign_service_of_our_name_is_never_touched() -> anyhow::Result<()> {
    let object = json!({"metadata": {"name": "workbench-ssh"}, "spec": {"ports": [{"port": 80}]}});
    name_taken::<Service>("Service", "workbench-ssh", object).await
}

#[tokio::test]
async fn a_foreign_secret_of_our_name_is_never_touched() -> anyhow::Result<()> {
    let object =
        json!({"metadata": {"name": "workbench-host-keys"}, "stringData": {"theirs": "x"}});
    name_taken::<Secret>("Secret", "workbench-host-keys", object).await
}

#[tokio::test]
async fn a_foreign_statefulset_of_our_name_is_never_touched() -> anyhow::Result<()> {
    let object = json!({"metadata": {"name": "workbench"}, "spec": {
        "replicas": 0, "serviceName": "x", "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    name_taken::<StatefulSet>("StatefulSet", "workbench", object).await
}

#[tokio::test]
async fn a_devserver_made_again_gets_its_own_objects_and_its_old_home() -> anyhow::Result<()> {
    with_namespace("made again", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let first = rig.running().await?;
        let (_, home) = rig.precious().await?;
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::background())
            .await?;
        // At once, while garbage collection still removes what the first one had.
        scene.gone::<DevServer>(sample::NAME).await?;
        let second = rig.running().await?;
        ensure!(second.uid() != first.uid(), "it is the same");
        let host_keys = |s: &DevServer| {
            s.status
                .clone()
                .and_then(|s| s.ssh)
                .map(|ssh| ssh.host_keys)
        };
        ensure!(
            host_keys(&second) != host_keys(&first),
            "the old host keys were adopted"
        );
        ensure!(
            rig.precious().await?.1 == home,
            "the home was not found again"
        );
        Ok(())
    })
    .await
}
