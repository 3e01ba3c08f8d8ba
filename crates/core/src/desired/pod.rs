//! The pod: one container that is the developer's machine.

use std::collections::BTreeMap;

use devserver_api::group;
use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, Container, EnvVar, HTTPGetAction, LocalObjectReference,
        PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
        SecretVolumeSource, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use kube::core::ObjectMeta;

use super::{
    claims, delivery, docker, editor, kube_access, meta::pod_labels, placement, sidecar,
    workload::HOME_VOLUME,
};
use crate::Environment;

pub(super) const TOOLS_VOLUME: &str = "tools";
const SHARED_VOLUME: &str = "shared";
pub(super) const HOST_KEYS_VOLUME: &str = "host-keys";
pub(super) const AUTHORIZED_KEYS_VOLUME: &str = "authorized-keys";
pub(super) const SSHD_VOLUME: &str = "sshd-config";

pub(super) fn template(env: &Environment) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels(env)),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(env.name.service_account()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            // Root inside is an unprivileged user outside (KEP-127).
            host_users: env.user_namespace.then_some(false),
            security_context: Some(sidecar::pod_security(env)),
            termination_grace_period_seconds: Some(env.termination_grace_period_seconds),
            node_selector: non_empty(&env.placement.node_selector),
            tolerations: Some(env.placement.tolerations.clone()).filter(|t| !t.is_empty()),
            affinity: placement::affinity(env),
            topology_spread_constraints: placement::spread(env),
            priority_class_name: env.placement.priority_class.clone(),
            runtime_class_name: env.placement.runtime_class.clone(),
            image_pull_secrets: pull_secrets(env),
            init_containers: copies(env),
            containers: std::iter::once(container(env))
                .chain(sidecar::container(env))
                .chain(docker::container(env))
                .collect(),
            volumes: Some(volumes(env)),
            ..PodSpec::default()
        }),
    }
}

fn container(env: &Environment) -> Container {
    let argv = |words: &[&str]| Some(words.iter().map(|w| (*w).to_owned()).collect());
    let agent = format!("{}/bin/devserver-agent", group::TOOLS);
    let startup = format!("{}/startup.sh", group::TOOLS);
    Container {
        name: group::CONTAINER.to_owned(),
        image: Some(env.image.clone()),
        image_pull_policy: env.image_pull_policy.clone(),
        command: argv(&[&agent, "init", "--", "/bin/sh", &startup]),
        env: Some(main_variables(env)),
        ports: Some(sidecar::main_ports(env)),
        resources: Some(ResourceRequirements {
            requests: non_empty::<Quantity>(&env.resources.requests),
            limits: non_empty::<Quantity>(&env.resources.limits),
            ..ResourceRequirements::default()
        }),
        security_context: Some(sidecar::main_security(env)),
        // The agent holds its answer until sshd is there, and the kubelet asks a readiness probe (not a startup probe) as
        // soon as the container runs: often one question is enough. Every second, because about every other time that one
        // comes before the agent can listen. No liveness probe: nothing may end somebody's session.
        readiness_probe: Some(probe("health")),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(env)),
        ..Container::default()
    }
}

/// Those of the container `dev`, whose agent starts the editor.
fn main_variables(env: &Environment) -> Vec<EnvVar> {
    let mut variables = environment_variables(env);
    variables.extend(editor::variables(env));
    variables
}

pub(super) fn environment_variables(env: &Environment) -> Vec<EnvVar> {
    // The agent must be done before the kubelet kills it.
    let grace = (env.termination_grace_period_seconds - 5).max(1);
    [
        ("DEVSERVER_NAME", env.name.to_string()),
        ("DEVSERVER_NAMESPACE", env.namespace.clone()),
        ("DEVSERVER_GRACE_SECONDS", grace.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    })
    .chain(login_user(env))
    .chain(sidecar::main_environment(env))
    .chain(docker::variables(env))
    .collect()
}

/// Where the image was made for another user than ours.
fn login_user(env: &Environment) -> Option<EnvVar> {
    let user = &env.login.user;
    let is_of_image = env.login.is_of_image();
    is_of_image.then(|| sidecar::variable(group::LOGIN_USER_VARIABLE, user.clone()))
}

pub(super) fn probe(port: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/healthz".to_owned()),
            port: IntOrString::String(port.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(1),
        failure_threshold: Some(6),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn pull_secrets(env: &Environment) -> Option<Vec<LocalObjectReference>> {
    let named = |name: &String| LocalObjectReference { name: name.clone() };
    let secrets: Vec<_> = env.image_pull_secrets.iter().map(named).collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// Copies of the platform's images, where the cluster cannot mount them.
fn copies(env: &Environment) -> Option<Vec<Container>> {
    let tools = || delivery::copy_container(env, TOOLS_VOLUME, &env.tools.image, "/");
    let containers = std::iter::once(tools())
        .chain(editor::copy_container(env))
        .chain(docker::copy_container(env));
    delivery::copies(env).then(|| containers.collect())
}

fn mounts(env: &Environment) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount(HOME_VOLUME, &env.login.home(), false),
        mount(TOOLS_VOLUME, group::TOOLS, true),
    ];
    mounts.extend(sidecar::main_mounts(env));
    mounts.extend(shared_mount(env));
    mounts.extend(editor::mounts(env));
    mounts.extend(docker::mounts(env));
    mounts.extend(kube_access::token_mount(env));
    mounts.extend(kube_access::config_mount(env, &env.login.home()));
    mounts.extend(claims::mounts(env));
    mounts
}

/// Where the shared claim is mounted.
pub(super) fn shared_mount(env: &Environment) -> Option<VolumeMount> {
    let claim = env.shared_claim.as_ref();
    claim.map(|_| mount(SHARED_VOLUME, group::SHARED, false))
}

pub(super) fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn volumes(env: &Environment) -> Vec<Volume> {
    let volume = |name: &str| Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    let secret = |name: String, mode| SecretVolumeSource {
        secret_name: Some(name),
        default_mode: Some(mode),
        ..SecretVolumeSource::default()
    };
    let mut volumes = vec![
        delivery::volume(env, TOOLS_VOLUME, &env.tools.image),
        Volume {
            secret: Some(secret(env.name.host_keys(), sidecar::key_mode(env))),
            ..volume(HOST_KEYS_VOLUME)
        },
        Volume {
            secret: Some(secret(env.name.authorized_keys(), sidecar::key_mode(env))),
            ..volume(AUTHORIZED_KEYS_VOLUME)
        },
        Volume {
            config_map: Some(ConfigMapVolumeSource {
                name: env.name.sshd_config(),
                default_mode: Some(0o444),
                ..ConfigMapVolumeSource::default()
            }),
            ..volume(SSHD_VOLUME)
        },
    ];
    volumes.extend(env.shared_claim.as_ref().map(|claim| Volume {
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.clone(),
            ..PersistentVolumeClaimVolumeSource::default()
        }),
        ..volume(SHARED_VOLUME)
    }));
    volumes.extend(editor::volume(env));
    volumes.extend(docker::volumes(env));
    volumes.extend(kube_access::volumes(env));
    volumes.extend(claims::volumes(env));
    volumes
}

pub(super) fn non_empty<V: Clone>(map: &BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    (!map.is_empty()).then(|| map.clone())
}
