//! What a DevServer names, as it was read.

use devserver_api::DevServerFlavor;
use k8s_openapi::{
    api::core::v1::PersistentVolumeClaim, apimachinery::pkg::api::resource::Quantity,
};

/// Everything `resolve` may ask about besides the DevServer itself.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// All flavors: one of them may be named, one may be the default.
    pub flavors: Vec<DevServerFlavor>,
    /// The claim `home-<name>-0`, when it exists already.
    pub home_claim: Option<PersistentVolumeClaim>,
    /// The claim that `sharedVolumeClaimName` names.
    pub shared_claim: SharedClaim,
    /// Home size in the claim template of the existing StatefulSet; the template cannot change.
    pub template_home_size: Option<Quantity>,
    /// Whether the nodes can give a pod a user namespace; `None` when there are no nodes to ask.
    pub nodes_support_user_namespaces: Option<bool>,
}

/// The claim that `sharedVolumeClaimName` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedClaim {
    /// Nobody looked, as when rendering without a cluster.
    #[default]
    Unknown,
    /// It exists.
    Found,
    /// It does not exist.
    Missing,
}
