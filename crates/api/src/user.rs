//! `DevServerUser`: a person who may have environments.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::LimitRangeItem,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Condition},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person who may have environments. Their ssh keys are optional here (decision C-KEYS).
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "devserver.io",
    version = "v1",
    kind = "DevServerUser",
    plural = "devserverusers",
    shortname = "dsu",
    category = "devserver-io",
    status = "DevServerUserStatus",
    derive = "PartialEq",
    doc = "A person who may have development environments.",
    printcolumn(name = "Username", type_ = "string", json_path = ".spec.username"),
    printcolumn(name = "Namespace", type_ = "string", json_path = ".status.namespace"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec.username == oldSelf.spec.username").message("spec.username cannot change; create a new DevServerUser").field_path(".spec.username")
)]
#[serde(rename_all = "camelCase")]
pub struct DevServerUserSpec {
    /// Name of the user as the cluster authenticates them. The namespace is `dev-<username>`, so at most 59 characters.
    #[schemars(
        length(min = 1, max = 59),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub username: String,
    /// Public keys of the user, one line each: with them the gateway knows the user, and every
    /// environment lets them in that they own or that names them as a collaborator without keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 8192)))]
    #[x_kube(
        validation = Rule::new("self.all(k, k.matches('^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com|sk-ecdsa-sha2-nistp256@openssh[.]com) AAAA[A-Za-z0-9+/]{40,}={0,3}( [ -~]{0,128})?\\\\n?$'))").message("every entry of spec.sshPublicKeys must be one line of an OpenSSH public key file: type, base64, optional comment, no options")
    )]
    pub ssh_public_keys: Vec<String>,
    /// Teams the user may count environments for; the first is the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(validation = Rule::new("self.all(team, team.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))").message("spec.teams must be label values: letters, digits, '-', '_' and '.', a letter or digit first and last, such as genomics"))]
    pub teams: Vec<String>,
    /// Hard limits of the ResourceQuota of the user's namespace: `requests.cpu`, `requests.storage`, `count/devservers.devserver.io`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<String, Quantity>,
    /// Limits of the LimitRange of the user's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub limits: Vec<LimitRangeItem>,
    /// Further roles in the user's namespace. Only those the platform's `allowedRoles` names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub additional_role_refs: Vec<RoleReference>,
    /// Pod Security level the user's namespace enforces. Default `baseline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
}

/// A role to bind.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RoleReference {
    /// `ClusterRole`, or `Role` of the user's namespace.
    #[schemars(regex(pattern = r"^(ClusterRole|Role)$"))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^/%]+$')").message("spec.additionalRoleRefs must have the name of a role, such as view"))]
    pub name: String,
}

/// Pod Security level of a namespace (KEP-2579).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Nothing is refused.
    Privileged,
    /// No known way out of a container.
    #[default]
    Baseline,
    /// What hardened pods look like.
    Restricted,
}

impl PodSecurity {
    /// Value of the label `pod-security.kubernetes.io/enforce`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What is known about a user.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DevServerUserStatus {
    /// `Pending`, `Ready` or `Error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Namespace of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.generation` this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions of the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}
