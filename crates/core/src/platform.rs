//! The operator's configuration, parsed and defaulted. A mistake in it stops the operator at start.

use devserver_api::{Expose, duration, image, quantity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Serialize};

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
    /// `imagePullPolicy` of the environment's and the tools' image. Absent: Kubernetes decides.
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
        ] {
            quantity::parse_positive(size).map_err(|e| bad(field, e.to_string()))?;
        }
        for (field, text) in [
            ("defaultTimeToLive", &self.default_time_to_live),
            ("maxTimeToLive", &self.max_time_to_live),
        ] {
            if let Some(text) = text {
                duration::parse_positive(text).map_err(|e| bad(field, e.to_string()))?;
            }
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
        if self.concurrency == 0 {
            return Err(bad(
                "concurrency",
                "must be at least 1; 0 would mean without bound".to_owned(),
            ));
        }
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
            ("maxTimeToLive: 1d", "maxTimeToLive"),
            ("imagePullPolicy: Sometimes", "imagePullPolicy"),
            ("concurrency: 0", "concurrency"),
            ("toolsImage: 'UPPER CASE'", "toolsImage"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
