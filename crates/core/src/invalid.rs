//! Every way a spec can be wrong: which field, why, and what to do.

use devserver_api::{
    duration::DurationError, image::ImageError, names::NameError, quantity::QuantityError,
    ssh_key::KeyError,
};

/// Why a DevServer cannot be turned into an environment. What runs already is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The name leaves no room for what Kubernetes adds.
    #[error("metadata.name {0}")]
    Name(#[source] NameError),
    /// A key of `spec.ssh` is not a key.
    #[error("{field} {error}")]
    Key {
        /// `spec.ssh.publicKey` or `spec.ssh.publicKeys[2]`.
        field: String,
        /// What is wrong with it.
        #[source]
        error: KeyError,
    },
    /// Nobody could log in.
    #[error("spec.ssh needs publicKey or publicKeys, or nobody could log in")]
    NoKey,
    /// The message of the day holds control characters.
    #[error(
        "spec.ssh.motd must not hold control characters; they could take over the reader's terminal"
    )]
    Motd,
    /// The flavor named does not exist.
    #[error("spec.flavor: there is no DevServerFlavor {name:?}; {available}")]
    FlavorNotFound {
        /// The name asked for.
        name: String,
        /// A sentence that lists what there is.
        available: String,
    },
    /// No flavor named and none is the default.
    #[error("spec.flavor is needed, because no DevServerFlavor is the default; {available}")]
    NoDefaultFlavor {
        /// A sentence that lists what there is.
        available: String,
    },
    /// No flavor named and more than one is the default.
    #[error(
        "spec.flavor is needed, because more than one DevServerFlavor is the default: {0}; an administrator should leave one"
    )]
    AmbiguousDefaultFlavor(String),
    /// The image is not a reference.
    #[error("spec.image {image:?} {error}")]
    Image {
        /// The text asked for.
        image: String,
        /// What is wrong with it.
        #[source]
        error: ImageError,
    },
    /// The home size is not a size.
    #[error("spec.persistentHomeSize {0}")]
    HomeSize(#[source] QuantityError),
    /// The home is larger than the platform allows.
    #[error(
        "spec.persistentHomeSize is larger than the {max} this platform allows; ask for less, or ask an administrator"
    )]
    HomeTooLarge {
        /// The platform's bound.
        max: String,
    },
    /// The home claim is larger already.
    #[error(
        "spec.persistentHomeSize {asked} is less than the {actual} the home has; a volume cannot shrink, ask for at least {actual}"
    )]
    HomeShrinks {
        /// What the spec says.
        asked: String,
        /// What the claim has.
        actual: String,
    },
    /// A home claim of that name is kept for somebody else.
    #[error(
        "metadata.name: the home volume {claim} was kept for another owner ({owner}); choose another name, or have an administrator remove the claim"
    )]
    HomeOfAnotherOwner {
        /// The claim.
        claim: String,
        /// Who it was kept for.
        owner: String,
    },
    /// The shared claim is not a name.
    #[error(
        "spec.sharedVolumeClaimName must be the name of a PersistentVolumeClaim in the same namespace"
    )]
    ClaimName,
    /// The shared claim does not exist.
    #[error(
        "spec.sharedVolumeClaimName: there is no PersistentVolumeClaim {0:?} in this namespace; create it, or remove the field"
    )]
    ClaimNotFound(String),
    /// The storage class is not a name.
    #[error("spec.storageClassName must be the name of a StorageClass")]
    StorageClassName,
    /// The time to live is not a duration.
    #[error("spec.lifecycle.timeToLive {0}")]
    TimeToLive(#[source] DurationError),
    /// The time to live is longer than the platform allows.
    #[error(
        "spec.lifecycle.timeToLive is longer than the {max} this platform allows; ask for less"
    )]
    TimeToLiveTooLong {
        /// The platform's bound.
        max: String,
    },
}

impl Invalid {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "InvalidName",
            Self::Key { .. } | Self::NoKey => "InvalidPublicKey",
            Self::Motd => "InvalidMotd",
            Self::FlavorNotFound { .. } => "FlavorNotFound",
            Self::NoDefaultFlavor { .. } => "NoDefaultFlavor",
            Self::AmbiguousDefaultFlavor(_) => "AmbiguousDefaultFlavor",
            Self::Image { .. } => "InvalidImage",
            Self::HomeSize(_) => "InvalidHomeSize",
            Self::HomeTooLarge { .. } => "HomeTooLarge",
            Self::HomeShrinks { .. } => "HomeShrinks",
            Self::HomeOfAnotherOwner { .. } => "HomeOfAnotherOwner",
            Self::ClaimName => "InvalidClaimName",
            Self::ClaimNotFound(_) => "ClaimNotFound",
            Self::StorageClassName => "InvalidStorageClass",
            Self::TimeToLive(_) | Self::TimeToLiveTooLong { .. } => "InvalidTimeToLive",
        }
    }
}
