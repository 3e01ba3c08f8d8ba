//! sshd in a container of its own (document 003), and what that and a flavor without root change for the rest of the pod.
//!
//! The sidecar is the login user and nothing more: no root, no capability, port 2222. It runs the environment's own image,
//! so that people find the same programs in both containers, and both have the home volume at `/home/dev` and `/workspace`, and the
//! same further volumes.

use devserver_api::{SshMode, group};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, PodSecurityContext, ResourceRequirements,
    SeccompProfile, SecurityContext, VolumeMount,
};

use super::{
    claims, docker, editor, kube_access,
    pod::{
        self, AUTHORIZED_KEYS_VOLUME, HOST_KEYS_VOLUME, SSHD_VOLUME, TOOLS_VOLUME, mount, probe,
    },
    ssh,
    workload::HOME_VOLUME,
};
use crate::{Environment, shares};

const HEALTH_PORT_NAME: &str = "ssh-health";

/// `/etc/passwd` where the image's own cannot be written, because nobody is root.
/// The login shell is a script that finds the best shell of the image.
pub(super) fn passwd(env: &Environment) -> String {
    let user = &env.login.user;
    format!(
        "\
root:x:0:0:root:/root:/bin/sh
{user}:*:1000:1000::/workspace:/opt/devserver/libexec/login-shell
sshd:*:990:990:sshd:/run/devserver/empty:/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/sbin/nologin
"
    )
}

/// `/etc/group` beside it. Terminals belong to group 5, as the container runtime makes them.
pub(super) fn group_file(env: &Environment) -> String {
    let user = &env.login.user;
    format!(
        "\
root:x:0:
tty:x:5:
sshd:x:990:
{user}:x:1000:
nogroup:x:65534:
"
    )
}

fn is_sidecar(env: &Environment) -> bool {
    env.ssh.mode == SshMode::Sidecar
}

/// Whether some container gets its account files from us.
pub(super) fn has_accounts(env: &Environment) -> bool {
    is_sidecar(env) || env.restricted
}

/// The container `ssh`, in mode `Sidecar`.
pub(super) fn container(env: &Environment) -> Option<Container> {
    let sshd = format!("{}/sbin/sshd", group::TOOLS);
    let agent = format!("{}/bin/devserver-agent", group::TOOLS);
    let config = "/etc/devserver/sshd/sshd_config";
    let command = [&agent, "init", "--", &sshd, "-D", "-e", "-f", config];
    let mut mounts = vec![
        mount(HOME_VOLUME, &env.login.home(), false),
        mount(TOOLS_VOLUME, group::TOOLS, true),
    ];
    mounts.extend(keys_mounts());
    mounts.push(configuration_mount());
    mounts.extend(workspace_mounts(env, true));
    mounts.extend(docker::mounts(env));
    mounts.extend(kube_access::config_mount(env, &env.login.home()));
    // People log in here: what they have mounted is here, too.
    mounts.extend(pod::shared_mount(env));
    mounts.extend(claims::mounts(env));
    is_sidecar(env).then(|| Container {
        name: group::SIDECAR_CONTAINER.to_owned(),
        image: Some(env.image.clone()),
        image_pull_policy: env.image_pull_policy.clone(),
        command: Some(command.into_iter().map(str::to_owned).collect()),
        env: Some(sidecar_environment(env)),
        ports: Some(vec![
            port("ssh", group::SIDECAR_SSH_PORT),
            port(HEALTH_PORT_NAME, group::SIDECAR_HEALTH_PORT),
        ]),
        resources: Some(resources(env)),
        security_context: Some(nobody_special()),
        readiness_probe: Some(probe(HEALTH_PORT_NAME)),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    })
}

/// Names of the ports at which agents answer.
pub(super) fn health_ports(env: &Environment) -> impl Iterator<Item = &'static str> {
    let sidecar = is_sidecar(env).then_some(HEALTH_PORT_NAME);
    std::iter::once("health").chain(sidecar)
}

/// Ports of the container `dev`.
pub(super) fn main_ports(env: &Environment) -> Vec<ContainerPort> {
    let mut ports = Vec::new();
    if env.ssh.mode == SshMode::InContainer {
        ports.push(port("ssh", group::SSH_PORT));
    }
    ports.push(port("health", group::HEALTH_PORT));
    ports.extend(editor::ports(env));
    ports
}

