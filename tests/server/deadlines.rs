//! No state lasts without a word: what does not bind, start or end is told in time, and can be suspended and deleted.

use anyhow::ensure;
use devserver_api::{DevServer, DevServerStatus, Phase, condition::READY};
use devserver_e2e::{Rig, has_reason, is_running};
use devserver_testkit::{kubelet::Fortune, sample, wait, wait::Seen, with_namespace};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

const POD: &str = "workbench-0";
const UNBOUND: &str = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";

fn says(phase: Phase, reason: &str) -> impl Fn(&DevServerStatus) -> bool {
    move |s| s.phase == Some(phase) && has_reason(s, READY, reason)
}

fn message(server: &DevServer) -> String {
    server
        .status
        .as_ref()
        .and_then(|s| s.message.clone())
        .unwrap_or_default()
}

/// With a resync of ten minutes: the operator wakes for the 30 seconds by itself.
#[tokio::test]
async fn a_claim_that_nothing_binds_is_told_with_its_class_and_the_remedy() -> anyhow::Result<()> {
    with_namespace("unbound claim", async |scene| {
        let fortune = Fortune::Unschedulable(UNBOUND.to_owned());
        let rig = Rig::with_fortune(scene.clone(), fortune).await?;
        let mut server = rig.sample();
        server.spec.storage_class_name = Some("no-such-class".to_owned());
        let born = scene.create(&server).await?.creation_timestamp();
        scene
            .status(
                sample::NAME,
                "starts",
                says(Phase::Provisioning, "Starting"),
            )
            .await?;
        let told = scene
            .status(
                sample::NAME,
                "tells",
                says(Phase::Pending, "VolumeNotBound"),
            )
            .await?;
        let since = jiff::Timestamp::now().duration_since(born.map(|t| t.0).unwrap_or_default());
        ensure!(since.as_secs() >= 29, "after {since:#}");
        for word in ["home-workbench-0", "no-such-class", "administrator"] {
            ensure!(
                message(&told).contains(word),
                "{word:?}: {}",
                message(&told)
            );
        }
        rig.kubelet.set(Fortune::Ready);
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}

/// With a resync of ten minutes: the operator wakes for the deadline by itself.
#[tokio::test]
async fn a_start_that_takes_too_long_is_told_at_its_deadline_though_nothing_happens()
-> anyhow::Result<()> {
    with_namespace("start deadline", async |scene| {
        let rig = Rig::with_config(scene.clone(), "startDeadlineSeconds: 10").await?;
        rig.kubelet.set(Fortune::NotReady);
        scene.create(&rig.sample()).await?;
        let failed = says(Phase::Failed, "StartDeadlineExceeded");
        let told = scene.status(sample::NAME, "has failed", failed).await?;
        ensure!(message(&told).contains("10 s"), "{}", message(&told));
        rig.kubelet.set(Fortune::Ready);
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}

/// A node that is never heard of again, with the sample's pod on it.
async fn lost_node(rig: &Rig) -> anyhow::Result<String> {
    let scene = &rig.scene;
    let name = scene.flavor_name("lost");
    // Cluster-wide: to the operators of other tests it must be as if it were not there.
    let mut node: Node = serde_json::from_value(json!({
        "metadata": {"name": name}, "spec": {"unschedulable": true},
        "status": {"runtimeHandlers": [{"name": "", "features": {"userNamespaces": true}}]},
    }))?;
    scene.own(&mut node.metadata);
    Api::<Node>::all(scene.client())
        .create(&PostParams::default(), &node)
        .await?;
    let made = |_: &Pod| true;
    scene.object::<Pod>(POD, "is made", made).await?;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": POD},
        "target": {"apiVersion": "v1", "kind": "Node", "name": name},
    });
    let _: serde_json::Value = scene
        .api::<Pod>()
        .create_subresource("binding", POD, &PostParams::default(), &binding)
        .await?;
    Ok(name)
}

#[tokio::test]
async fn a_pod_that_does_not_end_names_its_node_and_the_remedy() -> anyhow::Result<()> {
    with_namespace("stuck pod", async |scene| {
        let rig = Rig::attentive(scene.clone(), "").await?;
        rig.kubelet.set(Fortune::Hold);
        scene.create(&rig.sample()).await?;
        let node = lost_node(&rig).await?;
        rig.kubelet.set(Fortune::Ready);
        scene.status(sample::NAME, "runs", is_running).await?;
        let suspend = json!({"spec": {"suspend": true}});
        scene.patch(sample::NAME, suspend).await?;
        let stops = says(Phase::Suspended, "Stopping");
        scene.status(sample::NAME, "stops", stops).await?;
        rig.operator.set_time(120)?;
        let stuck = says(Phase::Suspended, "StuckTerminating");
        let told = scene.status(sample::NAME, "tells", stuck).await?;
        let remedy = format!("kubectl delete node {node}");
        ensure!(message(&told).contains(&remedy), "{}", message(&told));
        // What the end of the node does: the pod goes without anybody's word.
        scene
            .api::<Pod>()
            .delete(POD, &DeleteParams::default().grace_period(0))
            .await?;
        let stopped = says(Phase::Suspended, "Suspended");
        scene.status(sample::NAME, "is suspended", stopped).await?;
        Ok(())
    })
    .await
}

fn fortunes() -> Vec<Fortune> {
    vec![
        Fortune::Hold,
        Fortune::Ready,
        Fortune::NotReady,
        Fortune::ImagePullFails("manifest unknown".to_owned()),
        Fortune::CrashLoop(3, "no".to_owned()),
        Fortune::Unschedulable("0/3 nodes are available".to_owned()),
        Fortune::Unschedulable(UNBOUND.to_owned()),
    ]
}

/// Waits until the operator has told what the fortune brings.
async fn has_fared(rig: &Rig, fortune: &Fortune) -> anyhow::Result<()> {
    let phase = match fortune {
        Fortune::Ready => Phase::Running,
        Fortune::ImagePullFails(_) | Fortune::CrashLoop(..) => Phase::Failed,
        Fortune::Unschedulable(why) if why != UNBOUND => Phase::Pending,
        _ => Phase::Provisioning,
    };
    rig.scene.object::<Pod>(POD, "is made", |_| true).await?;
    rig.scene
        .status(sample::NAME, "has fared", |s| s.phase == Some(phase))
        .await
        .map(drop)
}

#[tokio::test]
async fn from_every_state_it_can_be_suspended_and_started_again() -> anyhow::Result<()> {
    with_namespace("suspend anywhere", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&rig.sample()).await?;
        for fortune in fortunes() {
            rig.kubelet.set(fortune.clone());
            has_fared(&rig, &fortune).await?;
            scene
                .patch(sample::NAME, json!({"spec": {"suspend": true}}))
                .await?;
            scene.gone::<Pod>(POD).await?;
            let stopped = says(Phase::Suspended, "Suspended");
            scene
                .status(sample::NAME, &format!("{fortune:?}"), stopped)
                .await?;
            scene
                .patch(sample::NAME, json!({"spec": {"suspend": false}}))
                .await?;
        }
        rig.kubelet.set(Fortune::Ready);
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_running_devserver_with_an_invalid_spec_can_be_suspended() -> anyhow::Result<()> {
    with_namespace("suspend invalid", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let (_, home) = rig.precious().await?;
        scene
            .patch(sample::NAME, json!({"spec": {"flavor": "no-such"}}))
            .await?;
        let invalid = |s: &DevServerStatus| has_reason(s, "Valid", "FlavorNotFound");
        scene.status(sample::NAME, "is invalid", invalid).await?;
        scene
            .patch(sample::NAME, json!({"spec": {"suspend": true}}))
            .await?;
        scene.gone::<Pod>(POD).await?;
        let stopped = says(Phase::Suspended, "Suspended");
        let told = scene.status(sample::NAME, "is suspended", stopped).await?;
        ensure!(message(&told).contains("no-such"), "{}", message(&told));
        let mended = json!({"spec": {"suspend": false, "flavor": rig.small}});
        scene.patch(sample::NAME, mended).await?;
        scene.status(sample::NAME, "runs again", is_running).await?;
        ensure!(rig.precious().await?.1 == home, "the home was lost");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn from_every_state_it_can_be_deleted() -> anyhow::Result<()> {
    with_namespace("delete anywhere", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut states: Vec<_> = fortunes().into_iter().map(|f| (f, false)).collect();
        states.push((Fortune::Ready, true));
        for (fortune, suspend) in states {
            rig.kubelet.set(fortune.clone());
            let mut server = rig.sample();
            server.spec.suspend = suspend;
            scene.create(&server).await?;
            if !suspend {
                has_fared(&rig, &fortune).await?;
            }
            let api = scene.api::<DevServer>();
            api.delete(sample::NAME, &DeleteParams::default()).await?;
            scene.gone::<DevServer>(sample::NAME).await?;
            wait::until(
                "the pod is gone",
                devserver_testkit::scene::PATIENCE,
                async || {
                    let pods = rig.names::<Pod>().await?;
                    Ok(Seen::when(
                        pods.is_empty(),
                        format!("{fortune:?}: {pods:?}"),
                    ))
                },
            )
            .await?;
        }
        Ok(())
    })
    .await
}
