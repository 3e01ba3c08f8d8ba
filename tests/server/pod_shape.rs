//! What a DevServer and its flavor say about the pod arrives there, and a change of it is said in words.

use anyhow::{Context as _, ensure};
use devserver_api::condition::{READY, RESTART_PENDING, VALID};
use devserver_e2e::{Rig, SHARED, claim, condition, has_reason, is_running, offer};
use devserver_testkit::{Scene, sample, wait, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, ServiceAccount},
};
use serde_json::{Value, json};

async fn template(rig: &Rig) -> anyhow::Result<Value> {
    let workload = rig.scene.api::<StatefulSet>().get(sample::NAME).await?;
    let spec = workload.spec.context("no spec")?;
    Ok(serde_json::to_value(spec.template)?)
}

#[tokio::test]
async fn team_project_pool_spread_and_cloud_identity_arrive() -> anyhow::Result<()> {
    with_namespace("pod shape", async |scene| {
        let rig = Rig::with_config(scene.clone(), "teamAffinity: Required").await?;
        let flavor = offer(
            &scene,
            "pool",
            json!({
                "resources": {"requests": {"cpu": "100m"}, "limits": {"nvidia.com/gpu": 1}},
                "nodeSelector": {"swish.io/workload": "gpu"},
                "serviceAccountAnnotations": {"example.com/role": "datasets"},
            }),
        )
        .await?;
        let mut server = rig.sample();
        server.spec.flavor = Some(flavor);
        server.spec.team = Some("genomics".to_owned());
        server.spec.project = Some("assembly".to_owned());
        server.spec.image_pull_secrets = vec!["registry-login".to_owned()];
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let pod = scene.api::<Pod>().get("workbench-0").await?;
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        for (key, value) in [
            ("swish.io/team", "genomics"),
            ("swish.io/project", "assembly"),
            ("swish.io/workload", "gpu"),
            ("service", "devserver"),
            ("devserver.io/name", sample::NAME),
        ] {
            ensure!(labels.get(key).is_some_and(|v| v == value), "{key}: {labels:?}");
        }
        let pod = serde_json::to_value(pod.spec)?;
        let spread = &pod["topologySpreadConstraints"][0];
        let expected = json!({
            "maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"service": "devserver"}},
            "nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Honor",
        });
        ensure!(*spread == expected, "{spread}");
        ensure!(pod["imagePullSecrets"] == json!([{"name": "registry-login"}]), "{pod}");
        ensure!(pod["automountServiceAccountToken"] == json!(false), "{pod}");
        let tolerations = pod["tolerations"].to_string();
        ensure!(tolerations.contains("nvidia.com/gpu") && tolerations.contains("swish.io/workload"), "{tolerations}");
        let terms = pod.pointer("/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
        ensure!(terms.and_then(Value::as_array).is_some_and(|t| t.len() == 2), "{terms:?}");
        let account = scene.api::<ServiceAccount>().get("devserver-workbench").await?;
        let annotations = account.metadata.annotations.unwrap_or_default();
        ensure!(annotations.get("example.com/role").is_some_and(|r| r == "datasets"), "{annotations:?}");
        wait::no_writes(rig.operator.trace(), std::time::Duration::from_secs(2)).await
    })
    .await
}

#[tokio::test]
async fn an_own_volume_is_waited_for_mounted_and_named_in_what_a_restart_changes()
-> anyhow::Result<()> {
    with_namespace("own volumes", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.volumes = serde_json::from_value(
            json!([{"claimName": "genomes", "mountPath": "/data/genomes", "readOnly": true}]),
        )?;
        scene.create(&server).await?;
        let told = scene
            .status(sample::NAME, "waits", |s| {
                has_reason(s, READY, "ClaimNotFound")
            })
            .await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(
            message.contains("spec.volumes[0].claimName") && message.contains("genomes"),
            "{message}"
        );
        // Only the claim's own event wakes it: the next look by itself is minutes away.
        claim(&scene, "genomes", SHARED).await?;
        scene
            .status(sample::NAME, "runs once the claim is there", is_running)
            .await?;
        let before = template(&rig).await?;
        let volumes = before["spec"]["volumes"].to_string();
        ensure!(
            volumes.contains(r#"{"claimName":"genomes","readOnly":true}"#),
            "{volumes}"
        );
        says_what_a_restart_changes(&scene).await?;
        let back =
            json!({"spec": {"volumes": server.spec.volumes, "resources": null, "team": null}});
        scene.patch(sample::NAME, back).await?;
        scene
            .status(sample::NAME, "nothing is pending", |s| {
                condition(s, RESTART_PENDING).is_none()
            })
            .await?;
        ensure!(
            template(&rig).await? == before,
            "there and back is not the same"
        );
        Ok(())
    })
    .await
}

/// Asks for another path, more memory and a team, and demands that the condition names all of it.
async fn says_what_a_restart_changes(scene: &Scene) -> anyhow::Result<()> {
    let change = json!({"spec": {
        "volumes": [{"claimName": "genomes", "mountPath": "/genomes", "readOnly": true}],
        "resources": {"requests": {"memory": "2Gi"}}, "team": "genomics",
    }});
    scene.patch(sample::NAME, change).await?;
    let told = scene
        .status(sample::NAME, "a restart is pending", |s| {
            condition(s, RESTART_PENDING).is_some()
        })
        .await?;
    let status = told.status.context("no status")?;
    let pending = condition(&status, RESTART_PENDING).map(|c| c.message.clone());
    let pending = pending.unwrap_or_default();
    for words in [
        "volume at /data/genomes genomes (read-only) becomes none",
        "volume at /genomes none becomes genomes (read-only)",
        "memory requests 1Gi becomes 2Gi",
        "team none becomes genomics",
    ] {
        ensure!(
            pending.contains(words),
            "{words:?} is missing in: {pending}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_of_the_flavor_that_comes_later_waits_for_a_restart() -> anyhow::Result<()> {
    with_namespace("flavor volumes", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let flavor = offer(
            &scene,
            "volumes",
            json!({"volumes": [{"claimName": "reference", "mountPath": "/reference", "readOnly": true}]}),
        )
        .await?;
        let mut server = rig.sample();
        server.spec.flavor = Some(flavor);
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs without it", is_running).await?;
        claim(&scene, "reference", None).await?;
        let told = scene
            .status(sample::NAME, "a restart would bring it", |s| {
                is_running(s) && condition(s, RESTART_PENDING).is_some()
            })
            .await?;
        let status = told.status.context("no status")?;
        let pending = condition(&status, RESTART_PENDING).map(|c| c.message.clone());
        ensure!(pending.is_some_and(|p| p.contains("volume at /reference")), "{status:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn autoscaling_is_refused_with_the_reason_and_the_remedy() -> anyhow::Result<()> {
    with_namespace("autoscaling", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        scene
            .patch(
                sample::NAME,
                json!({"spec": {"autoscaling": {"maxReplicas": 3}}}),
            )
            .await?;
        let told = scene
            .status(sample::NAME, "is refused", |s| {
                has_reason(s, VALID, "AutoscalingNeedsSharedHome")
            })
            .await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        for word in ["spec.autoscaling", "ReadWriteOnce", "remove the field"] {
            ensure!(message.contains(word), "{message}");
        }
        Ok(())
    })
    .await
}
