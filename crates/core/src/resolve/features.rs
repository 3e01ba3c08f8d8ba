//! Editor, Docker daemon and rights in the cluster: had where the platform and the flavor allow them.

use std::cmp::Ordering;

use devserver_api::{
    DevServerFlavorSpec, DevServerSpec, DockerMode, DockerSpec, Isolation, PodSecurity, Share,
    names, port, quantity,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{storage::requested, user_namespace};
use crate::{
    Platform, References,
    environment::{Docker, Editor, Features, KubeAccess},
    invalid::FeatureError,
};

/// What it offers beside shells, and whether its pod has a user namespace.
pub(super) fn resolve(
    spec: &DevServerSpec,
    (flavor, offer): (&str, &DevServerFlavorSpec),
    references: &References,
    platform: &Platform,
) -> Result<(Features, bool), FeatureError> {
    let is_given = user_namespace(offer, references, platform);
    let docker = docker(spec, (flavor, offer), is_given, references, platform)?;
    // Document 004's daemon is root of the node, and a pod has one user namespace or none.
    let privileged = docker.as_ref().is_some_and(|docker| docker.privileged);
    let features = Features {
        editor: editor(spec, platform)?,
        ports: ports(spec, platform)?,
        docker,
        kube_access: kube_access(spec, platform)?,
    };
    Ok((features, is_given && !privileged))
}

fn editor(spec: &DevServerSpec, platform: &Platform) -> Result<Option<Editor>, FeatureError> {
    if !spec.editor.as_ref().is_some_and(|editor| editor.enabled) {
        return Ok(None);
    }
    if !platform.network_policy.enabled {
        return Err(FeatureError::EditorNeedsNetworkPolicy);
    }
    let settings = &platform.editor;
    let gallery = &settings.extensions_gallery;
    Ok(Some(Editor {
        image: settings.image.clone(),
        // Text to text: this cannot fail.
        extensions_gallery: (!gallery.is_empty())
            .then(|| serde_json::to_string(gallery).unwrap_or_default()),
    }))
}

fn ports(spec: &DevServerSpec, platform: &Platform) -> Result<Vec<u16>, FeatureError> {
    let ports = port::declared(spec).map_err(FeatureError::Port)?;
    if !ports.is_empty() && !platform.network_policy.enabled {
        return Err(FeatureError::PortsNeedNetworkPolicy);
    }
    let mut shared = ports.values().filter(|p| p.share == Share::Authenticated);
    if let Some(port) = shared.next().filter(|_| !platform.allow_shared_ports) {
        return Err(FeatureError::SharedPortNotAllowed {
            name: port.name.clone(),
        });
    }
    Ok(ports.into_keys().collect())
}

fn docker(
    spec: &DevServerSpec,
    (flavor, offer): (&str, &DevServerFlavorSpec),
    user_namespace: bool,
    references: &References,
    platform: &Platform,
) -> Result<Option<Docker>, FeatureError> {
    let Some(asked) = spec.docker.as_ref().filter(|docker| docker.enabled) else {
        return Ok(None);
    };
    let mode = offer.docker.unwrap_or_default();
    if let Some(why) = not_allowed(mode, flavor, offer, user_namespace, references, platform) {
        return Err(FeatureError::DockerNotAllowed { why });
    }
    if let Some(class) = &asked.storage_class_name
        && !names::is_subdomain(class)
    {
        return Err(FeatureError::DockerStorageClass);
    }
    Ok(Some(Docker {
        image: platform.docker.image.clone(),
        privileged: mode == DockerMode::Privileged,
        seccomp_profile: platform.docker.seccomp_profile.clone(),
        size: docker_size(
            asked,
            references.docker_claim.as_ref().and_then(requested),
            platform,
        )?,
        storage_class: asked.storage_class_name.clone(),
    }))
}

/// Who does not allow a daemon, in words that name the remedy.
fn not_allowed(
    mode: DockerMode,
    flavor: &str,
    offer: &DevServerFlavorSpec,
    user_namespace: bool,
    references: &References,
    platform: &Platform,
) -> Option<String> {
    let remedy = "remove spec.docker, or ask an administrator";
    if offer.isolation == Some(Isolation::Restricted) {
        return Some(format!(
            "the flavor {flavor:?} has isolation Restricted, and a Docker daemon needs more; choose another flavor, or {remedy}"
        ));
    }
    if mode == DockerMode::None {
        return Some(format!(
            "the flavor {flavor:?} has docker: None; choose another flavor, or {remedy}"
        ));
    }
    if !platform.docker.allowed_modes.contains(&mode) {
        return Some(format!(
            "the flavor {flavor:?} has docker: {}, and this platform does not have it among docker.allowedModes; choose another flavor, or {remedy}",
            mode.as_str()
        ));
    }
    // Told before a restart finds out, which would leave nobody a machine.
    let level = references
        .user
        .as_ref()
        .map(|user| user.spec.pod_security.unwrap_or_default());
    if let Some(level) = level.filter(|level| *level != PodSecurity::Privileged) {
        return Some(format!(
            "a Docker daemon needs the Pod Security level privileged, and this namespace has {}; remove spec.docker, or ask an \
             administrator to set podSecurity of the DevServerUser",
            level.as_str()
        ));
    }
    // Without one its rights would be those of root on the node.
    (mode == DockerMode::Rootless && !user_namespace).then(|| {
        format!(
            "a daemon of mode Rootless needs a user namespace, which the flavor {flavor:?}, the platform or the nodes do not give; \
             choose another flavor, or {remedy}"
        )
    })
}

/// Size of the daemon's volume that there is, or is to be; one stays when the daemon is switched off.
pub(super) fn docker_volume(
    spec: &DevServerSpec,
    actual: Option<Quantity>,
    platform: &Platform,
) -> Result<Option<Quantity>, FeatureError> {
    match spec.docker.as_ref().filter(|docker| docker.enabled) {
        Some(asked) => docker_size(asked, actual, platform).map(Some),
        None => Ok(actual),
    }
}

fn docker_size(
    asked: &DockerSpec,
    actual: Option<Quantity>,
    platform: &Platform,
) -> Result<Quantity, FeatureError> {
    let Some(text) = &asked.storage_size else {
        let default = Quantity(platform.docker.default_storage_size.clone());
        return Ok(actual.unwrap_or(default));
    };
    let size = quantity::parse_positive(text).map_err(FeatureError::DockerSize)?;
    let max = Quantity(platform.docker.max_storage_size.clone());
    if quantity::compare(&size, &max) == Some(Ordering::Greater) {
        return Err(FeatureError::DockerTooLarge { max: max.0 });
    }
    match actual {
        Some(actual) if quantity::compare(&size, &actual) == Some(Ordering::Less) => {
            Err(FeatureError::DockerShrinks {
                asked: text.clone(),
                actual: actual.0,
            })
        }
        _ => Ok(size),
    }
}

fn kube_access(
    spec: &DevServerSpec,
    platform: &Platform,
) -> Result<Option<KubeAccess>, FeatureError> {
    let Some(asked) = &spec.kube_access else {
        return Ok(None);
    };
    let settings = &platform.kube_access;
    if !settings.allowed_roles.contains(&asked.role) {
        let allowed = if settings.allowed_roles.is_empty() {
            "this platform gives environments no rights in the cluster; remove spec.kubeAccess, or ask an administrator to \
             list the role in kubeAccess.allowedRoles"
                .to_owned()
        } else {
            format!(
                "this platform allows {}; choose one of these, or ask an administrator",
                settings.allowed_roles.join(", ")
            )
        };
        return Err(FeatureError::KubeAccessNotAllowed {
            role: asked.role.clone(),
            allowed,
        });
    }
    Ok(Some(KubeAccess {
        role: asked.role.clone(),
        api_servers: settings.api_server_cidrs.clone(),
    }))
}
