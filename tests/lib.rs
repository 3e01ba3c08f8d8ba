//! What several promises share: an operator at work, and a DevServer that runs.

pub mod programs;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, DevServerFlavor, DevServerStatus, Phase, condition};
use devserver_testkit::{
    Operator, Scene,
    kubelet::{Fortune, Kubelet},
    operator::Settings,
    sample,
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{Namespace, PersistentVolume, PersistentVolumeClaim, Pod},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// A scene with two flavors, an operator, and a stand-in for the node.
pub struct Rig {
    /// Namespace of the test.
    pub scene: Scene,
    /// Operator of that namespace.
    pub operator: Operator,
    /// What happens to pods.
    pub kubelet: Kubelet,
    /// Name of the small flavor.
    pub small: String,
    /// Name of the large flavor.
    pub large: String,
}

impl Rig {
    /// Everything at work; pods become Ready at once.
    pub async fn new(scene: Scene) -> anyhow::Result<Self> {
        Self::with_fortune(scene, Fortune::Ready).await
    }

    /// Everything at work; pods fare as told.
    pub async fn with_fortune(scene: Scene, fortune: Fortune) -> anyhow::Result<Self> {
        let settings = Settings::alone(scene.namespace());
        Self::with(scene, fortune, &settings).await
    }

    /// Everything at work, the operator with that configuration file; pods become Ready at once.
    pub async fn with_config(scene: Scene, config: &str) -> anyhow::Result<Self> {
        let settings = Settings {
            config: Some(config.to_owned()),
            ..Settings::alone(scene.namespace())
        };
        Self::with_settings(scene, &settings).await
    }

    /// As [`Rig::with_config`], and it looks at everything each second: for tests that move the clock.
    pub async fn attentive(scene: Scene, config: &str) -> anyhow::Result<Self> {
        let settings = Settings {
            config: Some(config.to_owned()),
            resync: 1,
            ..Settings::alone(scene.namespace())
        };
        Self::with_settings(scene, &settings).await
    }

    /// Everything at work, the operator with those settings; pods become Ready at once.
    pub async fn with_settings(scene: Scene, settings: &Settings) -> anyhow::Result<Self> {
        Self::with(scene, Fortune::Ready, settings).await
    }

    async fn with(scene: Scene, fortune: Fortune, settings: &Settings) -> anyhow::Result<Self> {
        let small = scene.flavor("small", "500m", "1Gi").await?;
        let large = scene.flavor("large", "1", "2Gi").await?;
        Ok(Self {
            kubelet: scene.kubelet(fortune),
            operator: scene.operator_with(settings).await?,
            scene,
            small,
            large,
        })
    }

    /// A DevServer of the small flavor, not created yet.
    pub fn sample(&self) -> DevServer {
        sample::devserver(sample::NAME, &self.small)
    }

    /// Creates the sample and waits until it runs.
    pub async fn running(&self) -> anyhow::Result<DevServer> {
        self.scene.create(&self.sample()).await?;
        self.scene.status(sample::NAME, "runs", is_running).await
    }

    /// UIDs of the pod and the home claim of the sample: what a mistake must not cost.
    pub async fn precious(&self) -> anyhow::Result<(String, String)> {
        let pod = self
            .scene
            .api::<Pod>()
            .get(&format!("{}-0", sample::NAME))
            .await?;
        let home = format!("home-{}-0", sample::NAME);
        let home = self.scene.api::<PersistentVolumeClaim>().get(&home).await?;
        Ok((pod.uid().context("no uid")?, home.uid().context("no uid")?))
    }

    /// The sample as it is now, to compare with later.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        Ok(Snapshot {
            precious: self.precious().await?,
            workload: self.scene.api::<StatefulSet>().get(sample::NAME).await?,
        })
    }

    /// Demands that neither the pod nor the home is another than at the snapshot, and the StatefulSet asks for the same.
    pub async fn is_unchanged_since(&self, before: &Snapshot) -> anyhow::Result<()> {
        let after = self.snapshot().await?;
        ensure!(
            after.workload.spec == before.workload.spec
                && after.workload.metadata.generation == before.workload.metadata.generation,
            "the StatefulSet was changed"
        );
        ensure!(
            after.precious == before.precious,
            "the pod or the home was lost"
        );
        Ok(())
    }

    /// Names of all objects of one kind.
    pub async fn names<K>(&self) -> anyhow::Result<Vec<String>>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let list = self.scene.api::<K>().list(&ListParams::default()).await?;
        Ok(list.iter().map(kube::ResourceExt::name_any).collect())
    }

    /// Changes an object as an administrator who should have left it alone.
    pub async fn meddle<K>(&self, name: &str, patch: Value) -> anyhow::Result<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let params = PatchParams {
            field_manager: Some("meddler".to_owned()),
            ..PatchParams::default()
        };
        Ok(self
            .scene
            .api::<K>()
            .patch(name, &params, &Patch::Merge(patch))
            .await?)
    }
}

/// What no mistake of a user may cost or change.
pub struct Snapshot {
    precious: (String, String),
    workload: StatefulSet,
}

