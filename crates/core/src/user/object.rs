//! Everything a user has: a closed list.

use k8s_openapi::api::{
    core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::core::ObjectMeta;
use serde_json::Value;

/// An object of a user as it should be: only the fields we mean.
#[derive(Clone, Debug, PartialEq)]
pub enum UserObject {
    /// Where everything of the user is.
    Namespace(Box<Namespace>),
    /// What all of it may take together.
    ResourceQuota(Box<ResourceQuota>),
    /// What one of it may take.
    LimitRange(Box<LimitRange>),
    /// Identity of the user's own programs.
    ServiceAccount(Box<ServiceAccount>),
    /// A role the user has there.
    RoleBinding(Box<RoleBinding>),
}

/// Kind of an object of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of Kubernetes")]
pub enum UserKind {
    Namespace,
    ResourceQuota,
    LimitRange,
    ServiceAccount,
    RoleBinding,
}

impl UserKind {
    /// The word in `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::ServiceAccount => "ServiceAccount",
            Self::RoleBinding => "RoleBinding",
        }
    }

    /// API group, empty for the core group, and the word in addresses.
    pub fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::Namespace => ("", "namespaces"),
            Self::ResourceQuota => ("", "resourcequotas"),
            Self::LimitRange => ("", "limitranges"),
            Self::ServiceAccount => ("", "serviceaccounts"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "rolebindings"),
        }
    }
}

impl UserObject {
    /// Kind.
    pub fn kind(&self) -> UserKind {
        match self {
            Self::Namespace(_) => UserKind::Namespace,
            Self::ResourceQuota(_) => UserKind::ResourceQuota,
            Self::LimitRange(_) => UserKind::LimitRange,
            Self::ServiceAccount(_) => UserKind::ServiceAccount,
            Self::RoleBinding(_) => UserKind::RoleBinding,
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        let metadata = match self {
            Self::Namespace(o) => &o.metadata,
            Self::ResourceQuota(o) => &o.metadata,
            Self::LimitRange(o) => &o.metadata,
            Self::ServiceAccount(o) => &o.metadata,
            Self::RoleBinding(o) => &o.metadata,
        };
        metadata.name.as_deref().unwrap_or_default()
    }

    /// Metadata, to be completed.
    pub(super) fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Namespace(o) => &mut o.metadata,
            Self::ResourceQuota(o) => &mut o.metadata,
            Self::LimitRange(o) => &mut o.metadata,
            Self::ServiceAccount(o) => &mut o.metadata,
            Self::RoleBinding(o) => &mut o.metadata,
        }
    }

    /// The JSON that is sent, with `apiVersion` and `kind`.
    pub fn to_value(&self) -> Value {
        let value = match self {
            Self::Namespace(o) => serde_json::to_value(o),
            Self::ResourceQuota(o) => serde_json::to_value(o),
            Self::LimitRange(o) => serde_json::to_value(o),
            Self::ServiceAccount(o) => serde_json::to_value(o),
            Self::RoleBinding(o) => serde_json::to_value(o),
        };
        // Maps with string keys and finite numbers only: this cannot fail.
        value.unwrap_or(Value::Null)
    }
}
