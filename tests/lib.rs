//! What several promises share: an operator at work, and a DevServer that runs.

use anyhow::Context as _;
use devserver_api::{DevServer, DevServerStatus, Phase, condition};
use devserver_testkit::{
    Operator, Scene,
    kubelet::{Fortune, Kubelet},
    sample,
};
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::Value;

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
        let small = scene.flavor("small", "500m", "1Gi").await?;
        let large = scene.flavor("large", "1", "2Gi").await?;
        let kubelet = scene.kubelet(fortune);
        let operator = scene.operator().await?;
        Ok(Self {
            scene,
            operator,
            kubelet,
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

/// The message of a refusal by the API server.
pub fn refusal<T>(result: Result<T, kube::Error>) -> anyhow::Result<String> {
    match result {
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(other) => Err(other.into()),
        Ok(_) => anyhow::bail!("the API server accepted it"),
    }
}
