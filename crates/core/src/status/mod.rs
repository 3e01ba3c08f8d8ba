//! What to tell the user: a function of what was seen, never of what was sent.

mod address;
mod changes;
mod expiring;
mod pod;
mod restart;

use devserver_api::{
    DevServer, DevServerStatus, EditorStatus, GatewayStatus, Phase, SshMode, SshStatus,
    condition::{self, Verdict, whole_seconds},
    group,
    ssh_key::PublicKey,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::{Environment, Invalid, Observed, Platform, due, idle};

pub use expiring::news_of_the_end;
pub use pod::{Stage, is_ready, node};
pub use restart::{Restart, halt_now, pending_restart, restart_now};

/// The status to write, given the spec, what became of it, what was seen, and the time.
pub fn status(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
    platform: &Platform,
    now: Timestamp,
) -> DevServerStatus {
    let before = server.status.clone().unwrap_or_default();
    let stage = stage(server, outcome, seen, platform, now);
    let mut verdicts = vec![valid(outcome), ready(&stage)];
    if let (Ok(_), Some(restart)) = (outcome, pending_restart(seen)) {
        verdicts.push(Verdict::new(
            condition::RESTART_PENDING,
            true,
            "TemplateChanged",
            format!(
                "takes effect at the next restart: {}; restart with `devctl restart {}`",
                restart.changes,
                server.name_any()
            ),
        ));
    }
    let expiring = expiring::expiring(server, platform, seen.hold, now);
    verdicts.extend(expiring.iter().map(|e| e.verdict.clone()));
    verdicts.extend(seen.idle.as_ref().and_then(idle::verdict));
    let generation = server.metadata.generation;
    DevServerStatus {
        phase: Some(stage.phase),
        message: Some(stage.message),
        observed_generation: generation,
        conditions: verdicts
            .iter()
            .map(|verdict| verdict.since(&before.conditions, generation, now))
            .collect(),
        flavor: outcome
            .as_ref()
            .ok()
            .map(|env| env.flavor.name.clone())
            .or(before.flavor),
        expiration_time: due::expires_at(server, platform).map(|at| Time(whole_seconds(at))),
        expiration_warning_seconds: expiring.and_then(|e| e.warning),
        ssh: ssh(server, outcome, seen, platform).or(before.ssh),
        editor: editor(seen),
        idle: seen.idle.clone(),
        advice: seen.advice.clone(),
    }
}

/// Where the editor is, told by the pod that runs: the one that was asked for may come with a restart only.
fn editor(seen: &Observed) -> Option<EditorStatus> {
    let pod = seen.pod.as_ref().filter(|pod| is_ready(pod))?;
    let mut containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let dev = containers.find(|container| container.name == group::CONTAINER)?;
    let mut ports = dev.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref() == Some(group::EDITOR_PORT_NAME))?;
    Some(EditorStatus {
        port: port.container_port,
    })
}

fn stage(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
    platform: &Platform,
    now: Timestamp,
) -> Stage {
    let stuck = seen.pod.as_ref().and_then(|pod| pod::stuck(pod, now));
    if server.metadata.deletion_timestamp.is_some() {
        return match stuck {
            Some(why) => Stage::new(Phase::Terminating, pod::STUCK, why),
            None => Stage::new(Phase::Terminating, "Deleting", "is being deleted"),
        };
    }
    let deadline = platform.start_deadline_seconds;
    match outcome {
        _ if server.spec.suspend => suspended(outcome, seen, stuck),
        Ok(_) => match &seen.problem {
            Some(problem) if !seen.pod.as_ref().is_some_and(is_ready) => {
                Stage::new(Phase::Pending, problem.reason, problem.message.clone())
            }
            Some(problem) => Stage {
                message: format!("runs, but: {}", problem.message),
                ..pod::stage(seen, deadline, now, server.status.as_ref())
            },
            None => pod::stage(seen, deadline, now, server.status.as_ref()),
        },
        // What runs is left alone, and said to run.
        Err(invalid) if seen.pod.as_ref().is_some_and(is_ready) => Stage {
            message: format!("runs with its last valid settings: {invalid}"),
            ..pod::stage(seen, deadline, now, server.status.as_ref())
        },
        Err(invalid) => Stage::new(Phase::Pending, invalid.reason(), invalid.to_string()),
    }
}

