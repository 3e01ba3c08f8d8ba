//! VS Code in the browser: its image beside the tools, a port, and what tells the agent to start it.

use devserver_api::group;
use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, Volume, VolumeMount};

use super::{
    delivery,
    pod::mount,
    sidecar::{port, variable},
};
use crate::Environment;

const EDITOR_VOLUME: &str = "editor";

pub(super) fn variables(env: &Environment) -> Vec<EnvVar> {
    let Some(editor) = &env.features.editor else {
        return Vec::new();
    };
    let gallery = editor.extensions_gallery.clone();
    std::iter::once(variable(
        "DEVSERVER_EDITOR_PORT",
        group::EDITOR_PORT.to_string(),
    ))
    .chain(gallery.map(|json| variable("EXTENSIONS_GALLERY", json)))
    .collect()
}

pub(super) fn ports(env: &Environment) -> Option<ContainerPort> {
    let port = || port(group::EDITOR_PORT_NAME, group::EDITOR_PORT);
    env.features.editor.as_ref().map(|_| port())
}

pub(super) fn mounts(env: &Environment) -> Option<VolumeMount> {
    let mount = || mount(EDITOR_VOLUME, group::EDITOR, true);
    env.features.editor.as_ref().map(|_| mount())
}

pub(super) fn volume(env: &Environment) -> Option<Volume> {
    let editor = env.features.editor.as_ref()?;
    Some(delivery::volume(env, EDITOR_VOLUME, &editor.image))
}

pub(super) fn copy_container(env: &Environment) -> Option<Container> {
    let editor = env.features.editor.as_ref()?;
    Some(delivery::copy_container(
        env,
        EDITOR_VOLUME,
        &editor.image,
        "/",
    ))
}
