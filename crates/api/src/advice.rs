//! What the owner of an environment should know before something goes wrong, or why it went wrong.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One thing to know. Its words change in coarse steps only, so that nothing is written while nothing new is to be told.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// `OutOfMemory`, `HomeFilling`, `HomeNearlyFull`, `HomeFull`, `DockerFilling`, `DockerNearlyFull`, `DockerFull` or
    /// `UnsavedWork`.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What is so, for people.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// What to do about it.
    #[schemars(length(max = 1024))]
    pub remedy: String,
}
