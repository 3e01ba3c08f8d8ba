//! One look at one DevServer: fetch, observe, decide, write, report. Starts from nothing each time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use devserver_api::DevServer;
use devserver_core::{
    Environment, Invalid,
    due::{Expiry, Hold, due},
    idle::Stop,
    resolve,
    status::next_change,
};
use jiff::Timestamp;
use kube::{Api, ResourceExt, runtime::controller::Action};

use super::{expire, report, restart, starting};
use crate::{
    apply::{self, Applied},
    backoff::spread,
    believed,
    context::Context,
    error::{Error, bounded},
    fresh, home_nodes, idle, keys, observe, trash,
};

/// Soonest next look while something stands in the way that no watch will tell of.
const BLOCKED_RETRY: Duration = Duration::from_secs(5);
/// Next look after the API server refused for good.
const REFUSED_RETRY: Duration = Duration::from_mins(1);

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
    if let Some(wait) = starting::head_start(ctx, cached) {
        return Ok(Action::requeue(wait));
    }
    let namespace = cached.namespace().unwrap_or_default();
    let api: Api<DevServer> = Api::namespaced(ctx.client.clone(), &namespace);
    // For a spec that nobody has looked at there is something to write.
    let told = cached.status.as_ref().map(|s| s.observed_generation);
    if told.is_some_and(|told| told == cached.metadata.generation) {
        match fresh::as_cached(Box::pin(look_at(ctx, &api, cached))).await {
            Err(Error::Cached) => {}
            done => return done,
        }
    }
    // A quorum read: the cache may show a DevServer that has been deleted, or deleted and made again.
    match bounded("read the DevServer", api.get_opt(&cached.name_any())).await? {
        Some(server) => Box::pin(look_at(ctx, &api, &server)).await,
        None => Ok(Action::await_change()),
    }
}

async fn look_at(ctx: &Context, api: &Api<DevServer>, server: &DevServer) -> Result<Action, Error> {
    let clocks = ctx.clock.read();
    let now = clocks.now();
    ctx.metrics.clocks(clocks);
    if server.metadata.deletion_timestamp.is_some() {
        return farewell(ctx, api, server, now).await;
    }
    let due = due(server, &ctx.platform, clocks);
    let Some((hold, turn)) = expiry(ctx, api, server, due.expiry).await? else {
        return Ok(Action::await_change());
    };
    let idle = idle::look(ctx, server, clocks).await?;
    let mut idle_turn = None;
    if idle.stop == Stop::Due {
        idle_turn = idle::stop(ctx, api, server).await?;
        if idle_turn.is_none() {
            // Its own write wakes the next look.
            return Ok(Action::await_change());
        }
    }
    let mut references = observe::references(ctx, server);
    keys::add(ctx, server, &mut references).await?;
    references.home_nodes = home_nodes::read(ctx, server, &references).await?;
    let outcome = resolve(server, &references, &ctx.platform);
    let applied = write(ctx, server, &outcome).await?;
    if let Some(wait) = applied.head_start {
        return Ok(Action::requeue(wait));
    }
    let retry = retry(&applied, &outcome);
    let mut seen = observe::environment(ctx, server);
    seen.host_keys = applied.host_keys;
    seen.problem = applied.problem;
    seen.gateway = ctx.gateway.status();
    seen.hold = hold;
    seen.idle.clone_from(&idle.status);
    seen.advice.clone_from(&idle.advice);
    restart::halt(ctx, server, &outcome, &seen).await?;
    restart::when_due(ctx, server, &outcome, &seen).await?;
    idle::tell(ctx, server, &idle, now).await?;
    report::report(ctx, api, server, &outcome, &seen, now).await?;
    idle::resize(ctx, server, &idle, &seen).await?;
    trash::keep(ctx, server, &outcome, &references).await?;
    ctx.notifier.owe(server, idle.status.as_ref())?;
    let instants = [
        due.wake_at,
        idle.wake_at,
        next_change(&seen, &ctx.platform, now),
    ];
    let waits = instants.into_iter().flatten().map(|at| until(at, now));
    let wait = waits
        .chain(retry.map(spread))
        .chain(turn)
        .chain(idle_turn)
        .min();
    let resync = spread(ctx.resync);
    Ok(Action::requeue(
        wait.map_or(resync, |wait| wait.min(resync)),
    ))
}

/// What becomes of one whose time is over: why it is held, and its turn; `None`: it is gone.
async fn expiry(
    ctx: &Context,
    api: &Api<DevServer>,
    server: &DevServer,
    expiry: Expiry,
) -> Result<Option<(Option<Hold>, Option<Duration>)>, Error> {
    Ok(match expiry {
        Expiry::NotYet => Some((None, None)),
        Expiry::Disputed => {
            ctx.metrics.expired("clock_skew");
            Some((Some(Hold::ClockSkew), None))
        }
        Expiry::Over => {
            let turn = expire::expire(ctx, api, server).await?;
            turn.map(|wait| (Some(Hold::Turn), Some(wait)))
        }
    })
}

/// Its objects; what is invalid leaves them as they are, but for rights that the platform takes back.
async fn write(
    ctx: &Context,
    server: &DevServer,
    outcome: &Result<Environment, Invalid>,
) -> Result<Applied, Error> {
    match outcome {
        Ok(env) => apply::all(ctx, env, || starting::head_start(ctx, server)).await,
        Err(invalid) => {
            if invalid.revokes() {
                apply::revoke(ctx, server).await?;
            }
            Ok(Applied::default())
        }
    }
}

/// One that is being deleted is told about, and nothing else: its objects are collected.
async fn farewell(
    ctx: &Context,
    api: &Api<DevServer>,
    server: &DevServer,
    now: Timestamp,
) -> Result<Action, Error> {
    let seen = observe::environment(ctx, server);
    let outcome = resolve(server, &observe::references(ctx, server), &ctx.platform);
    report::report(ctx, api, server, &outcome, &seen, now).await?;
    Ok(match next_change(&seen, &ctx.platform, now) {
        Some(at) => Action::requeue(until(at, now)),
        None => Action::await_change(),
    })
}

/// When to look again though no watch will tell of anything.
fn retry(applied: &Applied, outcome: &Result<Environment, Invalid>) -> Option<Duration> {
    match (&applied.problem, outcome) {
        (Some(problem), _) if problem.is_refusal() => Some(REFUSED_RETRY),
        (Some(_), _) => Some(BLOCKED_RETRY),
        (None, Err(invalid)) if invalid.is_mended_unseen() => Some(REFUSED_RETRY),
        // Secrets have no watch.
        _ => applied.believed.then_some(believed::FOR),
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

fn key(server: &DevServer) -> String {
    format!(
        "{}/{}",
        server.namespace().unwrap_or_default(),
        server.name_any()
    )
}
