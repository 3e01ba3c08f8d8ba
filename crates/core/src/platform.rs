//! The operator's configuration, parsed and defaulted. A mistake in it stops the operator at start.

mod lifetime;
mod network;
mod packages;
mod placement;
mod users;

use std::collections::BTreeMap;

use devserver_api::{Expose, TopologySpreadSpec, image, quantity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Serialize};

use crate::resolve::check_entry;

pub use network::NetworkPolicySettings;

/// What an administrator sets for all environments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Platform {
    /// Image of DevServers when neither they nor their flavor name one.
    pub default_image: String,
    /// Image with sshd and what it needs, mounted at `/opt/devserver`.
    pub tools_image: String,
    /// How the tools get into the pod.
    pub tools_delivery: ToolsDelivery,
    /// `imagePullPolicy` of the environments' and the tools' image. Absent: Kubernetes decides for the platform's own images,
    /// and `Always` for an image of a user's choice, so that nobody gets a private image that another's pod left on the node.
    pub image_pull_policy: Option<String>,
    /// Home size when none is asked for.
    pub default_home_size: String,
    /// Largest home that may be asked for.
    pub max_home_size: String,
    /// Time to live when none is asked for, in Go syntax. Absent: for ever.
    pub default_time_to_live: Option<String>,
    /// Longest time to live that may be asked for, in Go syntax. Absent: no bound.
    pub max_time_to_live: Option<String>,
    /// Exposure of the SSH Service when none is asked for.
    pub default_expose: Expose,
    /// Whether pods get a user namespace of their own (`hostUsers: false`).
    pub user_namespaces: UserNamespaces,
    /// Message of the day when none is asked for.
    pub motd: Option<String>,
    /// Seconds a pod has to end before it is killed.
    pub termination_grace_period_seconds: i64,
    /// Seconds after which a pod that is still not Ready counts as failed.
    pub start_deadline_seconds: i64,
    /// DevServers that are worked on at the same time.
    pub concurrency: u16,
    /// Expired DevServers deleted in one minute at most; the rest waits its turn.
    pub max_expirations_per_minute: u16,
    /// How long before the end users are warned, in Go syntax.
    pub expiration_warnings: Vec<String>,
    /// Memory request above which an environment counts as high-memory: its node pool, Guaranteed QoS, a disruption budget.
    pub high_memory_threshold: String,
    /// How nodes of an environment's team and project are sought.
    pub team_affinity: TeamAffinity,
    /// Spread over nodes when none is asked for. Absent: none.
    pub topology_spread: Option<TopologySpreadSpec>,
    /// Whether an environment waits, with a reason, when no node of its flavor is where its home's volume is. `false` for
    /// clusters whose autoscaler brings nodes into any zone.
    pub check_home_zone: bool,
    /// Images that may be used: prefixes of whole path components, such as `registry.example.com/team`. Absent: all; empty: only the platform's own.
    pub allowed_images: Option<Vec<String>>,
    /// Whether `ssh.passwordHashFrom` may be used.
    pub allow_password_authentication: bool,
    /// The gateway, as people reach it. Absent: there is none.
    pub gateway: Option<GatewayAddress>,
    /// Domain whose names the environments get through ExternalDNS. Absent: none.
    pub dns_domain: Option<String>,
    /// The one namespace whose environments are called `<name>.<dnsDomain>`, without the namespace in between (document 003).
    pub dns_flat_namespace: Option<String>,
    /// NetworkPolicy of the environments.
    pub network_policy: NetworkPolicySettings,
    /// ClusterRoles and Roles that a DevServerUser may be given besides `devserver-user`, as `Kind/name`.
    pub allowed_roles: Vec<String>,
    /// Quotas of teams over all namespaces.
    pub teams: BTreeMap<String, TeamSettings>,
    /// Index that pip installs from. Absent: pip's own.
    pub pip_index_url: Option<String>,
}

/// Where people find the gateway from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What one team may have over all namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TeamSettings {
    /// Sum of the requests of the team's environments that are not suspended: `cpu`, `memory`, `nvidia.com/gpu`; `devservers` counts them.
    pub quota: BTreeMap<String, Quantity>,
}

/// How nodes of a team and a project are sought (decision C-AFF).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TeamAffinity {
    /// Not at all.
    None,
    /// Nodes labelled with the team and the project come first.
    #[default]
    Preferred,
    /// Only nodes labelled so.
    Required,
}

/// How the tools get into the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToolsDelivery {
    /// The image is mounted (KEP-4639, GA in Kubernetes 1.36): nothing is copied.
    #[default]
    ImageVolume,
    /// An init container copies them into an emptyDir, for clusters without image volumes.
    InitContainer,
}

