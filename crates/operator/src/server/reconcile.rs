//! One look at one DevServer: fetch, observe, decide, write, report. Starts from nothing each time.

use std::{sync::Arc, time::Instant};

use devserver_api::DevServer;
use devserver_core::{due, resolve};
use jiff::Timestamp;
use kube::{Api, ResourceExt, runtime::controller::Action};

use super::{expire, report, restart};
use crate::{
    apply,
    backoff::spread,
    context::Context,
    error::{Error, bounded},
    host_keys, observe,
};

/// Soonest next look while something stands in the way that no watch will tell of.
const BLOCKED_RETRY: std::time::Duration = std::time::Duration::from_secs(5);
/// Next look after the API server refused for good.
const REFUSED_RETRY: std::time::Duration = std::time::Duration::from_mins(1);

/// One look at one DevServer.
pub async fn reconcile(cached: Arc<DevServer>, ctx: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let result = Box::pin(look(&cached, &ctx)).await;
    let outcome = result.as_ref().map_or_else(Error::category, |_| "ok");
    ctx.metrics.looked(outcome, started.elapsed());
    if result.is_ok() {
        ctx.backoff.reset(&key(&cached));
    }
    result
}

/// What to do after a look that did not finish.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature is the library's"
)]
pub fn on_error(server: Arc<DevServer>, error: &Error, ctx: Arc<Context>) -> Action {
    let name = key(&server);
    let wait = if error.refusal().is_some() {
        spread(REFUSED_RETRY)
    } else {
        ctx.backoff.next(&name)
    };
    tracing::warn!(devserver = name, error = %error, retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "look failed");
    Action::requeue(wait)
}

async fn look(cached: &DevServer, ctx: &Context) -> Result<Action, Error> {
    let namespace = cached.namespace().unwrap_or_default();
    let api: Api<DevServer> = Api::namespaced(ctx.client.clone(), &namespace);
    // A quorum read: the cache may show a DevServer that has been deleted, or deleted and made again.
    let Some(server) = bounded("read the DevServer", api.get_opt(&cached.name_any())).await? else {
        return Ok(Action::await_change());
    };
    let now = Timestamp::now();
    if server.metadata.deletion_timestamp.is_some() {
        let seen = observe::environment(ctx, &server);
        let outcome = resolve(&server, &observe::references(ctx, &server), &ctx.platform);
        report::report(ctx, &api, &server, &outcome, &seen, now).await?;
        return Ok(Action::await_change());
    }
    let due = due(&server, &ctx.platform, now);
    if due.expired {
        expire::expire(ctx, &api, &server).await?;
        return Ok(Action::await_change());
    }
    let outcome = resolve(&server, &observe::references(ctx, &server), &ctx.platform);
    let (mut problem, mut host_keys) = (None, Vec::new());
    if let Ok(env) = &outcome {
        match host_keys::ensure(ctx, env).await {
            Ok(Ok(keys)) => {
                host_keys = keys;
                problem = apply::all(ctx, env).await?;
            }
            Ok(Err(found)) => problem = Some(found),
            Err(error) => match error.refusal() {
                Some(status) => problem = Some(refused_host_keys(env, &status.message)),
                None => return Err(error),
            },
        }
    }
    let retry = problem.as_ref().map(|p| {
        if p.is_refusal() {
            REFUSED_RETRY
        } else {
            BLOCKED_RETRY
        }
    });
    let mut seen = observe::environment(ctx, &server);
    seen.host_keys = host_keys;
    seen.problem = problem;
    if let Ok(env) = &outcome {
        restart::when_automatic(ctx, env, &seen).await?;
    }
    report::report(ctx, &api, &server, &outcome, &seen, now).await?;
    Ok(Action::requeue(next_look(ctx, due.wake_at, retry, now)))
}

fn refused_host_keys(env: &devserver_core::Environment, why: &str) -> devserver_core::Problem {
    devserver_core::Problem::refused("Secret", &env.name.host_keys(), why)
}

fn next_look(
    ctx: &Context,
    wake_at: Option<Timestamp>,
    retry: Option<std::time::Duration>,
    now: Timestamp,
) -> std::time::Duration {
    let mut wait = spread(ctx.resync);
    if let Some(retry) = retry {
        wait = wait.min(spread(retry));
    }
    match wake_at
        .map(|at| std::time::Duration::try_from(at.duration_since(now)).unwrap_or_default())
    {
        Some(until) => wait.min(until),
        None => wait,
    }
}

fn key(server: &DevServer) -> String {
    format!(
        "{}/{}",
        server.namespace().unwrap_or_default(),
        server.name_any()
    )
}
