//! What can be wrong with editor, Docker and rights in the cluster.

use devserver_api::{port::PortError, quantity::QuantityError};

/// Why an environment cannot have what it asks for beside shells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// Nothing would keep strangers out of the editor, which asks for no password.
    #[error(
        "spec.editor.enabled: the editor is open to whoever reaches it, and this platform gives environments no NetworkPolicy; \
         remove the field, or ask an administrator to set networkPolicy.enabled"
    )]
    EditorNeedsNetworkPolicy,
    /// Nothing would keep strangers away from ports that are said to be private.
    #[error(
        "spec.ports: this platform gives environments no NetworkPolicy, so nothing would keep others away from these ports; \
         remove the field, or ask an administrator to set networkPolicy.enabled"
    )]
    PortsNeedNetworkPolicy,
    /// A port is to be shown to everybody.
    #[error(
        "spec.ports: the port {name:?} has share: Authenticated, and this platform shows ports to owners and collaborators alone; \
         set it to Owner and name people in spec.collaborators, or ask an administrator for allowSharedPorts"
    )]
    SharedPortNotAllowed {
        /// What the port is called.
        name: String,
    },
    /// A port that cannot be shown.
    #[error("spec.ports: {0}")]
    Port(#[source] PortError),
    /// No daemon of that kind here.
    #[error("spec.docker.enabled: {why}")]
    DockerNotAllowed {
        /// Who does not allow it, with the remedy.
        why: String,
    },
    /// Its volume's size is not a size.
    #[error("spec.docker.storageSize {0}")]
    DockerSize(#[source] QuantityError),
    /// Its volume is larger than the platform allows.
    #[error(
        "spec.docker.storageSize is larger than the {max} this platform allows; ask for less, or ask an administrator"
    )]
    DockerTooLarge {
        /// The platform's bound.
        max: String,
    },
    /// Its volume is larger already.
    #[error(
        "spec.docker.storageSize {asked} is less than the {actual} the volume has; a volume cannot shrink, ask for at least {actual}"
    )]
    DockerShrinks {
        /// What the spec says.
        asked: String,
        /// What the claim has.
        actual: String,
    },
    /// The storage class is not a name.
    #[error("spec.docker.storageClassName must be the name of a StorageClass")]
    DockerStorageClass,
    /// The role is not among those that the platform lists.
    #[error("spec.kubeAccess.role {role:?}: {allowed}")]
    KubeAccessNotAllowed {
        /// The role asked for.
        role: String,
        /// A sentence that lists what is allowed, with the remedy.
        allowed: String,
    },
}

impl FeatureError {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::EditorNeedsNetworkPolicy => "EditorNeedsNetworkPolicy",
            Self::PortsNeedNetworkPolicy => "PortsNeedNetworkPolicy",
            Self::SharedPortNotAllowed { .. } => "SharedPortNotAllowed",
            Self::Port(_) => "InvalidPort",
            Self::DockerNotAllowed { .. } => "DockerNotAllowed",
            Self::DockerSize(_)
            | Self::DockerTooLarge { .. }
            | Self::DockerShrinks { .. }
            | Self::DockerStorageClass => "InvalidDockerStorage",
            Self::KubeAccessNotAllowed { .. } => "KubeAccessNotAllowed",
        }
    }
}
