//! `DevServerFlavor`: a size an administrator offers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::Toleration,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Condition},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{features::DockerMode, idle::IdlePolicySpec, quantity, workload::VolumeSpec};

/// What an administrator offers.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "devserver.io",
    version = "v1",
    kind = "DevServerFlavor",
    plural = "devserverflavors",
    shortname = "dsf",
    category = "devserver-io",
    status = "DevServerFlavorStatus",
    derive = "PartialEq",
    doc = "A size of development environment: resources, node selection, default image.",
    printcolumn(name = "CPU", type_ = "string", json_path = ".spec.resources.requests.cpu"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".spec.resources.requests.memory"),
    printcolumn(name = "Default", type_ = "boolean", json_path = ".spec.default"),
    printcolumn(name = "Schedulable", type_ = "string", json_path = ".status.schedulable"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name is too long: at most 63 characters, because it is used as a label value"),
    validation = Rule::new("!has(self.spec.minimumResources) || !('cpu' in self.spec.minimumResources) || !has(self.spec.resources) || !has(self.spec.resources.requests) || !('cpu' in self.spec.resources.requests) || quantity(string(self.spec.minimumResources['cpu'])).compareTo(quantity(string(self.spec.resources.requests['cpu']))) <= 0").message("spec.minimumResources must not be more than spec.resources.requests: cpu").field_path(".spec.minimumResources"),
    validation = Rule::new("!has(self.spec.maximumResources) || !('cpu' in self.spec.maximumResources) || !has(self.spec.resources) || !has(self.spec.resources.requests) || !('cpu' in self.spec.resources.requests) || quantity(string(self.spec.maximumResources['cpu'])).compareTo(quantity(string(self.spec.resources.requests['cpu']))) >= 0").message("spec.maximumResources must be at least spec.resources.requests: cpu").field_path(".spec.maximumResources"),
    validation = Rule::new("!has(self.spec.minimumResources) || !('memory' in self.spec.minimumResources) || !has(self.spec.resources) || !has(self.spec.resources.requests) || !('memory' in self.spec.resources.requests) || quantity(string(self.spec.minimumResources['memory'])).compareTo(quantity(string(self.spec.resources.requests['memory']))) <= 0").message("spec.minimumResources must not be more than spec.resources.requests: memory").field_path(".spec.minimumResources"),
    validation = Rule::new("!has(self.spec.maximumResources) || !('memory' in self.spec.maximumResources) || !has(self.spec.resources) || !has(self.spec.resources.requests) || !('memory' in self.spec.resources.requests) || quantity(string(self.spec.maximumResources['memory'])).compareTo(quantity(string(self.spec.resources.requests['memory']))) >= 0").message("spec.maximumResources must be at least spec.resources.requests: memory").field_path(".spec.maximumResources")
)]
#[serde(rename_all = "camelCase")]
pub struct DevServerFlavorSpec {
    /// Used by DevServers that name no flavor. Only one flavor can be marked; the policy `devserver-default-flavor` refuses a second.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// One sentence for people who choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub description: Option<String>,
    /// Requests and limits of the environment's container.
    #[serde(default)]
    pub resources: FlavorResources,
    /// Labels a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes it may run on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = Rule::new("self.all(t, !has(t.operator) || t.operator in ['', 'Equal', 'Exists'])").message("the operator of every entry of spec.tolerations must be Equal or Exists"),
        validation = Rule::new("self.all(t, !has(t.effect) || t.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute'])").message("the effect of every entry of spec.tolerations must be NoSchedule, PreferNoSchedule or NoExecute, or absent for all"),
        validation = Rule::new("self.all(t, has(t.operator) && t.operator == 'Exists' ? !has(t.value) || t.value == '' : has(t.key) && t.key != '')").message("every entry of spec.tolerations needs a key, or operator Exists, which must not have a value")
    )]
    pub tolerations: Vec<Toleration>,
    /// Image for DevServers that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub default_image: Option<String>,
    /// What `defaultImage` calls its user with id 1000, as `spec.loginUser` of a DevServer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z][a-z0-9_-]*$') && !(self in ['root', 'sshd', 'nobody'])").message("spec.loginUser must be the name of the user with id 1000 that the image was made for: lower case letters, digits, '-' and '_', such as coder"))]
    pub login_user: Option<String>,
    /// Least requests it is shrunk to when idle. Absent: it is not shrunk.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub minimum_resources: BTreeMap<String, Quantity>,
    /// Most that `spec.resources` of a DevServer may ask for, per resource. Absent: not more than `resources`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub maximum_resources: BTreeMap<String, Quantity>,
    /// Claims mounted into every environment of this flavor, where its namespace has them; a DevServer's own volume at the same path wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub volumes: Vec<VolumeSpec>,
    /// How far the environment is kept from its node. Default `UserNamespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// How a Docker daemon may run, where a DevServer asks for one. Default `Rootless`; the platform must allow it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerMode>,
    /// Priority class of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Runtime class of the pod, such as one of a virtual machine runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
    /// Annotations of the environment's ServiceAccount: its identity in a cloud.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_account_annotations: BTreeMap<String, String>,
    /// Owners that may use it. Absent: everybody; empty: nobody, unless a team of theirs may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 253)))]
    pub allowed_users: Option<Vec<String>>,
    /// Teams that may use it. Absent: as `allowedUsers` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63)))]
    pub allowed_teams: Option<Vec<String>>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What is done with its environments when nobody uses them, where that differs from the platform's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<IdlePolicySpec>,
}

