//! What the owner of an environment should know, from what its agent and its node say.

use devserver_api::{Advice, DevServer, IdleState, IdleStatus};
use devserver_core::activity::advice::{Inside, Situation, advice as advise};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::{context::Context, observe};

/// What there is to say now.
pub fn advice(
    ctx: &Context,
    server: &DevServer,
    idle: Option<&IdleStatus>,
    now: Timestamp,
) -> Vec<Advice> {
    if server.spec.suspend || server.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let pod = observe::pod(ctx, server);
    let report = pod.as_ref().and_then(|pod| newest(ctx, pod));
    let is_asked = ctx.platform.idle.is_some() && ctx.platform.activity.is_some();
    let inside = match &report {
        Some(report) => Inside::Report(report),
        None if is_asked => Inside::Silent,
        None => Inside::NotAsked,
    };
    advise(&Situation {
        server,
        pod: pod.as_ref(),
        inside,
        flavors: &ctx.caches.flavors.state(),
        is_used: idle.is_none_or(|idle| idle.state == IdleState::Active),
        now,
    })
}

fn newest(ctx: &Context, pod: &Pod) -> Option<devserver_core::activity::Report> {
    let policy = ctx.platform.activity.as_ref()?;
    let uid = pod.metadata.uid.as_deref()?;
    ctx.reports.newest(uid, policy, ctx.clock.steady())
}