/// Whether pods get a user namespace of their own (KEP-127).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespaces {
    /// When the nodes support it, or when there are none to ask.
    #[default]
    Auto,
    /// Always; a pod waits when no node supports it.
    Enabled,
    /// Never. Root in the environment is then root's uid on the node.
    Disabled,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            default_image: "docker.io/devserver/base:0.1.0".to_owned(),
            tools_image: "docker.io/devserver/tools:0.1.0".to_owned(),
            tools_delivery: ToolsDelivery::default(),
            image_pull_policy: None,
            default_home_size: "10Gi".to_owned(),
            max_home_size: "1Ti".to_owned(),
            default_time_to_live: None,
            max_time_to_live: None,
            default_expose: Expose::default(),
            user_namespaces: UserNamespaces::default(),
            motd: None,
            termination_grace_period_seconds: 30,
            start_deadline_seconds: 600,
            concurrency: 8,
            max_expirations_per_minute: 10,
            expiration_warnings: ["1h", "15m", "5m"].map(str::to_owned).to_vec(),
            high_memory_threshold: "64Gi".to_owned(),
            team_affinity: TeamAffinity::default(),
            topology_spread: Some(TopologySpreadSpec::default()),
            check_home_zone: true,
            allowed_images: None,
            allow_password_authentication: false,
            gateway: None,
            dns_domain: None,
            dns_flat_namespace: None,
            network_policy: NetworkPolicySettings::default(),
            allowed_roles: Vec::new(),
            teams: BTreeMap::new(),
            pip_index_url: None,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// Not YAML, an unknown key, or a value of the wrong type.
    #[error("failed to read the configuration: {0}")]
    Syntax(String),
    /// A value that cannot be used.
    #[error("failed to use the configuration: {field} {why}")]
    Value {
        /// Key in the file.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Platform {
    /// Reads and checks a configuration file. An empty text is the default configuration.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let platform: Self = if text.trim().is_empty() {
            Self::default()
        } else {
            serde_saphyr::from_str(text).map_err(|e| PlatformError::Syntax(e.to_string()))?
        };
        platform.check()?;
        Ok(platform)
    }

    fn check(&self) -> Result<(), PlatformError> {
        let bad = |field, why: String| PlatformError::Value { field, why };
        image::check(&self.default_image).map_err(|e| bad("defaultImage", e.to_string()))?;
        image::check(&self.tools_image).map_err(|e| bad("toolsImage", e.to_string()))?;
        for (field, size) in [
            ("defaultHomeSize", &self.default_home_size),
            ("maxHomeSize", &self.max_home_size),
            ("highMemoryThreshold", &self.high_memory_threshold),
        ] {
            quantity::parse_positive(size).map_err(|e| bad(field, e.to_string()))?;
        }
        if !matches!(
            self.image_pull_policy.as_deref(),
            None | Some("Always" | "IfNotPresent" | "Never")
        ) {
            return Err(bad(
                "imagePullPolicy",
                "must be Always, IfNotPresent or Never".to_owned(),
            ));
        }
        if !(1..=3600).contains(&self.termination_grace_period_seconds) {
            return Err(bad(
                "terminationGracePeriodSeconds",
                "must be between 1 and 3600".to_owned(),
            ));
        }
        if !(10..=86_400).contains(&self.start_deadline_seconds) {
            return Err(bad(
                "startDeadlineSeconds",
                "must be between 10 and 86400".to_owned(),
            ));
        }
        for entry in self.allowed_images.iter().flatten() {
            let why = "must be registries or folders of one, such as docker.io/library";
            check_entry(entry).map_err(|_| bad("allowedImages", format!("{entry:?} {why}")))?;
        }
        if self.concurrency == 0 {
            return Err(bad(
                "concurrency",
                "must be at least 1; 0 would mean without bound".to_owned(),
            ));
        }
        lifetime::check(self)?;
        network::check(self)?;
        packages::check(self)?;
        placement::check(self)?;
        users::check(self)?;
        Ok(())
    }

    /// Home size when none is asked for.
    pub fn default_home(&self) -> Quantity {
        Quantity(self.default_home_size.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_is_the_default_and_the_default_is_valid() {
        assert_eq!(Platform::parse("").unwrap(), Platform::default());
    }

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("defaultImages: x", "defaultImages"),
            ("defaultHomeSize: 0", "defaultHomeSize"),
            ("imagePullPolicy: Sometimes", "imagePullPolicy"),
            ("concurrency: 0", "concurrency"),
            ("allowedImages: [ubuntu]", "allowedImages"),
            ("toolsImage: 'UPPER CASE'", "toolsImage"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
