//! What an environment offers beside shells: an editor in the browser, a Docker daemon, rights in the cluster.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// VS Code in the browser, reached through the platform's console.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EditorSpec {
    /// Serve it.
    pub enabled: bool,
}

/// A Docker daemon of the environment's own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.storageClassName) || (has(self.storageClassName) && self.storageClassName == oldSelf.storageClassName)").message("spec.docker.storageClassName cannot change; a volume cannot move to another class").field_path(".storageClassName")
)]
pub struct DockerSpec {
    /// Run it.
    pub enabled: bool,
    /// Size of its volume at `/var/lib/docker`, such as `50Gi`. Can grow, never shrink. Absent: the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0").message("spec.docker.storageSize must be a Kubernetes quantity of at least 1Mi, such as 50Gi"),
        validation = Rule::new("!isQuantity(self) || quantity(self).compareTo(quantity('1Pi')) <= 0").message("spec.docker.storageSize is too large: at most 1Pi")
    )]
    pub storage_size: Option<String>,
    /// StorageClass of its volume. Absent: the cluster's default class. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

/// Rights of the environment's programs in its own namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct KubeAccessSpec {
    /// ClusterRole that the environment's ServiceAccount has in the namespace of the DevServer, such as `view`. The platform
    /// lists those that may be chosen, and whoever chooses must be allowed to bind it.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$')").message("spec.kubeAccess.role must be the name of a ClusterRole, such as view"))]
    pub role: String,
}

/// How a Docker daemon runs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DockerMode {
    /// Not at all.
    None,
    /// Without any right over the node: in the pod's user namespace.
    #[default]
    Rootless,
    /// As root of the node (document 004). Who can use it can take over the node.
    Privileged,
}

impl DockerMode {
    /// The word as it stands in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Rootless => "Rootless",
            Self::Privileged => "Privileged",
        }
    }
}

/// How to reach the editor.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EditorStatus {
    /// Port of the pod that it serves at. Only the platform's console is let in.
    pub port: i32,
}
