//! What a console tells `devctl login`: where the cluster is and who knows its users. Public: nothing in it is a secret.

use serde::{Deserialize, Serialize};

/// Where a console has it.
pub const PATH: &str = "/.well-known/devserver";

/// Where to go.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Signpost {
    /// The cluster.
    pub kubernetes: KubernetesPlace,
    /// Who knows its users.
    pub oidc: OidcPlace,
}

/// A cluster.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesPlace {
    /// Address of its API server, such as `https://api.example.com:6443`.
    pub server: String,
    /// Base64 of the certificates (PEM) that vouch for it. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
}

/// An identity provider whose tokens the cluster takes.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OidcPlace {
    /// Its address, as in its tokens.
    pub issuer: String,
    /// How it knows devctl: a client without a secret.
    pub client_id: String,
    /// What is asked for besides `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Base64 of the certificates (PEM) that vouch for it. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
}