/// Stopped, or on the way to it; a spec that is otherwise invalid is stopped all the same.
fn suspended(
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
    stuck: Option<String>,
) -> Stage {
    let told = |reason, message: String| Stage::new(Phase::Suspended, reason, message);
    match (&seen.pod, stuck, &seen.problem, outcome) {
        (None, _, _, Err(invalid)) => told(
            "Suspended",
            format!("stopped on request; the home is kept; before it can start again: {invalid}"),
        ),
        (None, ..) => told(
            "Suspended",
            "stopped on request; the home is kept; set spec.suspend to false to start it"
                .to_owned(),
        ),
        (_, Some(why), ..) => told(pod::STUCK, why),
        (_, None, Some(problem), _) => told(problem.reason, problem.message.clone()),
        _ => told("Stopping", "is being stopped on request".to_owned()),
    }
}

/// The next instant at which time alone changes what is to be told; `None`: only events can.
pub fn next_change(seen: &Observed, platform: &Platform, now: Timestamp) -> Option<Timestamp> {
    let instants = pod::deadlines(seen, platform.start_deadline_seconds);
    instants.into_iter().filter(|at| *at > now).min()
}

fn valid(outcome: &Result<Environment, Invalid>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::new(condition::VALID, true, "Valid", "the spec is understood"),
        Err(invalid) => Verdict::new(
            condition::VALID,
            false,
            invalid.reason(),
            invalid.to_string(),
        ),
    }
}

fn ready(stage: &Stage) -> Verdict {
    let ready = stage.phase == Phase::Running;
    Verdict::new(condition::READY, ready, stage.reason, stage.message.clone())
}

/// `None` until there are host keys: an address without them would be trusted blindly.
fn ssh(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
    platform: &Platform,
) -> Option<SshStatus> {
    (!seen.host_keys.is_empty()).then(|| SshStatus {
        user: login_user(server, outcome, seen),
        host_keys: seen.host_keys.clone(),
        authorized_key_fingerprints: fingerprints(server, outcome),
        node_port: address::node_port(seen),
        host: address::host(seen),
        gateway: gateway(server, seen, platform),
    })
}

/// Who logs in now: a pod keeps the name it was started with until it is made anew.
fn login_user(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
) -> String {
    let usual = || group::LOGIN_USER.to_owned();
    if let Some(pod) = &seen.pod {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut variables = containers.flat_map(|c| c.env.iter().flatten());
        let named = variables.find(|v| v.name == group::LOGIN_USER_VARIABLE);
        return named.and_then(|v| v.value.clone()).unwrap_or_else(usual);
    }
    if let Ok(env) = outcome {
        return env.login.user.clone();
    }
    let before = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    before.map_or_else(usual, |ssh| ssh.user.clone())
}

/// Where there is no way in for ssh, there is none through the gateway. An operator that has just started does not know its
/// keys yet; what was told stays.
fn gateway(server: &DevServer, seen: &Observed, platform: &Platform) -> Option<GatewayStatus> {
    let address = platform.gateway.as_ref()?;
    let before = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    let told = before.and_then(|ssh| ssh.gateway.as_ref());
    let host_keys = &seen.gateway.as_ref().or(told)?.host_keys;
    let is_served = server.spec.ssh.mode != Some(SshMode::Disabled);
    is_served.then(|| GatewayStatus {
        host: address.host.clone(),
        port: address.port,
        host_keys: host_keys.clone(),
    })
}

/// What the gateway, which reads no Secret, has to know of the keys in Secrets and ConfigMaps. Those of collaborators are not
/// among them: here every key speaks for the owner. With a spec that is not
/// understood, what was told before stays, as the keys do that sshd has.
fn fingerprints(server: &DevServer, outcome: &Result<Environment, Invalid>) -> Vec<String> {
    if server.spec.ssh.authorized_keys_from.is_empty() {
        return Vec::new();
    }
    if let Ok(env) = outcome {
        return env
            .ssh
            .referenced_keys
            .iter()
            .map(PublicKey::fingerprint)
            .collect();
    }
    let before = server.status.as_ref().and_then(|s| s.ssh.as_ref());
    before.map_or_else(Vec::new, |ssh| ssh.authorized_key_fingerprints.clone())
}