/// Whether it runs.
pub fn is_running(status: &DevServerStatus) -> bool {
    status.phase == Some(Phase::Running)
}

/// The condition of that type.
pub fn condition<'a>(status: &'a DevServerStatus, type_: &str) -> Option<&'a Condition> {
    condition::find(&status.conditions, type_)
}

/// Whether the condition has that reason.
pub fn has_reason(status: &DevServerStatus, type_: &str, reason: &str) -> bool {
    condition(status, type_).is_some_and(|c| c.reason == reason)
}

/// Waits until the sample's spec is judged with that reason: the status, and the message that goes with the reason.
pub async fn judged(scene: &Scene, reason: &str) -> anyhow::Result<(DevServerStatus, String)> {
    let told = scene
        .status(sample::NAME, reason, |s| {
            has_reason(s, condition::VALID, reason)
        })
        .await?;
    let status = told.status.context("no status")?;
    let valid = condition(&status, condition::VALID).context("no condition")?;
    let message = valid.message.clone();
    Ok((status, message))
}

/// The sample that restarts by itself for changes that need it.
pub fn automatic(rig: &Rig) -> DevServer {
    let mut server = rig.sample();
    server.spec.lifecycle = Some(devserver_api::LifecycleSpec {
        restart_policy: Some(devserver_api::RestartPolicy::Automatic),
        ..devserver_api::LifecycleSpec::default()
    });
    server
}

/// Changes the labels of the scene's namespace, as who looks after the cluster does.
pub async fn label_namespace(scene: &Scene, labels: Value) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
    let namespaces: Api<Namespace> = Api::all(scene.client());
    namespaces
        .patch(scene.namespace(), &PatchParams::default(), &patch)
        .await
        .context("failed to label the namespace")?;
    Ok(())
}

/// The sample with a time to live.
pub fn short_lived(rig: &Rig, ttl: &str) -> DevServer {
    let mut server = rig.sample();
    server.spec.lifecycle = Some(devserver_api::LifecycleSpec {
        time_to_live: Some(ttl.to_owned()),
        ..devserver_api::LifecycleSpec::default()
    });
    server
}

/// How many events about a DevServer have that reason.
pub async fn events(scene: &Scene, server: &str, reason: &str) -> anyhow::Result<usize> {
    let list = scene
        .api::<k8s_openapi::api::events::v1::Event>()
        .list(&ListParams::default())
        .await?;
    let about = |e: &k8s_openapi::api::events::v1::Event| {
        e.reason.as_deref() == Some(reason)
            && e.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(server)
    };
    // One event object counts as often as it says.
    Ok(list
        .iter()
        .filter(|e| about(e))
        .map(|e| {
            e.series
                .as_ref()
                .map_or(1, |s| usize::try_from(s.count).unwrap_or(1))
        })
        .sum())
}

/// A flavor of the scene with that spec.
pub async fn offer(scene: &Scene, size: &str, spec: Value) -> anyhow::Result<String> {
    let name = scene.flavor_name(size);
    let mut flavor: DevServerFlavor = serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": name}, "spec": spec,
    }))?;
    scene.own(&mut flavor.metadata);
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    api.create(&PostParams::default(), &flavor)
        .await
        .context("failed to create the flavor")?;
    Ok(name)
}

/// A claim as an administrator makes it, with that label.
pub async fn claim(scene: &Scene, name: &str, label: Option<(&str, &str)>) -> anyhow::Result<()> {
    let labels: std::collections::BTreeMap<&str, &str> = label.into_iter().collect();
    let claim = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }))?;
    let api = scene.api::<PersistentVolumeClaim>();
    api.create(&PostParams::default(), &claim).await?;
    Ok(())
}

/// The label by which an administrator lets a namespace's DevServers mount a claim.
pub const SHARED: Option<(&str, &str)> = Some((devserver_api::group::LABEL_SHARED, "true"));

/// The message of a refusal by the API server.
pub fn refusal<T>(result: Result<T, kube::Error>) -> anyhow::Result<String> {
    match result {
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(other) => Err(other.into()),
        Ok(_) => anyhow::bail!("the API server accepted it"),
    }
}

/// A class whose volumes may grow, and one volume of it for the home: what a provisioner would make.
pub async fn expandable_home(scene: &Scene, claim: &str) -> anyhow::Result<String> {
    let name = scene.flavor_name("class");
    let mut class: StorageClass = serde_json::from_value(json!({
        "metadata": {"name": name}, "provisioner": "test.devserver.io/none", "allowVolumeExpansion": true,
    }))?;
    scene.own(&mut class.metadata);
    Api::<StorageClass>::all(scene.client())
        .create(&PostParams::default(), &class)
        .await?;
    let mut volume: PersistentVolume = serde_json::from_value(json!({
        "metadata": {"name": scene.flavor_name("volume")},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name,
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": scene.namespace(), "name": claim},
        },
    }))?;
    scene.own(&mut volume.metadata);
    Api::<PersistentVolume>::all(scene.client())
        .create(&PostParams::default(), &volume)
        .await?;
    Ok(name)
}
