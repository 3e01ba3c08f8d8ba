//! Parts of a `DevServer` beyond ssh and home: own volumes, resources, packages, checkpoint, spread, replicas.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity;

/// A claim of the same namespace and where it is mounted; in a flavor, too.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSpec {
    /// Existing PersistentVolumeClaim of the same namespace, labelled `devserver.io/shared: "true"` or made for this DevServer.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("claimName must be the name of a PersistentVolumeClaim in the same namespace, such as datasets"))]
    pub claim_name: String,
    /// Absolute path in the environment, such as `/data`.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(
        validation = Rule::new("self.matches('^(/[A-Za-z0-9._@+=~-]+)+$') && !self.matches('/[.][.]?(/|$)')").message("mountPath must be an absolute path of letters, digits and ._@+=~-, without '..', '.', '//' or '/' at the end, such as /data"),
        validation = Rule::new("!self.matches('^/(proc|sys|dev|etc|bin|sbin|usr|lib|lib32|lib64|libexec|libx32|run|boot|var/run|opt/devserver|opt/devserver-editor|opt/devserver-docker)(/|$)') && !(self in ['/var', '/opt', '/home', '/home/dev'])").message("mountPath cannot hide or lie in what belongs to the system, such as /etc, /usr, /opt/devserver or the home; choose another one, such as /data")
    )]
    pub mount_path: String,
    /// Mount it read-only, as one does with datasets that are mapped into memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// Requests and limits that replace the flavor's, within the flavor's `maximumResources`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the environment may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub limits: BTreeMap<String, Quantity>,
}

/// Packages installed at start, into the home.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PackagesSpec {
    /// Python packages as `pip install` takes them (PEP 508): `numpy`, `pandas==2.2.3`, `httpx[http2]>=0.27`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 200)))]
    #[x_kube(
        validation = Rule::new("self.all(p, p.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?([[][A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*[]])?((===|==|!=|<=|>=|~=|<|>)[A-Za-z0-9.*+!_-]+(,(===|==|!=|<=|>=|~=|<|>)[A-Za-z0-9.*+!_-]+)*)?$'))").message("every entry of spec.packages.pip must be one package as pip takes it, without spaces, options, addresses or paths, such as numpy, pandas==2.2.3 or httpx[http2]>=0.27")
    )]
    pub pip: Vec<String>,
}

/// A command that saves the work in progress before the environment ends.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointSpec {
    /// Program and arguments, run as the login user in its home; no shell unless it is named.
    #[schemars(length(min = 1, max = 32), inner(length(max = 1024)))]
    #[x_kube(
        validation = Rule::new("self[0].size() > 0").message("spec.lifecycle.checkpoint.command must begin with a program, such as [git, stash] or [sh, -c, 'make save']"),
        validation = Rule::new("self.all(word, word.matches('^[^\\\\x00]*$'))").message("spec.lifecycle.checkpoint.command must not hold NUL characters; no program can be given one")
    )]
    pub command: Vec<String>,
    /// Seconds it may take before everything is ended. Default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub grace_period_seconds: Option<i64>,
}

/// How environments of one namespace spread over nodes (KEP-895).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TopologySpreadSpec {
    /// How much fuller one node may be than the emptiest. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_skew: Option<i32>,
    /// Node label whose values are the places. Default `kubernetes.io/hostname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    #[x_kube(validation = Rule::new("self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')").message("topologyKey must be the key of a node label, such as kubernetes.io/hostname"))]
    pub topology_key: Option<String>,
    /// What happens when it cannot be kept. Default `DoNotSchedule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unsatisfiable: Option<WhenUnsatisfiable>,
}

/// What happens when the spread cannot be kept.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnsatisfiable {
    /// The pod waits.
    #[default]
    DoNotSchedule,
    /// The pod starts anyway, on the node that comes nearest.
    ScheduleAnyway,
}

impl WhenUnsatisfiable {
    /// The word of Kubernetes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoNotSchedule => "DoNotSchedule",
            Self::ScheduleAnyway => "ScheduleAnyway",
        }
    }
}

/// A HorizontalPodAutoscaler (document 000). Refused where the home is ReadWriteOnce: one pod alone can have it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingSpec {
    /// Fewest pods. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: Option<i32>,
    /// Most pods.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// Average share of the CPU request in use that it aims at, in percent. Default 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu_utilization_percentage: Option<i32>,
}
