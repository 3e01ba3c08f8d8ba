//! `status` of a DevServer: what was seen, in words for people and in conditions for programs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{advice::Advice, features::EditorStatus, idle::IdleStatus};

/// What the operator saw.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DevServerStatus {
    /// Where the environment is in its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One sentence for people: what it is, why, what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `metadata.generation` this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Valid`, `RestartPending`, `Expiring`, `Idle`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    // Bounded, so that the rule about shrinking homes that reads it has a bounded cost.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// Flavor in use, also when it was the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
    /// Instant after which the DevServer is deleted (RFC 3339). Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,
    /// How many seconds before the end the newest warning of it was to be given. Absent: none was yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_warning_seconds: Option<i64>,
    /// How to reach it and how to know it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshStatus>,
    /// The editor, while the environment runs with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<EditorStatus>,
    /// How idle it is and what is done about it, where the platform has a policy for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<IdleStatus>,
    /// What its owner should know: memory that ran out, volumes that fill, work that is nowhere else. The most urgent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub advice: Vec<Advice>,
}

/// How to reach an environment by ssh.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SshStatus {
    /// Login user.
    pub user: String,
    /// Public host keys, one line each, for `known_hosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
    /// Fingerprints of the keys that `spec.ssh.authorizedKeysFrom` adds, as `ssh-keygen -l` prints them. Absent without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 64)))]
    pub authorized_key_fingerprints: Vec<String>,
    /// Port on every node, when exposed so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,
    /// Where to reach it from outside: its name in the DNS, else the load balancer, or the one node whose port leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The gateway that leads to it, where the platform has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayStatus>,
}

/// The jump host of the platform: `ssh -J <owner>@<host>:<port> dev@<name>.<namespace>`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Name or address.
    pub host: String,
    /// Port.
    // Kubernetes knows no unsigned formats and warns of them.
    #[schemars(with = "i32", range(min = 1, max = 65535))]
    pub port: u16,
    /// Its public host keys, one line each, for `known_hosts`.
    #[schemars(length(min = 1))]
    pub host_keys: Vec<String>,
}

/// Where an environment is in its life (decision C-STATUS).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not begun: the spec is invalid, or something it names is missing.
    Pending,
    /// Objects exist; the pod is not ready yet.
    Provisioning,
    /// The pod is Ready and sshd answers.
    Running,
    /// Stopped on request; the home is kept.
    Suspended,
    /// Tried and failed; the message says why.
    Failed,
    /// Being deleted.
    Terminating,
}

impl Phase {
    /// The word as it stands in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Provisioning => "Provisioning",
            Self::Running => "Running",
            Self::Suspended => "Suspended",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
        }
    }
}
