//! Idleness: what is done to an environment that nobody uses, and how far that has come.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity;

/// Written in the place of a duration, for a stage that does not come.
pub const OFF: &str = "Off";

/// After how long without a sign of life each stage comes, in Go syntax, such as `2h`; `Off`: it does not come. Absent: what
/// the next farther level says (environment, team, flavor, platform).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdleStages {
    /// Administrators are told: event and metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32))]
    #[x_kube(validation = Rule::new("self == 'Off' || (self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && duration(self) > duration('0s'))").message("idle.stages.alert must be Off or a positive duration in hours, minutes and seconds, such as 30m"))]
    pub alert: Option<String>,
    /// The owner is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32))]
    #[x_kube(validation = Rule::new("self == 'Off' || (self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && duration(self) > duration('0s'))").message("idle.stages.notify must be Off or a positive duration in hours, minutes and seconds, such as 2h"))]
    pub notify: Option<String>,
    /// Its requests shrink to the flavor's `minimumResources`, without a restart, until the first sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32))]
    #[x_kube(validation = Rule::new("self == 'Off' || (self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && duration(self) > duration('0s'))").message("idle.stages.downscale must be Off or a positive duration in hours, minutes and seconds, such as 8h"))]
    pub downscale: Option<String>,
    /// The owner is warned that it is about to be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32))]
    #[x_kube(validation = Rule::new("self == 'Off' || (self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && duration(self) > duration('0s'))").message("idle.stages.warn must be Off or a positive duration in hours, minutes and seconds, such as 23h"))]
    pub warn: Option<String>,
    /// It is stopped; its home and its spec are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32))]
    #[x_kube(validation = Rule::new("self == 'Off' || (self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && duration(self) > duration('0s'))").message("idle.stages.terminate must be Off or a positive duration in hours, minutes and seconds, such as 24h"))]
    pub terminate: Option<String>,
}

impl IdleStages {
    /// What is written for that stage.
    pub fn get(&self, stage: IdleStage) -> Option<&str> {
        match stage {
            IdleStage::Alert => self.alert.as_deref(),
            IdleStage::Notify => self.notify.as_deref(),
            IdleStage::Downscale => self.downscale.as_deref(),
            IdleStage::Warn => self.warn.as_deref(),
            IdleStage::Terminate => self.terminate.as_deref(),
        }
    }
}

/// What a flavor or a team says about idle environments.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdlePolicySpec {
    /// No stage comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// When the stages come.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stages: IdleStages,
}

/// What an environment says about its own idleness, within the bounds of the platform.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdleSpec {
    /// No stage comes. Only where the platform lets environments say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// When the stages come. Not later than the platform allows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stages: IdleStages,
    /// Nothing is done before that instant (`devctl snooze`), as far as the platform allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Time>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A stage of the ladder, in their order.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum IdleStage {
    /// Administrators are told.
    Alert,
    /// The owner is told.
    Notify,
    /// Its requests shrink.
    Downscale,
    /// The owner is warned.
    Warn,
    /// It is stopped.
    Terminate,
}

impl IdleStage {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Alert,
        Self::Notify,
        Self::Downscale,
        Self::Warn,
        Self::Terminate,
    ];

    /// The word as it stands in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "Alert",
            Self::Notify => "Notify",
            Self::Downscale => "Downscale",
            Self::Warn => "Warn",
            Self::Terminate => "Terminate",
        }
    }

    /// The field of [`IdleStages`].
    pub fn field(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Notify => "notify",
            Self::Downscale => "downscale",
            Self::Warn => "warn",
            Self::Terminate => "terminate",
        }
    }
}

/// Whether somebody uses an environment.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdleState {
    /// Somebody uses it, or something works in it.
    Active,
    /// Nobody does.
    Idle,
    /// Nobody does, but `devctl hold` keeps it.
    Held,
    /// Nobody does, but `devctl snooze` put off what would be done.
    Snoozed,
    /// It was stopped because nobody used it.
    Stopped,
    /// Its agent does not say. Nothing is done.
    #[default]
    Unknown,
}

impl IdleState {
    /// The word as it stands in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Idle => "Idle",
            Self::Held => "Held",
            Self::Snoozed => "Snoozed",
            Self::Stopped => "Stopped",
            Self::Unknown => "Unknown",
        }
    }
}

/// How idle an environment is, and what is done about it. Also the operator's memory: what is written here is not done twice.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IdleStatus {
    /// Whether somebody uses it.
    pub state: IdleState,
    /// Since when that is so; of an idle one: the last sign of life. Of an active one it is not kept up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What the last sign of life was, who holds it, or why nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Whose policy decides on the next stage: `platform`, `flavor gpu-large`, `team genomics`, `environment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The last stage that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<IdleStage>,
    /// When it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_time: Option<Time>,
    /// When the owner was warned. It is not stopped sooner after that than the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_time: Option<Time>,
    /// The last stage of which a notification was delivered, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified_stage: Option<IdleStage>,
    /// What comes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_stage: Option<IdleStage>,
    /// When it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<Time>,
    /// Until when it is held or snoozed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// What its pod had before it was shrunk, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downscaled: Option<Downscaled>,
    /// When idle time counts, where it does not always: `Monday-Friday 08:00-18:00 in Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_hours: Option<String>,
    /// The stages are only told of and not carried out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What a pod had before it was shrunk.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Downscaled {
    /// UID of the pod; another one was made with everything it should have.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// Its requests of CPU and memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub requests: BTreeMap<String, Quantity>,
    /// Its limits of CPU and memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub limits: BTreeMap<String, Quantity>,
}
