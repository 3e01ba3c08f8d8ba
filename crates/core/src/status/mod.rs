//! What to tell the user: a function of what was seen, never of what was sent.

mod pod;
mod restart;

use devserver_api::{
    DevServer, DevServerStatus, Phase, SshStatus,
    condition::{self, Verdict, whole_seconds},
    group,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Service, apimachinery::pkg::apis::meta::v1::Time};

use crate::{Environment, Invalid, Observed, Platform, due};

pub use pod::{Stage, is_ready};
pub use restart::{Restart, pending_restart};

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
            format!("takes effect at the next restart: {}", restart.changes),
        ));
    }
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
        ssh: ssh(seen).or(before.ssh),
    }
}

fn stage(
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
    seen: &Observed,
    platform: &Platform,
    now: Timestamp,
) -> Stage {
    if server.metadata.deletion_timestamp.is_some() {
        return Stage::new(Phase::Terminating, "Deleting", "is being deleted");
    }
    let deadline = platform.start_deadline_seconds;
    match outcome {
        Ok(env) if env.suspend => match &seen.pod {
            None => Stage::new(
                Phase::Suspended,
                "Suspended",
                "stopped on request; the home is kept; set spec.suspend to false to start it",
            ),
            Some(_) => Stage::new(Phase::Suspended, "Stopping", "is being stopped on request"),
        },
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
fn ssh(seen: &Observed) -> Option<SshStatus> {
    (!seen.host_keys.is_empty()).then(|| SshStatus {
        user: group::LOGIN_USER.to_owned(),
        host_keys: seen.host_keys.clone(),
        node_port: seen.ssh_service.as_ref().and_then(node_port),
        host: seen.ssh_service.as_ref().and_then(balancer),
    })
}

fn node_port(service: &Service) -> Option<i32> {
    let spec = service
        .spec
        .as_ref()
        .filter(|s| s.type_.as_deref() == Some("NodePort"))?;
    spec.ports
        .as_ref()?
        .iter()
        .find(|p| p.port == group::SSH_PORT)?
        .node_port
}

fn balancer(service: &Service) -> Option<String> {
    let ingress = service
        .status
        .as_ref()?
        .load_balancer
        .as_ref()?
        .ingress
        .as_ref()?
        .first()?;
    ingress.hostname.clone().or_else(|| ingress.ip.clone())
}
