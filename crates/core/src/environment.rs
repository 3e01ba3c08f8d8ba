//! An environment: everything checked, everything defaulted. What is built from it cannot fail.

use std::collections::BTreeMap;

use devserver_api::{
    Expose, RestartPolicy, VolumeRetention, names::ServerName, ssh_key::PublicKey,
};
use k8s_openapi::{api::core::v1::Toleration, apimachinery::pkg::api::resource::Quantity};

use crate::platform::ToolsDelivery;

/// One developer's machine, as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Name of the DevServer and stem of all names made from it.
    pub name: ServerName,
    /// Namespace of the DevServer and of everything it has.
    pub namespace: String,
    /// UID of the DevServer: what makes an object ours.
    pub uid: String,
    /// Who it belongs to, as written.
    pub owner: Option<String>,
    /// Size.
    pub flavor: Flavor,
    /// Image of the container `dev`.
    pub image: String,
    /// Stopped on request.
    pub suspend: bool,
    /// Who may log in, how, and what greets them.
    pub ssh: Ssh,
    /// Volume at `/home/dev`.
    pub home: Home,
    /// Claim at `/shared`.
    pub shared_claim: Option<String>,
    /// Where the tools come from.
    pub tools: Tools,
    /// `imagePullPolicy`, when the platform sets one.
    pub image_pull_policy: Option<String>,
    /// `hostUsers: false`.
    pub user_namespace: bool,
    /// Seconds the pod has to end.
    pub termination_grace_period_seconds: i64,
    /// Whether a change restarts by itself.
    pub restart_policy: RestartPolicy,
}

/// The parts of a flavor an environment is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavor {
    /// Name.
    pub name: String,
    /// Requests of the container.
    pub requests: BTreeMap<String, Quantity>,
    /// Limits of the container.
    pub limits: BTreeMap<String, Quantity>,
    /// Labels a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints a node may have.
    pub tolerations: Vec<Toleration>,
}

/// Who may log in, how, and what greets them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ssh {
    /// Keys of `authorized_keys`, without repetition.
    pub keys: Vec<PublicKey>,
    /// How the Service is exposed.
    pub expose: Expose,
    /// Message of the day; ends with a line end.
    pub motd: String,
    /// Whether clients may forward their agent.
    pub agent_forwarding: bool,
}

/// The volume at `/home/dev`.
#[derive(Clone, Debug, PartialEq)]
pub struct Home {
    /// Size it should have.
    pub size: Quantity,
    /// Size in the claim template, which cannot change once the StatefulSet exists.
    pub template_size: Quantity,
    /// Whether the claim exists with less than `size`.
    pub grows: bool,
    /// StorageClass; absent: the cluster's default.
    pub storage_class: Option<String>,
    /// What happens to it at the end.
    pub retention: VolumeRetention,
}

/// Where the tools come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Tools {
    /// Image.
    pub image: String,
    /// How it gets into the pod.
    pub delivery: ToolsDelivery,
}
