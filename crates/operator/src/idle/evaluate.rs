//! From what is known to what is to be done. The same for a look, which carries it out, and for the round of questions,
//! which asks for a look when there is something to carry out.

use std::collections::BTreeMap;

use devserver_api::{Advice, DevServer, IdleState, IdleStatus};
use devserver_core::{
    Clocks,
    idle::{self, Input, Notice, Rules, Size, Stop},
    resolve::idle_rules,
    status::is_ready,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity};
use kube::{Api, ResourceExt as _};

use super::advice::advice;
use crate::{
    context::Context,
    error::{Error, bounded},
    observe,
};

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Evaluated {
    /// What to write.
    pub status: Option<IdleStatus>,
    /// What to tell before.
    pub notices: Vec<Notice>,
    /// How large the pod should be, once that is written.
    pub size: Size,
    /// Least requests of the flavor.
    pub minimum: BTreeMap<String, Quantity>,
    /// Whether to stop it.
    pub stop: Stop,
    /// When to look again.
    pub wake_at: Option<Timestamp>,
    /// What its owner should know.
    pub advice: Vec<Advice>,
}

/// Flavors and user are read from the caches, as for every other decision.
pub fn rules(ctx: &Context, server: &DevServer) -> Option<(Rules, BTreeMap<String, Quantity>)> {
    ctx.platform.idle.as_ref()?;
    let references = observe::references(ctx, server);
    let user = references.user.as_ref();
    let rules = idle_rules(&server.spec, &references.flavors, user, &ctx.platform)?;
    let told = server.status.as_ref().and_then(|s| s.flavor.as_ref());
    let flavor = references
        .flavors
        .iter()
        .find(|flavor| Some(&flavor.name_any()) == server.spec.flavor.as_ref().or(told));
    let minimum = flavor.map(|flavor| flavor.spec.minimum_resources.clone());
    Some((rules, minimum.unwrap_or_default()))
}

/// Its pod, when it can be asked.
pub fn ready_pod(ctx: &Context, server: &DevServer) -> Option<Pod> {
    observe::pod(ctx, server).filter(is_ready)
}

/// What is to be done with it now, and what there is to say.
pub fn evaluate(ctx: &Context, server: &DevServer, clocks: Clocks) -> Evaluated {
    with_pod(ctx, server, ready_pod(ctx, server), clocks)
}

/// The same for a look, which writes it down. That a pod was shrunk is forgotten on the word of the API server alone: the cache may
/// not have seen yet that it was, and without that record it would stay small for good.
pub async fn look(ctx: &Context, server: &DevServer, clocks: Clocks) -> Result<Evaluated, Error> {
    let evaluated = evaluate(ctx, server, clocks);
    let record = |status: Option<&IdleStatus>| status.and_then(|s| s.downscaled.clone());
    let before = server.status.as_ref().and_then(|s| s.idle.as_ref());
    let (Some(record), None) = (record(before), record(evaluated.status.as_ref())) else {
        return Ok(evaluated);
    };
    let Some(pod) = ready_pod(ctx, server) else {
        return Ok(evaluated);
    };
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    let present = bounded("read the pod", api.get_opt(&name)).await?;
    match present.filter(|pod| idle::is_still_small(pod, &record)) {
        Some(pod) => Ok(with_pod(ctx, server, Some(pod), clocks)),
        None => Ok(evaluated),
    }
}

fn with_pod(ctx: &Context, server: &DevServer, pod: Option<Pod>, clocks: Clocks) -> Evaluated {
    let evaluated = policy(ctx, server, pod, clocks);
    let status = evaluated.status.as_ref();
    Evaluated {
        advice: advice(ctx, server, status, clocks.now()),
        ..evaluated
    }
}

/// What the policy demands. Without one nothing, and nothing is told.
fn policy(ctx: &Context, server: &DevServer, pod: Option<Pod>, clocks: Clocks) -> Evaluated {
    let before = server.status.as_ref().and_then(|s| s.idle.clone());
    let released = || Evaluated {
        status: idle::released(before.as_ref(), pod.as_ref()),
        ..Evaluated::default()
    };
    if ctx.platform.idle.is_none() {
        return released();
    }
    if server.spec.suspend {
        let (status, notice) = idle::stopped(server, clocks.now()).unzip();
        return Evaluated {
            status: status.map(|status| told(ctx, server, status)),
            notices: notice.flatten().into_iter().collect(),
            ..Evaluated::default()
        };
    }
    let Some((rules, minimum)) = rules(ctx, server) else {
        return released();
    };
    // What is said of a stopped one is not true of one that starts.
    let before = before.filter(|before| before.state != IdleState::Stopped);
    let unchanged = || Evaluated {
        status: before.clone(),
        size: Size::Left,
        ..Evaluated::default()
    };
    let Some(pod) = pod else {
        return unchanged();
    };
    let policy = ctx.platform.activity.as_ref();
    let time = (clocks.now(), ctx.clock.steady());
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let verdict = policy.and_then(|policy| ctx.reports.verdict(uid, server, policy, time));
    let Some(activity) = verdict else {
        return unchanged();
    };
    let spec = server.spec.idle.as_ref();
    let step = idle::step(&Input {
        rules: &rules,
        activity: &activity,
        before: before.as_ref(),
        snoozed_until: spec.and_then(|idle| idle.snoozed_until.as_ref().map(|at| at.0)),
        pod: Some(&pod),
        minimum: &minimum,
        clocks,
    });
    Evaluated {
        status: Some(told(ctx, server, step.status)),
        notices: step.notices,
        size: step.size,
        minimum,
        stop: step.stop,
        wake_at: step.wake_at,
        advice: Vec::new(),
    }
}

/// With what became of the notifications.
fn told(ctx: &Context, server: &DevServer, mut status: IdleStatus) -> IdleStatus {
    if let Some(stage) = idle::owed(&status)
        && ctx
            .notifier
            .is_done(&idle::notification_id(server, &status, stage))
    {
        status.notified_stage = Some(stage);
    }
    status
}

impl Evaluated {
    /// Whether a look would do anything.
    pub fn is_due(&self, ctx: &Context, server: &DevServer, pod: &Pod) -> bool {
        let written = server.status.as_ref().and_then(|s| s.idle.as_ref());
        let advice = server.status.iter().flat_map(|status| &status.advice);
        written != self.status.as_ref()
            || !advice.eq(&self.advice)
            || !self.notices.is_empty()
            || self.stop != Stop::No
            || self.patch(ctx, pod).is_some()
    }

    /// What gives the pod its size, where it has another and that was not refused a moment ago.
    pub fn patch(&self, ctx: &Context, pod: &Pod) -> Option<serde_json::Value> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if ctx.reports.is_refused(uid, ctx.clock.steady()) {
            return None;
        }
        let record = self.status.as_ref()?.downscaled.as_ref();
        idle::resize(pod, record, self.size, &self.minimum)
    }
}
