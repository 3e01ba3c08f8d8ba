//! What a DevServer names, as it was read.

use std::{collections::BTreeMap, fmt, sync::Arc};

use devserver_api::{DevServerFlavor, DevServerUser, ssh_key::PublicKey};
use k8s_openapi::{
    api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::budget::Spent;

/// Everything `resolve` may ask about besides the DevServer itself.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// All flavors: one of them may be named, one may be the default.
    pub flavors: Vec<DevServerFlavor>,
    /// The claim `home-<name>-0`, when it exists already.
    pub home_claim: Option<PersistentVolumeClaim>,
    /// The claim `docker-<name>-0`, when it exists already.
    pub docker_claim: Option<PersistentVolumeClaim>,
    /// Home size in the claim template of the existing StatefulSet; the template cannot change.
    pub template_home_size: Option<Quantity>,
    /// Claims of the namespace that the DevServer or a flavor names; `None`: nobody looked, as when rendering without a cluster.
    pub claims: Option<Vec<PersistentVolumeClaim>>,
    /// The DevServerUser whose namespace this is.
    pub user: Option<DevServerUser>,
    /// The DevServerUsers of its owner and its collaborators, wherever they are: of each name the one that has it.
    pub people: Vec<DevServerUser>,
    /// The authority that the gateway tells for direct mode.
    pub gateway_authorities: Vec<PublicKey>,
    /// What `ssh.authorizedKeysFrom` names, in its order; shorter: nobody looked.
    pub keys_from: Vec<Found>,
    /// What `ssh.passwordHashFrom` names; `None`: nobody looked.
    pub password_hash: Option<Found>,
    /// Other DevServers of the same team, wherever they are: what of the team's quota is in use.
    pub team_in_use: BTreeMap<String, Quantity>,
    /// What this DevServer holds of the team's quota already: its volumes, and what it runs with.
    pub holds: BTreeMap<String, Quantity>,
    /// What its team has spent this month.
    pub team_spent: Spent,
    /// The home's volume and the nodes there are, while the pod has none; `None`: nothing to compare.
    pub home_nodes: Option<HomeNodes>,
    /// Whether the nodes can give a pod a user namespace; `None` when there are no nodes to ask.
    pub nodes_support_user_namespaces: Option<bool>,
}

/// What was found where a key of a Secret or ConfigMap is named.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// No such object, or no such key in it.
    Missing,
    /// An object that the platform made: the host keys of a DevServer, for one. What is in it was not looked at.
    OfPlatform,
    /// What is there; bytes that are no text replaced.
    Text(String),
}

impl fmt::Debug for Found {
    /// Without the text, which may be anybody's secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Missing",
            Self::OfPlatform => "OfPlatform",
            Self::Text(_) => "Text(…)",
        })
    }
}

/// What tells whether a home can be had by a node of the flavor.
#[derive(Clone, Debug)]
pub struct HomeNodes {
    /// The volume, whose `spec.nodeAffinity` says to which nodes it can be attached.
    pub volume: PersistentVolume,
    /// All nodes.
    pub nodes: Vec<Arc<Node>>,
}
