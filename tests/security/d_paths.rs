//! Attacks D7 and D9: to inject labels and annotations, and to mount over what belongs to the system.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_e2e::{Rig, is_running, refusal};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

const BAIT: &str = "bait-for-d7";

async fn none_has_it<K>(scene: &devserver_testkit::Scene) -> anyhow::Result<usize>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let all = scene.api::<K>().list(&ListParams::default()).await?;
    for object in &all {
        let mut object = object.clone();
        object.meta_mut().managed_fields = None;
        let text = serde_json::to_string(&object)?;
        ensure!(!text.contains(BAIT), "{}: {text}", K::kind(&()));
    }
    Ok(all.items.len())
}

#[tokio::test]
async fn d7_labels_and_annotations_of_a_devserver_reach_no_object() -> anyhow::Result<()> {
    with_namespace("d7 labels", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let baits = |keys: &[&str]| {
            let pairs = keys.iter().map(|k| ((*k).to_owned(), BAIT.to_owned()));
            Some(pairs.collect::<BTreeMap<_, _>>())
        };
        let mut server = rig.sample();
        server.metadata.labels = baits(&["sidecar.istio.io/inject", "app", "team"]);
        server.metadata.annotations = baits(&[
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "container.apparmor.security.beta.kubernetes.io/dev",
            "kubernetes.io/psp",
            "external-dns.alpha.kubernetes.io/hostname",
            "service.beta.kubernetes.io/aws-load-balancer-internal",
        ]);
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let seen = none_has_it::<Pod>(&scene).await?
            + none_has_it::<StatefulSet>(&scene).await?
            + none_has_it::<Service>(&scene).await?
            + none_has_it::<ServiceAccount>(&scene).await?
            + none_has_it::<ConfigMap>(&scene).await?
            + none_has_it::<Secret>(&scene).await?
            + none_has_it::<NetworkPolicy>(&scene).await?
            + none_has_it::<PersistentVolumeClaim>(&scene).await?;
        ensure!(seen >= 8, "only {seen} objects were looked at");
        Ok(())
    })
    .await
}

/// Paths that hide or lie in what belongs to the system, and texts that are no plain absolute path.
const REFUSED: &[&str] = &[
    "/",
    "",
    "data",
    "/proc",
    "/proc/1",
    "/sys",
    "/dev/shm",
    "/etc",
    "/etc/ssh",
    "/bin",
    "/sbin",
    "/usr/bin",
    "/lib",
    "/lib64",
    "/run",
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "/var",
    "/opt",
    "/opt/devserver",
    "/opt/devserver/bin",
    "/home",
    "/home/dev",
    "/home/dev/../..",
    "/data/..",
    "/./data",
    "//data",
    "/data/",
    "/data:ro",
    "/data\n",
    "/da ta",
    "/$(HOME)",
    "/dätä",
];

#[tokio::test]
async fn d9_paths_of_the_system_and_paths_that_overlap_are_refused_at_once() -> anyhow::Result<()> {
    with_namespace("d9 paths", async |scene| {
        scene
            .create(&sample::devserver(sample::NAME, "any"))
            .await?;
        let api: Api<DevServer> = scene.api();
        let try_paths = async |paths: &[&str]| {
            let volumes: Vec<_> = paths
                .iter()
                .map(|path| json!({"claimName": "datasets", "mountPath": path}))
                .collect();
            let patch = Patch::Merge(json!({"spec": {"volumes": volumes}}));
            api.patch(sample::NAME, &PatchParams::default(), &patch)
                .await
        };
        let long = format!("/{}", "a".repeat(255));
        for path in REFUSED.iter().copied().chain([long.as_str()]) {
            let message = refusal(try_paths(&[path]).await).with_context(|| format!("{path:?}"))?;
            ensure!(message.contains("mountPath"), "{path:?}: {message}");
        }
        for paths in [
            ["/data", "/data"],
            ["/data", "/data/x"],
            ["/data/x", "/data"],
        ] {
            let message = refusal(try_paths(&paths).await).with_context(|| format!("{paths:?}"))?;
            ensure!(
                message.contains("spec.volumes") && message.contains("beside"),
                "{message}"
            );
        }
        for paths in [
            ["/data", "/data2"],
            ["/home/dev/data", "/var/lib/docker"],
            ["/etcetera", "/opt/tools"],
        ] {
            try_paths(&paths)
                .await
                .with_context(|| format!("{paths:?}"))?;
        }
        Ok(())
    })
    .await
}