/// Who the container `dev` runs as. sshd starts as root to become the login user; whatever user the image names does not
/// matter here.
pub(super) fn main_security(env: &Environment) -> SecurityContext {
    if env.restricted {
        return nobody_special();
    }
    SecurityContext {
        run_as_user: Some(0),
        run_as_group: Some(0),
        run_as_non_root: Some(false),
        ..SecurityContext::default()
    }
}

/// What every container of a pod without root gets (Pod Security `restricted`); `None`: the image's own.
pub(super) fn init_security(env: &Environment) -> Option<SecurityContext> {
    env.restricted.then(nobody_special)
}

/// A further variable of the container `dev`: no port of sshd means that none is expected there. Whether there is a login by
/// password is settled when sshd starts, so that a change of it has to show as a change of the pod; a new password does not.
pub(super) fn main_environment(env: &Environment) -> Option<EnvVar> {
    if env.ssh.mode != SshMode::InContainer {
        return Some(variable("DEVSERVER_SSH_PORT", "0".to_owned()));
    }
    let password = env.ssh.password.as_ref();
    password.map(|_| variable("DEVSERVER_PASSWORD_LOGIN", "yes".to_owned()))
}

/// Mounts of the container `dev` that depend on where sshd runs.
pub(super) fn main_mounts(env: &Environment) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    if env.ssh.mode == SshMode::InContainer {
        mounts.extend(keys_mounts());
    }
    mounts.push(configuration_mount());
    mounts.extend(workspace_mounts(env, env.restricted));
    mounts
}

fn keys_mounts() -> [VolumeMount; 2] {
    [
        mount(HOST_KEYS_VOLUME, "/etc/devserver/host-keys", true),
        mount(AUTHORIZED_KEYS_VOLUME, ssh::AUTHORIZED_KEYS_FOLDER, true),
    ]
}

fn configuration_mount() -> VolumeMount {
    mount(SSHD_VOLUME, "/etc/devserver/sshd", true)
}

/// The home under its other name, and accounts where the image's own cannot be written. A file that is mounted alone does
/// not follow changes of the ConfigMap; these two never change.
fn workspace_mounts(env: &Environment, accounts: bool) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    if is_sidecar(env) || env.login.is_of_image() {
        mounts.push(mount(HOME_VOLUME, group::WORKSPACE, false));
        mounts.extend(kube_access::config_mount(env, group::WORKSPACE));
    }
    if accounts {
        for file in ["passwd", "group"] {
            mounts.push(VolumeMount {
                sub_path: Some(file.to_owned()),
                ..mount(SSHD_VOLUME, &format!("/etc/{file}"), true)
            });
        }
    }
    mounts
}

/// Mode of mounted keys. In a sidecar there is nobody but the login user, who is not their owner; sshd accepts that, as it
/// asks for a closed file only where it is the owner.
pub(super) fn key_mode(env: &Environment) -> i32 {
    if is_sidecar(env) { 0o444 } else { 0o400 }
}

/// Of the pod. The group makes the home writable where nobody is root to give it to the user. Elsewhere it would open the
/// private host keys to the login user, and all files of an existing home to its group.
pub(super) fn pod_security(env: &Environment) -> PodSecurityContext {
    let group = env.restricted.then_some(group::LOGIN_ID);
    PodSecurityContext {
        fs_group: group,
        // A home with a million files starts as fast as an empty one.
        fs_group_change_policy: group.map(|_| "OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// The login user, without any way to become more.
fn nobody_special() -> SecurityContext {
    SecurityContext {
        run_as_user: Some(group::LOGIN_ID),
        run_as_group: Some(group::LOGIN_ID),
        run_as_non_root: Some(true),
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

fn resources(env: &Environment) -> ResourceRequirements {
    let share = shares::of_sidecar(&env.resources);
    ResourceRequirements {
        requests: Some(share.requests),
        limits: Some(share.limits),
        ..ResourceRequirements::default()
    }
}

fn sidecar_environment(env: &Environment) -> Vec<EnvVar> {
    let mut variables = pod::environment_variables(env);
    variables.retain(|v| v.name != "DEVSERVER_SSH_PORT");
    variables.extend([
        variable("DEVSERVER_SSH_PORT", group::SIDECAR_SSH_PORT.to_string()),
        variable(
            "DEVSERVER_HEALTH_PORT",
            group::SIDECAR_HEALTH_PORT.to_string(),
        ),
        variable("DEVSERVER_ROLE", group::SIDECAR_CONTAINER.to_owned()),
    ]);
    variables
}

pub(super) fn variable(name: &str, value: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    }
}

pub(super) fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}
