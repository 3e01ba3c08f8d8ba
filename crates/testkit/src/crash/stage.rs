//! What a story has at hand.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::{ResourceExt as _, api::ListParams};

use super::Story;
use crate::{
    Operator, Scene,
    agent::Agent,
    kubelet::{Fortune, Kubelet},
};

/// What a story has at hand.
pub struct Stage {
    /// Namespace of its own.
    pub scene: Scene,
    /// Operator that is killed and revived.
    pub operator: Operator,
    /// Stand-in for the node.
    pub kubelet: Kubelet,
    /// Stand-in for the agent of the environment, where the kubelet says it is there.
    pub agent: Agent,
}

impl Stage {
    pub(super) async fn set(scene: Scene, story: impl Story) -> anyhow::Result<Self> {
        scene.flavor("small", "500m", "1Gi").await?;
        scene.flavor("large", "1", "2Gi").await?;
        scene.flavor("huge", "2", "100Gi").await?;
        let kubelet = scene.kubelet(Fortune::Hold);
        let settings = story.settings(scene.namespace());
        let operator = scene.operator_with(&settings).await?;
        Ok(Self {
            scene,
            operator,
            kubelet,
            agent: Agent::start().await?,
        })
    }
    /// What must never be made anew: home claims, host keys, running pods.
    pub(super) async fn identities(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let all = ListParams::default();
        for claim in self.scene.api::<PersistentVolumeClaim>().list(&all).await? {
            found.insert(
                format!("claim {}", claim.name_any()),
                claim.uid().unwrap_or_default(),
            );
        }
        for secret in self.scene.api::<Secret>().list(&all).await? {
            if secret.name_any().ends_with("-host-keys") {
                found.insert(
                    format!("secret {}", secret.name_any()),
                    secret.uid().unwrap_or_default(),
                );
            }
        }
        for pod in self.scene.api::<Pod>().list(&all).await? {
            found.insert(
                format!("pod {}", pod.name_any()),
                pod.uid().unwrap_or_default(),
            );
        }
        Ok(found)
    }
}
