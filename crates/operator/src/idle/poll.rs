//! The round of questions to all agents.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use devserver_api::{DevServer, IdleState};
use devserver_core::{activity::Policy, idle::on_terminals};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;

use super::evaluate::{evaluate, ready_pod, rules};
use crate::{caches::Queue, context::Context};

/// Agents that are asked at the same time.
const AT_ONCE: usize = 32;

/// Asks all agents, again and again. Never ends.
pub async fn poll(ctx: Arc<Context>, queue: Queue) {
    let (Some(settings), Some(policy)) = (&ctx.platform.idle, &ctx.platform.activity) else {
        return std::future::pending().await;
    };
    ctx.metrics.idle().begins(settings.interval_seconds);
    let mut ticks = tokio::time::interval(Duration::from_secs(settings.interval_seconds.into()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        round(&ctx, policy, &queue).await;
    }
}

async fn round(ctx: &Context, policy: &Policy, queue: &Queue) {
    let servers = ctx.caches.servers.state();
    let concerned = servers
        .iter()
        .filter(|s| !s.spec.suspend && s.metadata.deletion_timestamp.is_none())
        .filter(|server| rules(ctx, server).is_some());
    let asked: Vec<(Arc<DevServer>, Pod)> = concerned
        .filter_map(|server| Some((server.clone(), ready_pod(ctx, server)?)))
        .collect();
    let pods = asked.iter().filter_map(|(_, pod)| pod.metadata.uid.clone());
    ctx.reports.keep(&pods.collect::<HashSet<_>>());
    let questions = asked
        .iter()
        .map(|(server, pod)| ask(ctx, policy, queue, server, pod));
    let states: Vec<IdleState> = stream::iter(questions)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut counts = BTreeMap::new();
    for state in states {
        *counts.entry(state.as_str()).or_insert(0_i64) += 1;
    }
    ctx.metrics.idle().round(&counts, ctx.clock.read().own);
}

async fn ask(
    ctx: &Context,
    policy: &Policy,
    queue: &Queue,
    server: &Arc<DevServer>,
    pod: &Pod,
) -> IdleState {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let server_uid = server.metadata.uid.as_deref().unwrap_or_default();
    let written = server.status.as_ref().and_then(|s| s.idle.as_ref());
    let notice = written.and_then(on_terminals);
    let report = match ctx.agents.ask(pod, server_uid, notice.as_ref()).await {
        Ok(report) => Some(report),
        Err(why) => {
            tracing::debug!(pod = pod.metadata.name, %why, "an agent does not answer");
            None
        }
    };
    ctx.metrics.idle().asked(report.is_some());
    let clocks = ctx.clock.read();
    let time = (clocks.now(), ctx.clock.steady());
    ctx.reports.take(uid, server, report, policy, time);
    let evaluated = evaluate(ctx, server, clocks);
    if evaluated.is_due(ctx, server, pod) {
        // The queue takes each DevServer once; a full one is served first.
        let _ = queue.send(ObjectRef::from_obj(server.as_ref())).await;
    }
    evaluated
        .status
        .map(|status| status.state)
        .unwrap_or_default()
}
