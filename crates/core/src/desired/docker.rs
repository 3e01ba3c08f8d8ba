//! A Docker daemon of the environment's own: a container beside `dev`, with a volume that lives as long as the DevServer.
//!
//! In mode `Rootless` its capabilities count in the pod's user namespace only: to the node it is nobody. It is not part of
//! whether the pod is Ready by more than running: a daemon in trouble must not keep anybody out of the machine.

use devserver_api::group;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource, ResourceRequirements,
    SeccompProfile, SecurityContext, Volume, VolumeMount,
};

use super::{delivery, meta::object_meta, pod::mount, sidecar::variable, workload::storage};
use crate::{Environment, environment::Docker, shares};

const DATA_VOLUME: &str = "docker";
const SOCKET_VOLUME: &str = "docker-socket";
const CLIENT_VOLUME: &str = "docker-client";
/// Where the image has the client, which runs in any image.
const CLIENT: &str = "/client";
/// What containers need of their daemon; `SYS_ADMIN` and `NET_ADMIN` for their namespaces and networks.
const CAPABILITIES: [&str; 16] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_CHROOT",
];

/// The daemon.
pub(super) fn container(env: &Environment) -> Option<Container> {
    let docker = env.features.docker.as_ref()?;
    let mode = if docker.privileged {
        "privileged"
    } else {
        "rootless"
    };
    let command = ["/usr/local/sbin/run-dockerd", mode];
    Some(Container {
        name: group::DOCKER_CONTAINER.to_owned(),
        image: Some(docker.image.clone()),
        image_pull_policy: env.tools.pull_policy.clone(),
        command: Some(command.map(str::to_owned).to_vec()),
        resources: Some(resources(env)),
        security_context: Some(security(docker)),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount(DATA_VOLUME, "/var/lib/docker", false),
            mount(SOCKET_VOLUME, group::DOCKER_SOCKET_FOLDER, false),
        ]),
        ..Container::default()
    })
}

fn security(docker: &Docker) -> SecurityContext {
    let root = SecurityContext {
        run_as_user: Some(0),
        run_as_group: Some(0),
        run_as_non_root: Some(false),
        ..SecurityContext::default()
    };
    if docker.privileged {
        return SecurityContext {
            privileged: Some(true),
            ..root
        };
    }
    SecurityContext {
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
        }),
        // It mounts a /proc for every container, which the kernel refuses where parts of its own are hidden.
        proc_mount: Some("Unmasked".to_owned()),
        // RuntimeDefault has no keyctl and no pivot_root.
        seccomp_profile: Some(match &docker.seccomp_profile {
            Some(profile) => SeccompProfile {
                type_: "Localhost".to_owned(),
                localhost_profile: Some(profile.clone()),
            },
            None => SeccompProfile {
                type_: "Unconfined".to_owned(),
                ..SeccompProfile::default()
            },
        }),
        ..root
    }
}

fn resources(env: &Environment) -> ResourceRequirements {
    let share = shares::of_docker(&env.resources);
    ResourceRequirements {
        requests: Some(share.requests),
        limits: Some(share.limits).filter(|limits| !limits.is_empty()),
        ..ResourceRequirements::default()
    }
}

/// For the containers that people work in.
pub(super) fn variables(env: &Environment) -> Option<EnvVar> {
    let variable = || variable("DOCKER_HOST", group::DOCKER_HOST.to_owned());
    env.features.docker.as_ref().map(|_| variable())
}

/// For the containers that people work in: the socket, and a client that speaks to it.
pub(super) fn mounts(env: &Environment) -> Vec<VolumeMount> {
    if env.features.docker.is_none() {
        return Vec::new();
    }
    // A copy is of the client only.
    let client = if delivery::copies(env) {
        format!("{}{CLIENT}", group::DOCKER_CLIENT)
    } else {
        group::DOCKER_CLIENT.to_owned()
    };
    vec![
        mount(SOCKET_VOLUME, group::DOCKER_SOCKET_FOLDER, false),
        mount(CLIENT_VOLUME, &client, true),
    ]
}

pub(super) fn volumes(env: &Environment) -> Vec<Volume> {
    let Some(docker) = &env.features.docker else {
        return Vec::new();
    };
    let data = Volume {
        name: DATA_VOLUME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: env.name.docker_claim(),
            ..PersistentVolumeClaimVolumeSource::default()
        }),
        ..Volume::default()
    };
    let socket = Volume {
        name: SOCKET_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    vec![
        data,
        socket,
        delivery::volume(env, CLIENT_VOLUME, &docker.image),
    ]
}

pub(super) fn copy_container(env: &Environment) -> Option<Container> {
    let docker = env.features.docker.as_ref()?;
    Some(delivery::copy_container(
        env,
        CLIENT_VOLUME,
        &docker.image,
        CLIENT,
    ))
}

/// Its volume. Not from a template of the StatefulSet, which could not be added later. It goes with the DevServer, and stays
/// when the daemon is switched off: only its user knows whether anything in it is still needed.
pub(super) fn claim(env: &Environment) -> Option<PersistentVolumeClaim> {
    let docker = env.features.docker.as_ref()?;
    Some(PersistentVolumeClaim {
        metadata: object_meta(env, env.name.docker_claim()),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: docker.storage_class.clone(),
            resources: Some(storage(&docker.size)),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    })
}
