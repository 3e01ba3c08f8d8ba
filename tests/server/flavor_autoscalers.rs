//! Whether an autoscaler would bring a node for a flavor: Karpenter's NodePools, and what the Cluster Autoscaler says.

use anyhow::ensure;
use devserver_api::{DevServerFlavorStatus, Schedulable};
use devserver_testkit::{
    Scene, chart,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::flavor_rig::{AUTOSCALER, FlavorRig, LABEL, ROOM, one_cpu};

#[tokio::test]
async fn a_nodepool_of_karpenter_that_fits_makes_a_flavor_autoscaled() -> anyhow::Result<()> {
    // Everybody sees a NodePool, and a flavor that no node has room for is told about it.
    let _alone = AUTOSCALER.write().await;
    with_namespace("nodepools", async |scene| {
        install_nodepools(&scene).await?;
        let rig = FlavorRig::new(scene.clone()).await?;
        let flavor = rig.flavor("one", one_cpu()).await?;
        rig.told(&flavor, "no node", |s| s.schedulable == Some(Schedulable::No)).await?;
        let name = scene.flavor_name("pool");
        let pools = pools(&scene);
        let mut pool: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name},
            "spec": {"limits": {"cpu": "10"}, "template": {"spec": {"requirements":
                [{"key": LABEL, "operator": "In", "values": ["other", scene.namespace()]}]}}},
        }))?;
        scene.own(&mut pool.metadata);
        pools.create(&PostParams::default(), &pool).await?;
        let says = |words: &str| {
            let words = format!("NodePool {name} {words}");
            move |s: &DevServerFlavorStatus| s.message.as_deref().is_some_and(|m| m.contains(&words))
        };
        rig.told(&flavor, "not Ready", says("is not Ready")).await?;
        let ready = |cpu: &str| json!({"status": {"resources": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": "True"}]}});
        status(&pools, &name, ready("2")).await?;
        rig.answers(&flavor, &format!("AUTOSCALED: no node has room; NodePool {name} would bring one")).await?;
        status(&pools, &name, ready("9500m")).await?;
        rig.told(&flavor, "exhausted", says("has reached its limit of cpu")).await?;
        status(&pools, &name, ready("2")).await?;
        rig.told(&flavor, "fits again", |s| s.schedulable == Some(Schedulable::Autoscaled)).await?;
        pools.delete(&name, &DeleteParams::default()).await?;
        rig.told(&flavor, "gone", |s| s.schedulable == Some(Schedulable::No)).await.map(drop)
    })
    .await
}

fn pools(scene: &Scene) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("karpenter.sh", "v1", "NodePool");
    Api::all_with(
        scene.client(),
        &ApiResource::from_gvk_with_plural(&kind, "nodepools"),
    )
}

async fn status(pools: &Api<DynamicObject>, name: &str, status: Value) -> anyhow::Result<()> {
    let patch = Patch::Merge(status);
    pools
        .patch_status(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// The kind alone, as Karpenter's chart defines it but without its rules.
async fn install_nodepools(scene: &Scene) -> anyhow::Result<()> {
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "nodepools.karpenter.sh"},
        "spec": {
            "group": "karpenter.sh", "scope": "Cluster",
            "names": {"kind": "NodePool", "listKind": "NodePoolList", "plural": "nodepools", "singular": "nodepool"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}}}],
        },
    });
    chart::install(&scene.client(), &serde_json::from_value(crd)?).await?;
    wait::until("NodePools are served", PATIENCE, async || {
        pools(scene).list(&ListParams::default()).await?;
        Ok(Seen::Yes(()))
    })
    .await
}

#[tokio::test]
async fn a_node_group_of_the_cluster_autoscaler_that_can_grow_is_told_of() -> anyhow::Result<()> {
    let _alone = AUTOSCALER.write().await;
    with_namespace("autoscaler", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        rig.node().await?;
        let flavor = rig.flavor("one", one_cpu()).await?;
        rig.answers(&flavor, ROOM).await?;
        rig.node_spec(json!({"unschedulable": true})).await?;
        rig.told(&flavor, "cordoned", |s| {
            s.schedulable == Some(Schedulable::No)
        })
        .await?;
        let maps: Api<ConfigMap> = Api::namespaced(scene.client(), "kube-system");
        speak(&maps, 2).await?;
        let told = rig
            .told(&flavor, "can grow", |s| {
                s.schedulable == Some(Schedulable::Autoscaled)
            })
            .await;
        speak(&maps, 5).await?;
        let full = rig
            .told(&flavor, "is at its maximum", |s| {
                s.message
                    .as_deref()
                    .is_some_and(|m| m.contains("no node group that can grow"))
            })
            .await;
        maps.delete("cluster-autoscaler-status", &DeleteParams::default())
            .await?;
        let message = told?.message.unwrap_or_default();
        ensure!(message.contains("does not say of which kind"), "{message}");
        full.map(drop)
    })
    .await
}

/// Writes what the Cluster Autoscaler writes, with so many of 5 nodes.
async fn speak(maps: &Api<ConfigMap>, nodes: u32) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC");
    let part = |status: &str| json!({"status": status});
    let text = serde_saphyr::to_string(&json!({
        "time": now.to_string(), "autoscalerStatus": "Running",
        "clusterWide": {"health": part("Healthy"), "scaleUp": part("NoActivity")},
        "nodeGroups": [{"name": "workers", "scaleUp": part("NoActivity"),
            "health": {"status": "Healthy", "cloudProviderTarget": nodes, "minSize": 1, "maxSize": 5}}],
    }))?;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cluster-autoscaler-status"}, "data": {"status": text},
    });
    let params = PatchParams::apply("cluster-autoscaler").force();
    maps.patch("cluster-autoscaler-status", &params, &Patch::Apply(map))
        .await?;
    Ok(())
}
