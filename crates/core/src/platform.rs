//! The operator's configuration, parsed and defaulted. A mistake in it stops the operator at start.

mod features;
mod idle;
mod lifetime;
mod mail;
mod network;
mod notifications;
mod packages;
mod placement;
mod trash;
mod usage;
mod users;

use std::collections::BTreeMap;

use devserver_api::{Expose, TopologySpreadSpec, duration, image, quantity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Serialize};

use crate::{activity, resolve::check_entry};

pub use features::{DockerSettings, EditorSettings, KubeAccessSettings};
pub use idle::{IdleSettings, TeamIdleSettings};
pub use mail::{MailEncryption, MailSettings};
pub use network::NetworkPolicySettings;
pub use notifications::{NotificationSettings, WebhookForm, WebhookSettings};
pub use trash::TrashSettings;
pub use usage::{BudgetSettings, PriceSettings, UsageSettings, WeeklyReportSettings};

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
    /// Whether `share: Authenticated` may show a port to everybody who can log in to the console.
    pub allow_shared_ports: bool,
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
    /// VS Code in the browser.
    pub editor: EditorSettings,
    /// Docker daemons.
    pub docker: DockerSettings,
    /// Rights of environments in the cluster.
    pub kube_access: KubeAccessSettings,
    /// What counts as use of an environment. Absent: agents collect nothing, and nobody asks them.
    pub activity: Option<activity::Policy>,
    /// Key of the tokens that agents are asked with. Not part of the file: the operator reads it from a mounted Secret.
    #[serde(skip)]
    pub activity_key: Option<activity::Key>,
    /// What is done to environments that nobody uses. Absent: nothing.
    pub idle: Option<IdleSettings>,
    /// How owners are told of it.
    pub notifications: NotificationSettings,
    /// The ledger of usage and money. Absent: nothing is counted.
    pub usage: Option<UsageSettings>,
    /// What becomes of homes that outlive their DevServers. Absent: they stay as they are.
    pub trash: Option<TrashSettings>,
}

/// Where people find the gateway from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether environments let the gateway in by its own certificates (direct mode: `ssh <user>+<server>@<host>`). Whoever has
    /// the gateway then has them, so it is off by default, whatever the gateway says of itself.
    #[serde(default)]
    pub direct: bool,
}

/// What one team may have over all namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TeamSettings {
    /// Sum of the requests of the team's environments that are not suspended: `cpu`, `memory`, `nvidia.com/gpu`; `devservers` counts them.
    pub quota: BTreeMap<String, Quantity>,
    /// What is done with its environments when nobody uses them, where that differs from the platform's policy.
    pub idle: Option<TeamIdleSettings>,
    /// What it may spend in a month. Absent: no bound.
    pub budget: Option<BudgetSettings>,
    /// User names of those who may see what all of it uses and costs.
    pub leads: Vec<String>,
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
            allow_shared_ports: true,
            gateway: None,
            dns_domain: None,
            dns_flat_namespace: None,
            network_policy: NetworkPolicySettings::default(),
            allowed_roles: Vec::new(),
            teams: BTreeMap::new(),
            pip_index_url: None,
            editor: EditorSettings::default(),
            docker: DockerSettings::default(),
            kube_access: KubeAccessSettings::default(),
            activity: None,
            activity_key: None,
            idle: None,
            notifications: NotificationSettings::default(),
            usage: None,
            trash: None,
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

fn bad(field: &'static str, why: impl Into<String>) -> PlatformError {
    let why = why.into();
    PlatformError::Value { field, why }
}

/// Seconds of a duration in Go syntax that is longer than none.
fn positive(field: &'static str, text: &str) -> Result<u64, PlatformError> {
    duration::parse_positive(text).map_err(|error| bad(field, format!("{text:?} {error}")))
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
        image::check(&self.default_image).map_err(|e| bad("defaultImage", e.to_string()))?;
        if let Some(Err(error)) = self.activity.as_ref().map(activity::Policy::check) {
            return Err(bad("activity", error.to_string()));
        }
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
                "must be Always, IfNotPresent or Never",
            ));
        }
        if !(1..=3600).contains(&self.termination_grace_period_seconds) {
            return Err(bad(
                "terminationGracePeriodSeconds",
                "must be between 1 and 3600",
            ));
        }
        if !(10..=86_400).contains(&self.start_deadline_seconds) {
            return Err(bad("startDeadlineSeconds", "must be between 10 and 86400"));
        }
        for entry in self.allowed_images.iter().flatten() {
            let why = "must be registries or folders of one, such as docker.io/library";
            check_entry(entry).map_err(|_| bad("allowedImages", format!("{entry:?} {why}")))?;
        }
        if self.concurrency == 0 {
            return Err(bad(
                "concurrency",
                "must be at least 1; 0 would mean without bound",
            ));
        }
        features::check(self)?;
        idle::check(self)?;
        lifetime::check(self)?;
        network::check(self)?;
        notifications::check(self)?;
        packages::check(self)?;
        placement::check(self)?;
        trash::check(self)?;
        usage::check(self)?;
        users::check(self)?;
        Ok(())
    }

    /// With the key of agents, which is no part of the file. Who is to stop what nobody uses must be able to ask who uses it.
    pub fn with_activity_key(self, key: Option<activity::Key>) -> Result<Self, PlatformError> {
        if self.idle.is_some() && key.is_none() {
            let why = "needs the key that agents know the operator by: --activity-key-file, or operator.activityKeySecret of the chart";
            return Err(bad("idle", why));
        }
        Ok(Self {
            activity_key: key,
            ..self
        })
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
    fn nobody_is_to_be_stopped_by_an_operator_that_cannot_ask_agents() {
        let idle = "{activity: {}, idle: {stages: {alert: 30m}}}";
        let without = Platform::parse(idle).unwrap().with_activity_key(None);
        let error = without.unwrap_err().to_string();
        assert!(error.contains("activityKeySecret"), "{error}");
        let key = || activity::Key::new(&[7; 48]).ok();
        let with = Platform::parse(idle).unwrap().with_activity_key(key());
        assert_eq!(with.unwrap().activity_key, key());
        assert!(Platform::default().with_activity_key(None).is_ok());
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
