//! Placement that only a real kubelet can judge: the class of the pod, and volumes that cannot be written.

use std::time::Duration;

use devserver_api::{DevServer, DevServerFlavor};
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::machine::User;

/// Above the 3Gi that the lab counts as high memory (charts/devserver-platform/ci/lab-values.yaml).
const MEMORY: &str = "3200Mi";

async fn class(user: &User) -> anyhow::Result<Option<String>> {
    let pod = user.api::<Pod>().get_opt("box-0").await?;
    Ok(pod.and_then(|p| p.status?.qos_class))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_high_memory_pod_is_guaranteed_and_kept_from_drains() -> anyhow::Result<()> {
    let user = User::new("memory").await?;
    let name = user.namespace.clone();
    let flavors: Api<DevServerFlavor> = Api::all(user.client.clone());
    let flavor = serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": name},
        "spec": {
            "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "4Gi"}},
        },
    }))?;
    flavors.create(&PostParams::default(), &flavor).await?;
    user.create("box", &[])?;
    assert_eq!(class(&user).await?.as_deref(), Some("Burstable"));
    let change = json!({"spec": {
        "flavor": name, "resources": {"requests": {"memory": MEMORY}},
        "lifecycle": {"restartPolicy": "Automatic"},
    }});
    user.api::<DevServer>()
        .patch("box", &PatchParams::default(), &Patch::Merge(&change))
        .await?;
    until("a Guaranteed pod", Duration::from_mins(2), async || {
        let class = class(&user).await?;
        let is_there = class.as_deref() == Some("Guaranteed");
        Ok(Seen::when(is_there, class.unwrap_or_default()))
    })
    .await?;
    user.answers("box").await?;
    let pod = user.api::<Pod>().get("box-0").await?;
    let labels = pod.metadata.labels.unwrap_or_default();
    assert_eq!(labels["swish.io/workload"], "high-memory");
    let tolerations = pod.spec.unwrap().tolerations.unwrap_or_default();
    assert!(
        tolerations
            .iter()
            .any(|t| t.key.as_deref() == Some("swish.io/workload")
                && t.value.as_deref() == Some("high-memory")
                && t.effect.as_deref() == Some("NoSchedule")),
        "{tolerations:?}"
    );
    user.api::<PodDisruptionBudget>()
        .get("devserver-box")
        .await?;
    flavors.delete(&name, &DeleteParams::default()).await?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_mounted_read_only_can_be_read_and_not_written_by_root_either()
-> anyhow::Result<()> {
    let user = User::new("dataset").await?;
    let claim: PersistentVolumeClaim = serde_json::from_value(json!({
        "metadata": {"name": "genomes", "labels": {"devserver.io/shared": "true"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
    }))?;
    user.api::<PersistentVolumeClaim>()
        .create(&PostParams::default(), &claim)
        .await?;
    user.create("box", &[])?;
    let mount = async |read_only: bool| -> anyhow::Result<()> {
        let before = user.api::<Pod>().get("box-0").await?.metadata.uid;
        let change = json!({"spec": {
            "volumes": [{"claimName": "genomes", "mountPath": "/data/genomes", "readOnly": read_only}],
            "lifecycle": {"restartPolicy": "Automatic"},
        }});
        user.api::<DevServer>()
            .patch("box", &PatchParams::default(), &Patch::Merge(&change))
            .await?;
        until("a new pod", Duration::from_mins(2), async || {
            let pod = user.api::<Pod>().get_opt("box-0").await?;
            let is_new = pod.is_some_and(|p| p.metadata.uid != before);
            Ok(Seen::when(is_new, "the old one"))
        })
        .await?;
        user.answers("box").await
    };
    mount(false).await?;
    user.says("box", "doas sh -c 'echo ACGT > /data/genomes/one'")?;
    mount(true).await?;
    assert_eq!(user.says("box", "cat /data/genomes/one")?, "ACGT");
    for writer in ["touch", "doas touch"] {
        let said = user.says("box", &format!("{writer} /data/genomes/two 2>&1 || true"))?;
        assert!(said.contains("Read-only file system"), "{writer}: {said:?}");
    }
    user.leave().await;
    Ok(())
}
