//! `DevServerFlavor`: a size an administrator offers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::Toleration,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Condition},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name is too long: at most 63 characters, because it is used as a label value")
)]
#[serde(rename_all = "camelCase")]
pub struct DevServerFlavorSpec {
    /// Used by DevServers that name no flavor. At most one flavor should be the default.
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
    pub tolerations: Vec<Toleration>,
    /// Image for DevServers that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub default_image: Option<String>,
}

/// Requests and limits, as in a container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct FlavorResources {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the environment may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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
    /// `metadata.generation` this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions of the flavor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
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
