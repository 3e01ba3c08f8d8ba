//! Every way a spec can be wrong: which field, why, and what to do.

use devserver_api::{
    duration::DurationError, image::ImageError, names::NameError, quantity::QuantityError,
};

mod access;

pub use access::InvalidAccess;

mod features;
mod idle;
mod network;
mod placement;
mod resources;
mod team;
mod volumes;

pub use features::FeatureError;
pub use idle::IdleError;
pub use network::NetworkError;
pub use placement::PlacementError;
pub use resources::ResourcesError;
pub use team::{TEAM_QUOTA_EXCEEDED, TeamError};
pub use volumes::VolumeError;

/// Why a DevServer cannot be turned into an environment. What runs already is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The name leaves no room for what Kubernetes adds.
    #[error("metadata.name {0}")]
    Name(#[source] NameError),
    /// Team, project, or what they may use.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// Something of `spec.ssh`.
    #[error(transparent)]
    Access(#[from] InvalidAccess),
    /// A package that pip should install is not one requirement.
    #[error(
        "spec.packages.pip[{index}] {text:?} must be one package as pip takes it, without spaces, options, addresses or paths, \
         such as numpy, pandas==2.2.3 or httpx[http2]>=0.27"
    )]
    Package {
        /// Place in the list.
        index: usize,
        /// The text asked for.
        text: String,
    },
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
    /// The image is not a reference.
    #[error("spec.image {image:?} {error}")]
    Image {
        /// The text asked for.
        image: String,
        /// What is wrong with it.
        #[source]
        error: ImageError,
    },
    /// The image is of no registry or folder that the platform allows.
    #[error("spec.image {image:?}: {allowed}")]
    ImageNotAllowed {
        /// The image asked for.
        image: String,
        /// A sentence that lists what is allowed, with the remedy.
        allowed: String,
    },
    /// The login user could not be one.
    #[error(
        "{field} {name:?} cannot be a login user; name the user with id 1000 that the image was made for, such as coder, or remove the field"
    )]
    LoginUser {
        /// `spec.loginUser`, or that of the flavor.
        field: &'static str,
        /// The word.
        name: String,
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
    /// A claim cannot be mounted as asked.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Requests and limits cannot be had.
    #[error(transparent)]
    Resources(#[from] ResourcesError),
    /// It cannot be reached as asked.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It cannot run where or as it is asked to.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Editor, Docker or rights in the cluster cannot be had.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// What it says about its idleness goes beyond what it may.
    #[error(transparent)]
    Idle(#[from] IdleError),
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
    /// Whether it can be mended by something that no watch tells of.
    pub fn is_mended_unseen(&self) -> bool {
        matches!(
            self,
            Self::Access(
                InvalidAccess::KeysNotFound { .. }
                    | InvalidAccess::PasswordHashNotFound { .. }
                    | InvalidAccess::PasswordHash { .. }
            )
                | Self::Placement(PlacementError::HomeInAnotherZone { .. })
                // A flavor that shrinks makes room, too; the usual ways are told by a watch.
                | Self::Team(
                    TeamError::QuotaExceeded { .. }
                        | TeamError::BudgetSpent { .. }
                        | TeamError::BudgetUnknown { .. }
                )
        )
    }

    /// Whether rights that were given before are to be taken, though all else stays as it is.
    pub fn revokes(&self) -> bool {
        matches!(
            self,
            Self::Feature(FeatureError::KubeAccessNotAllowed { .. })
        )
    }

    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "InvalidName",
            Self::Team(team) => team.reason(),
            Self::Access(access) => access.reason(),
            Self::Package { .. } => "InvalidPackage",
            Self::FlavorNotFound { .. } => "FlavorNotFound",
            Self::NoDefaultFlavor { .. } => "NoDefaultFlavor",
            Self::Image { .. } => "InvalidImage",
            Self::ImageNotAllowed { .. } => "ImageNotAllowed",
            Self::LoginUser { .. } => "InvalidLoginUser",
            Self::HomeSize(_) => "InvalidHomeSize",
            Self::HomeTooLarge { .. } => "HomeTooLarge",
            Self::HomeShrinks { .. } => "HomeShrinks",
            Self::HomeOfAnotherOwner { .. } => "HomeOfAnotherOwner",
            Self::Volume(error) => error.reason(),
            Self::Resources(error) => error.reason(),
            Self::Network(error) => error.reason(),
            Self::Placement(error) => error.reason(),
            Self::Feature(error) => error.reason(),
            Self::Idle(_) => "InvalidIdle",
            Self::StorageClassName => "InvalidStorageClass",
            Self::TimeToLive(_) | Self::TimeToLiveTooLong { .. } => "InvalidTimeToLive",
        }
    }
}
