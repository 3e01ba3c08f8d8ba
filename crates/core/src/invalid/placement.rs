//! What can be wrong with where and how often an environment shall run.

/// Why an environment cannot run where or as it is asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Not a label key.
    #[error(
        "spec.topologySpread.topologyKey {0:?} must be the key of a node label, such as kubernetes.io/hostname"
    )]
    TopologyKey(String),
    /// Nothing would ever fit.
    #[error("spec.topologySpread.maxSkew must be at least 1")]
    MaxSkew,
    /// A home can be mounted by one pod only.
    #[error(
        "spec.autoscaling is not possible, because the home volume is ReadWriteOnce and one pod alone can have it; remove the field, and ask for more with spec.resources or a larger flavor"
    )]
    AutoscalingNeedsSharedHome,
    /// Not a name.
    #[error(
        "spec.imagePullSecrets[{0}] must be the name of a Secret in the same namespace, such as registry-login"
    )]
    PullSecretName(usize),
    /// The home's volume is where no node of the flavor is.
    #[error(
        "the home volume is {place}, and no node that the flavor {flavor:?} selects is there; choose a flavor with nodes {place}, or have an administrator add one; the home stays as it is"
    )]
    HomeInAnotherZone {
        /// Where the volume is, for people: `in zone eu-1a`.
        place: String,
        /// The flavor.
        flavor: String,
    },
}

impl PlacementError {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TopologyKey(_) | Self::MaxSkew => "InvalidTopologySpread",
            Self::AutoscalingNeedsSharedHome => "AutoscalingNeedsSharedHome",
            Self::PullSecretName(_) => "InvalidImagePullSecret",
            Self::HomeInAnotherZone { .. } => "HomeInAnotherZone",
        }
    }
}
