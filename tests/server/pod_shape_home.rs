//! A home cannot leave its zone: an environment that no node there can take does not start, and one that runs is left alone.

use anyhow::ensure;
use devserver_api::{DevServer, Phase, condition::READY};
use devserver_e2e::{Rig, has_reason, is_running, offer};
use devserver_testkit::{Scene, sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Node, PersistentVolume, PersistentVolumeClaim},
    storage::v1::StorageClass,
};
use kube::{Api, ResourceExt as _, api::PostParams};
use serde_json::{Value, json};

/// A node nobody is scheduled on, in that zone, of the scene's own pool.
async fn node(scene: &Scene, zone: &str, pool: &str) -> anyhow::Result<()> {
    let mut node: Node = serde_json::from_value(json!({
        "metadata": {
            "name": scene.flavor_name(&format!("{zone}-{pool}")),
            "labels": {"topology.kubernetes.io/zone": zone, "test.devserver.io/pool": scene.flavor_name(pool)},
        },
        "spec": {"unschedulable": true, "taints": [{"key": "test.devserver.io/nobody", "effect": "NoSchedule"}]},
        // As other scenes ask the nodes whether they can: these must not be the ones that cannot.
        "status": {"runtimeHandlers": [{"name": "", "features": {"userNamespaces": true}}]},
    }))?;
    scene.own(&mut node.metadata);
    let api: Api<Node> = Api::all(scene.client());
    api.create(&PostParams::default(), &node).await?;
    Ok(())
}

/// A flavor that selects the scene's own pool.
async fn flavor(scene: &Scene, pool: &str) -> anyhow::Result<String> {
    let selector = json!({"test.devserver.io/pool": scene.flavor_name(pool)});
    let requests = json!({"cpu": "100m", "memory": "64Mi"});
    offer(
        scene,
        pool,
        json!({"nodeSelector": selector, "resources": {"requests": requests}}),
    )
    .await
}

/// The home of the sample as it was kept, its volume in that zone.
async fn kept_home(scene: &Scene, zone: &str) -> anyhow::Result<String> {
    let class = scene.flavor_name("zonal");
    let mut object: StorageClass = serde_json::from_value(json!({
        "metadata": {"name": class}, "provisioner": "test.devserver.io/none",
    }))?;
    scene.own(&mut object.metadata);
    Api::<StorageClass>::all(scene.client())
        .create(&PostParams::default(), &object)
        .await?;
    let in_zone = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]});
    let mut volume: PersistentVolume = serde_json::from_value(json!({
        "metadata": {"name": scene.flavor_name("volume")},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": scene.namespace(), "name": "home-workbench-0"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [in_zone]}]}},
        },
    }))?;
    scene.own(&mut volume.metadata);
    Api::<PersistentVolume>::all(scene.client())
        .create(&PostParams::default(), &volume)
        .await?;
    let claim: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": {
            "name": "home-workbench-0", "labels": {"devserver.io/name": sample::NAME},
            "annotations": {"devserver.io/owner": sample::OWNER},
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}},
    }))?;
    scene
        .api::<PersistentVolumeClaim>()
        .create(&PostParams::default(), &claim)
        .await?;
    let bound = |c: &PersistentVolumeClaim| {
        c.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound")
    };
    scene
        .object::<PersistentVolumeClaim>("home-workbench-0", "is bound", bound)
        .await?;
    Ok(class)
}

fn server(flavor: &str, class: &str) -> DevServer {
    let mut server = sample::devserver(sample::NAME, flavor);
    server.spec.storage_class_name = Some(class.to_owned());
    server
}

#[tokio::test]
async fn a_kept_home_in_a_zone_without_nodes_of_the_flavor_is_said_before_the_start()
-> anyhow::Result<()> {
    with_namespace("home zone", async |scene| {
        let (zone, other) = (sample::word(6), sample::word(6));
        node(&scene, &other, "far").await?;
        node(&scene, &zone, "near").await?;
        let (far, near) = (flavor(&scene, "far").await?, flavor(&scene, "near").await?);
        let class = kept_home(&scene, &zone).await?;
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&server(&far, &class)).await?;
        let told = scene
            .status(sample::NAME, "waits", |s| {
                has_reason(s, READY, "HomeInAnotherZone")
            })
            .await?;
        let status = told.status.unwrap_or_default();
        ensure!(status.phase == Some(Phase::Pending), "{status:?}");
        let message = status.message.unwrap_or_default();
        for word in [zone.as_str(), far.as_str(), "choose a flavor"] {
            ensure!(message.contains(word), "{word:?} is missing in: {message}");
        }
        ensure!(
            rig.names::<StatefulSet>().await?.is_empty(),
            "it was started"
        );
        scene
            .patch(sample::NAME, json!({"spec": {"flavor": near}}))
            .await?;
        scene
            .status(sample::NAME, "runs where its home is", is_running)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_that_has_its_node_is_left_alone_whatever_nodes_there_are() -> anyhow::Result<()> {
    with_namespace("home zone left", async |scene| {
        let (zone, other) = (sample::word(6), sample::word(6));
        node(&scene, &zone, "near").await?;
        node(&scene, &other, "near").await?;
        let near = flavor(&scene, "near").await?;
        let class = kept_home(&scene, &zone).await?;
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&server(&near, &class)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let precious = rig.precious().await?;
        bind(&scene, &scene.flavor_name(&format!("{zone}-near"))).await?;
        let nodes: Api<Node> = Api::all(scene.client());
        nodes
            .delete(
                &scene.flavor_name(&format!("{zone}-near")),
                &kube::api::DeleteParams::default(),
            )
            .await?;
        scene
            .patch(
                sample::NAME,
                json!({"spec": {"ssh": {"motd": "still there"}}}),
            )
            .await?;
        scene.status(sample::NAME, "runs on", is_running).await?;
        ensure!(
            rig.precious().await? == precious,
            "the pod or the home was lost"
        );
        let seen = scene.api::<DevServer>().get(sample::NAME).await?;
        let valid = seen
            .status
            .is_some_and(|s| has_reason(&s, devserver_api::condition::VALID, "Valid"));
        ensure!(valid, "the spec is no longer valid");
        Ok(())
    })
    .await
}

/// Gives the pod its node, as a scheduler would.
async fn bind(scene: &Scene, node: &str) -> anyhow::Result<()> {
    let binding: Value = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "workbench-0"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let path = format!(
        "/api/v1/namespaces/{}/pods/workbench-0/binding",
        scene.namespace()
    );
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&binding)?)?;
    let _: Value = scene.client().request(request).await?;
    let bound = |p: &k8s_openapi::api::core::v1::Pod| {
        p.spec.as_ref().is_some_and(|s| s.node_name.is_some())
    };
    let pod = scene.object("workbench-0", "has its node", bound).await?;
    ensure!(pod.name_any() == "workbench-0", "another pod");
    Ok(())
}
