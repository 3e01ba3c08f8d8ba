//! What can be wrong with claims and where they are mounted.

/// Why a claim cannot be mounted as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Not a name.
    #[error(
        "{field} must be the name of a PersistentVolumeClaim in the same namespace, such as datasets"
    )]
    ClaimName {
        /// `spec.volumes[0].claimName`.
        field: String,
    },
    /// No such claim.
    #[error(
        "{field}: there is no PersistentVolumeClaim {claim:?} in this namespace; create it, or remove the field"
    )]
    ClaimNotFound {
        /// `spec.volumes[0].claimName`.
        field: String,
        /// The name.
        claim: String,
    },
    /// It belongs to somebody, or nobody has said that it may be shared.
    #[error(
        "{field}: the PersistentVolumeClaim {claim:?} is not for this DevServer; an administrator can share it with the label devserver.io/shared=true"
    )]
    ClaimNotShared {
        /// `spec.volumes[0].claimName`.
        field: String,
        /// The name.
        claim: String,
    },
    /// The home is there already.
    #[error(
        "{field}: {claim:?} is the home of this DevServer and mounted at /home/dev already; remove the entry"
    )]
    OwnHome {
        /// `spec.volumes[0].claimName`.
        field: String,
        /// The name.
        claim: String,
    },
    /// Not a path that can be compared with others.
    #[error(
        "{field} {path:?} must be an absolute path of letters, digits and ._@+=~-, without '..', '.', '//' or '/' at the end, such as /data"
    )]
    PathSyntax {
        /// `spec.volumes[0].mountPath`.
        field: String,
        /// The path.
        path: String,
    },
    /// It would hide what the environment needs.
    #[error(
        "{field} {path:?} is not possible, because {reserved} belongs to the system; choose another path, such as /data"
    )]
    PathReserved {
        /// `spec.volumes[0].mountPath`.
        field: String,
        /// The path.
        path: String,
        /// What it would hide or lie in.
        reserved: String,
    },
    /// Something else is mounted there.
    #[error(
        "{field} {path:?} overlaps with {other:?} of {with}; choose another path, such as /data"
    )]
    PathTaken {
        /// `spec.volumes[1].mountPath`.
        field: String,
        /// The path.
        path: String,
        /// The path that is taken.
        other: String,
        /// Who has it.
        with: String,
    },
}

impl VolumeError {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ClaimName { .. } => "InvalidClaimName",
            Self::ClaimNotFound { .. } => "ClaimNotFound",
            Self::ClaimNotShared { .. } | Self::OwnHome { .. } => "ClaimNotShared",
            Self::PathSyntax { .. } | Self::PathReserved { .. } | Self::PathTaken { .. } => {
                "InvalidMountPath"
            }
        }
    }
}
