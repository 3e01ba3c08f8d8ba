//! What can be wrong with the resources that are asked for.

/// Why requests and limits cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourcesError {
    /// A value is not a quantity.
    #[error(
        "{field} {value:?} is not a Kubernetes quantity; write a number and a unit, such as {example}"
    )]
    Syntax {
        /// `spec.resources.requests.memory`.
        field: String,
        /// What is written there.
        value: String,
        /// What it could look like.
        example: &'static str,
    },
    /// A value is too small to be meant.
    #[error("{field} {value} is too small: at least {least}, such as {example}")]
    TooSmall {
        /// `spec.resources.requests.cpu`.
        field: String,
        /// What is asked for.
        value: String,
        /// What has to be asked for at least.
        least: &'static str,
        /// What it could look like.
        example: &'static str,
    },
    /// Only whole ones are handed out.
    #[error("{field} {value} must be a whole number, such as 1")]
    NotWhole {
        /// `spec.resources.limits.nvidia.com/gpu`.
        field: String,
        /// What is asked for.
        value: String,
    },
    /// The flavor has none of it.
    #[error(
        "{field}: the flavor {flavor:?} offers no {resource}; it offers {offered}; choose another flavor, see `devctl flavors`"
    )]
    NotOffered {
        /// `spec.resources.limits.nvidia.com/gpu`.
        field: String,
        /// The resource.
        resource: String,
        /// The flavor.
        flavor: String,
        /// What the flavor has, for people.
        offered: String,
    },
    /// More than the flavor allows.
    #[error(
        "{field} {asked} is more than the {allowed} that the flavor {flavor:?} allows; ask for less, or choose a larger flavor, see `devctl flavors`"
    )]
    TooLarge {
        /// `spec.resources.requests.memory`.
        field: String,
        /// What is asked for.
        asked: String,
        /// What may be asked for.
        allowed: String,
        /// The flavor.
        flavor: String,
    },
    /// More is set aside than may be used.
    #[error(
        "spec.resources.requests.{resource} {request} is more than spec.resources.limits.{resource} {limit}; raise the limit, or leave it out: it then follows the request"
    )]
    RequestAboveLimit {
        /// The resource.
        resource: String,
        /// What is set aside.
        request: String,
        /// What may be used.
        limit: String,
    },
    /// A device cannot be shared, so Kubernetes wants both to be the same.
    #[error(
        "spec.resources: {resource} cannot be overcommitted, but requests has {request} and limits has {limit}; give one of them only"
    )]
    NotShareable {
        /// The resource.
        resource: String,
        /// What is set aside.
        request: String,
        /// What may be used.
        limit: String,
    },
    /// Guaranteed memory needs a guaranteed CPU (decision C-QOS).
    #[error(
        "spec.resources.requests.cpu is needed, because {memory} of memory are more than {threshold} and therefore guaranteed, which Kubernetes does only together with the CPU; set it, or choose a flavor that has it"
    )]
    GuaranteeNeedsCpu {
        /// Memory that is asked for.
        memory: String,
        /// The platform's threshold.
        threshold: String,
    },
    /// The administrator's mistake.
    #[error(
        "spec.flavor: the flavor {flavor:?} cannot be used: {why}; choose another flavor, or have an administrator correct it"
    )]
    Flavor {
        /// The flavor.
        flavor: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ResourcesError {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Syntax { .. }
            | Self::TooSmall { .. }
            | Self::NotWhole { .. }
            | Self::RequestAboveLimit { .. }
            | Self::NotShareable { .. }
            | Self::GuaranteeNeedsCpu { .. } => "InvalidResources",
            Self::NotOffered { .. } => "FlavorNotAllowed",
            Self::TooLarge { .. } => "ResourcesTooLarge",
            Self::Flavor { .. } => "InvalidFlavor",
        }
    }
}
