//! Editor, Docker and rights in the cluster: what an administrator offers.

use std::collections::BTreeMap;

use devserver_api::{DockerMode, cidr::Cidr, image, quantity};
use serde::{Deserialize, Serialize};

use super::{Platform, PlatformError, bad, users::is_role};

/// VS Code in the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EditorSettings {
    /// Image with the editor, mounted into environments that ask for one.
    pub image: String,
    /// Where extensions come from: `serviceUrl`, `itemUrl` and what else the product's `extensionsGallery` has. Empty: the
    /// editor's own choice, which is Open VSX.
    pub extensions_gallery: BTreeMap<String, String>,
}

impl Default for EditorSettings {
    fn default() -> Self {
        Self {
            image: "docker.io/devserver/editor:0.1.0".to_owned(),
            extensions_gallery: BTreeMap::new(),
        }
    }
}

/// Docker daemons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DockerSettings {
    /// Image with the daemon and its client.
    pub image: String,
    /// How a daemon may run. A flavor chooses among these; empty: there are none.
    pub allowed_modes: Vec<DockerMode>,
    /// Seccomp profile of daemons of mode `Rootless`, a path below the kubelet's folder of profiles, where every node has it. Absent:
    /// they are `Unconfined`, because the runtime's own profile keeps a daemon from starting.
    pub seccomp_profile: Option<String>,
    /// Size of a daemon's volume when none is asked for.
    pub default_storage_size: String,
    /// Largest volume that may be asked for.
    pub max_storage_size: String,
}

impl Default for DockerSettings {
    fn default() -> Self {
        Self {
            image: "docker.io/devserver/docker:0.1.0".to_owned(),
            allowed_modes: vec![DockerMode::Rootless],
            seccomp_profile: None,
            default_storage_size: "20Gi".to_owned(),
            max_storage_size: "1Ti".to_owned(),
        }
    }
}

/// Rights of environments in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeAccessSettings {
    /// ClusterRoles that `spec.kubeAccess.role` may name. Empty: none.
    pub allowed_roles: Vec<String>,
    /// Addresses of the API server, where `networkPolicy` blocks them. Only environments with rights reach them.
    #[serde(rename = "apiServerCIDRs")]
    pub api_server_cidrs: Vec<Cidr>,
}

/// What is wrong with these settings, if anything is.
pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    let (editor, docker) = (&platform.editor, &platform.docker);
    image::check(&editor.image).map_err(|e| bad("editor.image", e.to_string()))?;
    image::check(&docker.image).map_err(|e| bad("docker.image", e.to_string()))?;
    for (field, size) in [
        ("docker.defaultStorageSize", &docker.default_storage_size),
        ("docker.maxStorageSize", &docker.max_storage_size),
    ] {
        quantity::parse_positive(size).map_err(|e| bad(field, e.to_string()))?;
    }
    if docker.allowed_modes.contains(&DockerMode::None) {
        let why = "must not hold None; leave the list empty, so that there are no daemons";
        return Err(bad("docker.allowedModes", why));
    }
    let profile = docker.seccomp_profile.as_deref();
    if let Some(profile) = profile.filter(|profile| !is_below(profile)) {
        let why = format!(
            "{profile:?} must be a path below the kubelet's folder of profiles, such as devserver/docker.json"
        );
        return Err(bad("docker.seccompProfile", why));
    }
    let roles = &platform.kube_access.allowed_roles;
    if let Some(role) = roles.iter().find(|role| !is_role(role)) {
        let why = format!("{role:?} must be the name of a ClusterRole, such as view");
        return Err(bad("kubeAccess.allowedRoles", why));
    }
    Ok(())
}

/// What the API server takes as `localhostProfile`.
fn is_below(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.len() <= 253 && path.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("editor: {image: 'UPPER CASE'}", "editor.image"),
            ("editor: {gallery: {}}", "gallery"),
            ("docker: {image: ''}", "docker.image"),
            ("docker: {allowedModes: [None]}", "docker.allowedModes"),
            ("docker: {allowedModes: [Root]}", "Root"),
            ("docker: {maxStorageSize: 0}", "docker.maxStorageSize"),
            (
                "docker: {seccompProfile: /docker.json}",
                "docker.seccompProfile",
            ),
            (
                "docker: {seccompProfile: a/../b.json}",
                "docker.seccompProfile",
            ),
            ("docker: {seccompProfile: ''}", "docker.seccompProfile"),
            (
                "kubeAccess: {allowedRoles: ['*']}",
                "kubeAccess.allowedRoles",
            ),
            (
                "kubeAccess: {allowedRoles: [ClusterRole/view]}",
                "kubeAccess.allowedRoles",
            ),
            ("kubeAccess: {apiServerCIDRs: [all]}", "all"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
