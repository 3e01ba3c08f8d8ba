//! What can be wrong with `spec.idle`.

use devserver_api::duration::DurationError;

/// Why `spec.idle` cannot be used as it is. The platform's own policy holds meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdleError {
    /// A stage has no duration.
    #[error("spec.idle.stages.{field} {error}, or is Off")]
    Stage {
        /// The stage.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        error: DurationError,
    },
    /// A stage would come later than the platform allows.
    #[error(
        "spec.idle.stages.{field} is later than this platform allows; ask for {latest} at most, use `devctl snooze` for once, \
         or ask an administrator"
    )]
    TooLate {
        /// The stage.
        field: &'static str,
        /// The latest that is allowed.
        latest: String,
    },
    /// A stage is switched off.
    #[error(
        "spec.idle.stages.{field} cannot be Off on this platform; remove it, or ask an administrator"
    )]
    Off {
        /// The stage.
        field: &'static str,
    },
    /// All stages are switched off.
    #[error(
        "spec.idle.disabled cannot be set on this platform; remove it, or ask an administrator"
    )]
    Disabled,
}
