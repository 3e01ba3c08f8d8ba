//! Everything the operator makes: a closed list, in the order it is applied.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::RoleBinding,
};
use kube::core::ObjectMeta;
use serde_json::Value;

/// An object as it should be: only the fields we mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// Identity of the pod, without rights.
    ServiceAccount(Box<ServiceAccount>),
    /// Public keys that may log in.
    Secret(Box<Secret>),
    /// Configuration of the SSH daemon.
    ConfigMap(Box<ConfigMap>),
    /// Headless or SSH Service.
    Service(Box<Service>),
    /// The workload.
    StatefulSet(Box<StatefulSet>),
    /// Who may reach the pod and what it may reach.
    NetworkPolicy(Box<NetworkPolicy>),
    /// What a drain has to wait for.
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    /// Rights of the environment's ServiceAccount.
    RoleBinding(Box<RoleBinding>),
    /// Volume of the Docker daemon. Ours, but never ours to delete: garbage collection does.
    DockerClaim(Box<PersistentVolumeClaim>),
    /// The size of a home that grows. Never created here, and never ours to delete.
    HomeClaim(Box<PersistentVolumeClaim>),
}

/// Kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Kind {
    ServiceAccount,
    Secret,
    ConfigMap,
    Service,
    StatefulSet,
    NetworkPolicy,
    PodDisruptionBudget,
    RoleBinding,
    PersistentVolumeClaim,
}

impl Kind {
    /// Kinds the operator owns and keeps as they should be.
    pub const OWNED: [Self; 8] = [
        Self::ServiceAccount,
        Self::Secret,
        Self::ConfigMap,
        Self::Service,
        Self::StatefulSet,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::RoleBinding,
    ];

    /// The word in `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::StatefulSet => "StatefulSet",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::RoleBinding => "RoleBinding",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
        }
    }

    /// API group (empty: the core one) and plural: where the API server has objects of this kind, in version `v1`.
    pub fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::ServiceAccount => ("", "serviceaccounts"),
            Self::Secret => ("", "secrets"),
            Self::ConfigMap => ("", "configmaps"),
            Self::Service => ("", "services"),
            Self::PersistentVolumeClaim => ("", "persistentvolumeclaims"),
            Self::StatefulSet => ("apps", "statefulsets"),
            Self::NetworkPolicy => ("networking.k8s.io", "networkpolicies"),
            Self::PodDisruptionBudget => ("policy", "poddisruptionbudgets"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "rolebindings"),
        }
    }
}

impl Object {
    /// Kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ServiceAccount(_) => Kind::ServiceAccount,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Service(_) => Kind::Service,
            Self::StatefulSet(_) => Kind::StatefulSet,
            Self::NetworkPolicy(_) => Kind::NetworkPolicy,
            Self::PodDisruptionBudget(_) => Kind::PodDisruptionBudget,
            Self::RoleBinding(_) => Kind::RoleBinding,
            Self::HomeClaim(_) | Self::DockerClaim(_) => Kind::PersistentVolumeClaim,
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::ServiceAccount(o) => &o.metadata,
            Self::Secret(o) => &o.metadata,
            Self::ConfigMap(o) => &o.metadata,
            Self::Service(o) => &o.metadata,
            Self::StatefulSet(o) => &o.metadata,
            Self::NetworkPolicy(o) => &o.metadata,
            Self::PodDisruptionBudget(o) => &o.metadata,
            Self::RoleBinding(o) => &o.metadata,
            Self::HomeClaim(o) | Self::DockerClaim(o) => &o.metadata,
        }
    }

    /// Metadata, to be completed.
    pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::ServiceAccount(o) => &mut o.metadata,
            Self::Secret(o) => &mut o.metadata,
            Self::ConfigMap(o) => &mut o.metadata,
            Self::Service(o) => &mut o.metadata,
            Self::StatefulSet(o) => &mut o.metadata,
            Self::NetworkPolicy(o) => &mut o.metadata,
            Self::PodDisruptionBudget(o) => &mut o.metadata,
            Self::RoleBinding(o) => &mut o.metadata,
            Self::HomeClaim(o) | Self::DockerClaim(o) => &mut o.metadata,
        }
    }

    /// Whether it must belong to the DevServer to be written. A home outlives its DevServer and belongs to nobody.
    pub fn is_owned(&self) -> bool {
        !matches!(self, Self::HomeClaim(_))
    }

    /// The JSON that is sent, with `apiVersion` and `kind`.
    pub fn to_value(&self) -> Value {
        let value = match self {
            Self::ServiceAccount(o) => serde_json::to_value(o),
            Self::Secret(o) => serde_json::to_value(o),
            Self::ConfigMap(o) => serde_json::to_value(o),
            Self::Service(o) => serde_json::to_value(o),
            Self::StatefulSet(o) => serde_json::to_value(o),
            Self::NetworkPolicy(o) => serde_json::to_value(o),
            Self::PodDisruptionBudget(o) => serde_json::to_value(o),
            Self::RoleBinding(o) => serde_json::to_value(o),
            Self::HomeClaim(o) | Self::DockerClaim(o) => serde_json::to_value(o),
        };
        // Maps with string keys and finite numbers only: this cannot fail.
        value.unwrap_or(Value::Null)
    }
}
