//! How the platform's images get into a pod: mounted, or copied where the cluster has no image volumes.

use std::collections::BTreeMap;

use devserver_api::group;
use k8s_openapi::{
    api::core::v1::{
        Container, EmptyDirVolumeSource, ImageVolumeSource, ResourceRequirements, Volume,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::{
    pod::{TOOLS_VOLUME, mount, non_empty},
    sidecar,
};
use crate::{Environment, platform::ToolsDelivery};

/// Whether images are copied.
pub(super) fn copies(env: &Environment) -> bool {
    env.tools.delivery == ToolsDelivery::InitContainer
}

/// A volume with what the image holds.
pub(super) fn volume(env: &Environment, name: &str, image: &str) -> Volume {
    let mut volume = Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    if copies(env) {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    } else {
        volume.image = Some(ImageVolumeSource {
            reference: Some(image.to_owned()),
            pull_policy: env.tools.pull_policy.clone(),
        });
    }
    volume
}

/// Copies what the image has at `from` into that volume. The tools come first and bring the program that copies.
pub(super) fn copy_container(
    env: &Environment,
    volume: &str,
    image: &str,
    from: &str,
) -> Container {
    let is_tools = volume == TOOLS_VOLUME;
    let agent = if is_tools {
        "/bin/devserver-agent".to_owned()
    } else {
        format!("{}/bin/devserver-agent", group::TOOLS)
    };
    let words = [agent.as_str(), "copy", from, "/target"];
    let mut mounts = vec![mount(volume, "/target", false)];
    mounts.extend((!is_tools).then(|| mount(TOOLS_VOLUME, group::TOOLS, true)));
    Container {
        name: volume.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: env.tools.pull_policy.clone(),
        command: Some(words.into_iter().map(str::to_owned).collect()),
        resources: Some(resources(env)),
        security_context: sidecar::init_security(env),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// CPU and memory of the container `dev`, whose turn comes afterwards: the pod as a whole needs no more, stays Guaranteed
/// where it is (decision C-QOS), and a quota finds the values that it demands of every container.
fn resources(env: &Environment) -> ResourceRequirements {
    let part = |amounts: &BTreeMap<String, Quantity>| {
        let mut amounts = amounts.clone();
        amounts.retain(|resource, _| matches!(resource.as_str(), "cpu" | "memory"));
        non_empty(&amounts)
    };
    ResourceRequirements {
        requests: part(&env.resources.requests),
        limits: part(&env.resources.limits),
        ..ResourceRequirements::default()
    }
}
