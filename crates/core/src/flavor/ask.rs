//! What a pod of a flavor asks of its node: read from the very pod that the platform would make.

use std::collections::BTreeMap;

use devserver_api::{DevServer, DevServerFlavor, DevServerSpec, SshSpec};
use k8s_openapi::api::core::v1::{PodSpec, Toleration};

use super::{amount::Amounts, usage::requests};
use crate::{Invalid, Object, Platform, References, desired, resolve};

/// Nobody has the private half; the environment is made only to be looked at.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";

/// What a pod of a flavor asks of its node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// What is set aside for it: all its containers.
    pub requests: Amounts,
    /// Labels its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints its node may have: the flavor's, and what the platform adds for its node pool.
    pub tolerations: Vec<Toleration>,
}

impl Ask {
    /// Asks as a DevServer would that names nothing but the flavor.
    pub fn of(flavor: &DevServerFlavor, platform: &Platform) -> Result<Self, Invalid> {
        let mut offered = flavor.clone();
        // Whoever may use it: the question is whether there is a node.
        offered.spec.allowed_users = None;
        offered.spec.allowed_teams = None;
        let spec = DevServerSpec {
            flavor: flavor.metadata.name.clone(),
            ssh: SshSpec {
                public_key: Some(KEY.to_owned()),
                ..SshSpec::default()
            },
            ..DevServerSpec::default()
        };
        let references = References {
            flavors: vec![offered],
            ..References::default()
        };
        let env = resolve(&DevServer::new("any", spec), &references, platform)?;
        let pod = desired(&env).into_iter().find_map(|object| match object {
            Object::StatefulSet(set) => set.spec.and_then(|s| s.template.spec),
            _ => None,
        });
        Ok(pod.as_ref().map(Self::from).unwrap_or_default())
    }
}

impl From<&PodSpec> for Ask {
    fn from(pod: &PodSpec) -> Self {
        Self {
            requests: requests(pod, None),
            node_selector: pod.node_selector.clone().unwrap_or_default(),
            tolerations: pod.tolerations.clone().unwrap_or_default(),
        }
    }
}