/// How far an environment is kept from its node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Root inside is an unprivileged user outside (KEP-127), where the platform and the nodes offer it.
    #[default]
    UserNamespace,
    /// Pod Security level `restricted`: nobody is root inside, no capabilities; sshd runs as a sidecar.
    Restricted,
    /// Root inside is root's uid on the node: for nodes or workloads that cannot have a user namespace.
    HostUsers,
}

/// What an environment of a flavor costs while it runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Currency (ISO 4217), such as `EUR`.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// Millionths of the currency for one hour: money is never a floating point number.
    #[schemars(range(min = 0))]
    pub micros_per_hour: i64,
}

/// Requests and limits, as in a container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
// Resources that every flavor has are compared here; all others, and the bounds of them, by the condition `Valid`.
#[x_kube(
    validation = Rule::new("!has(self.requests) || !has(self.limits) || !('cpu' in self.requests) || !('cpu' in self.limits) || quantity(string(self.requests['cpu'])).compareTo(quantity(string(self.limits['cpu']))) <= 0").message("spec.resources.requests must not be larger than spec.resources.limits: cpu").field_path(".requests"),
    validation = Rule::new("!has(self.requests) || !has(self.limits) || !('memory' in self.requests) || !('memory' in self.limits) || quantity(string(self.requests['memory'])).compareTo(quantity(string(self.limits['memory']))) <= 0").message("spec.resources.requests must not be larger than spec.resources.limits: memory").field_path(".requests"),
    validation = Rule::new("!has(self.requests) || !has(self.limits) || !('nvidia.com/gpu' in self.requests) || !('nvidia.com/gpu' in self.limits) || quantity(string(self.requests['nvidia.com/gpu'])).compareTo(quantity(string(self.limits['nvidia.com/gpu']))) <= 0").message("spec.resources.requests must not be larger than spec.resources.limits: nvidia.com/gpu").field_path(".requests")
)]
pub struct FlavorResources {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the environment may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity::schema")]
    pub limits: BTreeMap<String, Quantity>,
}

/// What is known about a flavor.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DevServerFlavorStatus {
    /// Whether a DevServer of this flavor would likely find a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedulable: Option<Schedulable>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What an environment of it costs, at the prices of now. Absent: the platform counts no usage, or has not read its prices yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<FlavorCost>,
    /// How long without a sign of life an environment may be before it is stopped, in Go syntax, where neither it nor its team says
    /// otherwise. Absent: it is not stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_termination: Option<String>,
    /// `metadata.generation` this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions of the flavor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// What an environment of a flavor costs, whether somebody uses it or not.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FlavorCost {
    /// Currency (ISO 4217), such as `EUR`.
    pub currency: String,
    /// Millionths of the currency for one hour in which it runs, on a node that is not spot.
    pub micros_per_hour: i64,
    /// Millionths of the currency for one GiB of its volumes in a month of 730 hours, whether it runs or not.
    pub volume_micros_per_gib_month: i64,
}

impl DevServerFlavor {
    /// What an environment of it costs: what the platform counts, or else what the flavor says itself, which says nothing of volumes.
    pub fn cost(&self) -> Option<FlavorCost> {
        let counted = self.status.as_ref().and_then(|s| s.cost.clone());
        counted.or_else(|| {
            self.spec.price.as_ref().map(|price| FlavorCost {
                currency: price.currency.clone(),
                micros_per_hour: price.micros_per_hour,
                volume_micros_per_gib_month: 0,
            })
        })
    }
}

/// Whether a DevServer of a flavor would likely find a node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedulable {
    /// A node autoscaler would bring a node.
    #[serde(rename = "AUTOSCALED")]
    Autoscaled,
    /// A node has room now.
    Yes,
    /// No node has room.
    No,
    /// Not known yet.
    Unknown,
}
