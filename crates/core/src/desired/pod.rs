//! The pod: one container that is the developer's machine.

use std::collections::BTreeMap;

use devserver_api::group;
use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvVar, HTTPGetAction,
        ImageVolumeSource, LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSpec,
        PodTemplateSpec, Probe, ResourceRequirements, SecretVolumeSource, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use kube::core::ObjectMeta;

use super::{claims, meta::pod_labels, placement, sidecar, workload::HOME_VOLUME};
use crate::{Environment, platform::ToolsDelivery};

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
            init_containers: copies_tools(env).then(|| vec![copy_container(env)]),
            containers: std::iter::once(container(env))
                .chain(sidecar::container(env))
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
        env: Some(environment_variables(env)),
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
    .chain(sidecar::main_environment(env))
    .collect()
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

fn copies_tools(env: &Environment) -> bool {
    env.tools.delivery == ToolsDelivery::InitContainer
}

fn copy_container(env: &Environment) -> Container {
    let words = ["/bin/devserver-agent", "copy", "/", "/target"];
    Container {
        name: TOOLS_VOLUME.to_owned(),
        image: Some(env.tools.image.clone()),
        image_pull_policy: env.tools.pull_policy.clone(),
        command: Some(words.into_iter().map(str::to_owned).collect()),
        resources: Some(init_resources(env)),
        security_context: sidecar::init_security(env),
        volume_mounts: Some(vec![mount(TOOLS_VOLUME, "/target", false)]),
        ..Container::default()
    }
}

/// CPU and memory of the container `dev`, whose turn comes afterwards: the pod as a whole needs no more, stays Guaranteed
/// where it is (decision C-QOS), and a quota finds the values that it demands of every container.
fn init_resources(env: &Environment) -> ResourceRequirements {
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

fn mounts(env: &Environment) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount(HOME_VOLUME, group::HOME, false),
        mount(TOOLS_VOLUME, group::TOOLS, true),
    ];
    mounts.extend(sidecar::main_mounts(env));
    mounts.extend(
        env.shared_claim
            .as_ref()
            .map(|_| mount(SHARED_VOLUME, group::SHARED, false)),
    );
    mounts.extend(claims::mounts(env));
    mounts
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
        tools_volume(env),
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
    volumes.extend(claims::volumes(env));
    volumes
}

fn tools_volume(env: &Environment) -> Volume {
    let mut volume = Volume {
        name: TOOLS_VOLUME.to_owned(),
        ..Volume::default()
    };
    if copies_tools(env) {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    } else {
        volume.image = Some(ImageVolumeSource {
            reference: Some(env.tools.image.clone()),
            pull_policy: env.tools.pull_policy.clone(),
        });
    }
    volume
}

fn non_empty<V: Clone>(map: &BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    (!map.is_empty()).then(|| map.clone())
}
