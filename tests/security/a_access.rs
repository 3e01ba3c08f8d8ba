//! Attack A1: to get at the node by a pod of one's own making. What a machine itself may hold is in `a_pods`.

use anyhow::ensure;
use devserver_api::PodSecurity;
use devserver_e2e::{label_namespace, refusal};
use devserver_testkit::with_namespace;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use crate::guard::{Guarded, is_refused, mallory};

/// Pods that reach beyond their container.
fn escapes() -> Vec<(&'static str, Value)> {
    let container = json!([{"name": "c", "image": "i"}]);
    vec![
        (
            "hostPath",
            json!({"containers": container, "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
        ),
        ("hostPID", json!({"containers": container, "hostPID": true})),
        (
            "hostNetwork",
            json!({"containers": container, "hostNetwork": true}),
        ),
        ("hostIPC", json!({"containers": container, "hostIPC": true})),
        (
            "privileged",
            json!({"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]}),
        ),
        (
            "capability",
            json!({"containers": [{"name": "c", "image": "i", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}),
        ),
    ]
}

fn pod(spec: &Value) -> anyhow::Result<Pod> {
    Ok(serde_json::from_value(
        json!({"metadata": {"name": "mine"}, "spec": spec}),
    )?)
}

#[tokio::test]
async fn a1_a_pod_that_reaches_for_the_node_is_refused_three_times_over() -> anyhow::Result<()> {
    with_namespace("a1", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let (_, mallory) = mallory(&scene).await?;
        let level = PodSecurity::default().as_str();
        let labels = json!({"pod-security.kubernetes.io/enforce": level});
        label_namespace(&scene, labels).await?;
        let params = PostParams::default();
        for (what, spec) in escapes() {
            let pod = pod(&spec)?;
            // By the rights that the chart gives: none over pods.
            let pods: Api<Pod> = Api::namespaced(mallory.client.clone(), scene.namespace());
            let message = refusal(pods.create(&params, &pod).await)?;
            ensure!(
                message.contains("cannot create resource \"pods\""),
                "{what}: {message}"
            );
            // By the policy, when somebody gave all rights by mistake; admission asks Pod Security in the same breath.
            let message = refusal(guarded.api::<Pod>().create(&params, &pod).await)?;
            ensure!(
                message.contains("devserver-objects") || message.contains("PodSecurity"),
                "{what}: {message}"
            );
            // By the namespace's Pod Security level, whoever asks.
            let message = refusal(scene.api::<Pod>().create(&params, &pod).await)?;
            ensure!(
                message.contains("violates PodSecurity") && message.contains(level),
                "{what}: {message}"
            );
        }
        // An innocent pod passes the level, so it is the escapes that it refuses; the policy refuses it all the same.
        let innocent = pod(&json!({"containers": [{"name": "c", "image": "i"}]}))?;
        scene.api::<Pod>().create(&params, &innocent).await?;
        let mut other = innocent;
        other.metadata.name = Some("another".to_owned());
        is_refused(
            guarded.api::<Pod>().create(&params, &other).await,
            "objects",
            &["pods"],
        )
    })
    .await
}
