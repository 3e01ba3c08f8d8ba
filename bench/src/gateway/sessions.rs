//! Many sessions: what idle ones cost the hop, and whether hundreds at once all get through.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use serde_json::{Map, Value, json};
use tokio::{sync::Barrier, time::Instant};

use super::{
    client::{Clients, Idle},
    environments::QUIET,
    hops::{Hops, OWNER},
    ways::{Samples, Way},
};
use crate::{results::rounded, usage};

/// Clients that connect at the same time when many are gathered for a rest.
const GATHERING: usize = 16;
/// Settling time of memory after many connections.
const SETTLE: Duration = Duration::from_secs(3);
/// More than two keepalives of the gateway: who did not answer would be gone.
const REST: Duration = Duration::from_secs(65);

/// Memory of the hop in MiB for as many sessions that have an open channel to the environment's sshd.
pub async fn idle_memory(hops: &Hops, clients: &Clients, count: usize) -> Result<Value> {
    let mut samples = Samples::default();
    for way in [Way::Gateway, Way::ProxyJump] {
        let pid = hops.pid(way)?.context("no hop")?;
        let before = usage::proportional_mib_of_tree(pid)?;
        let wish = hops.wish(way);
        let rest = || clients.rest(hops.first(way), Hops::user(way), Some(wish.clone()), true);
        let all = gather(count, rest).await?;
        tokio::time::sleep(SETTLE).await;
        samples.push(way, usage::proportional_mib_of_tree(pid)? - before);
        drop(all);
        tokio::time::sleep(SETTLE).await;
    }
    let mut figures = samples.to_json();
    figures["sessions"] = json!(count);
    Ok(figures)
}

/// As many sessions at once, from the first byte to a command's answer; all stay until the last one has its answer.
pub async fn at_once(hops: &Hops, clients: &Clients, count: usize) -> Result<Value> {
    let mut figures = Map::new();
    for way in Way::ALL {
        let pid = hops.pid(way)?;
        let before = pid.map(usage::cpu_seconds_of_tree).transpose()?;
        let together = Arc::new(Barrier::new(count));
        let started = Instant::now();
        let all = (0..count).map(|index| {
            let together = Arc::clone(&together);
            async move {
                let got = async {
                    let session = clients.log_in(hops, way).await?;
                    session.echoes(&format!("here-{index}")).await?;
                    anyhow::Ok((session, started.elapsed()))
                }
                .await;
                together.wait().await;
                got.map(|(_, took)| took)
            }
        });
        let ended = join_all(all).await;
        let mut errors: BTreeMap<String, usize> = BTreeMap::new();
        let mut last = Duration::ZERO;
        for result in ended {
            match result {
                Ok(took) => last = last.max(took),
                Err(error) => *errors.entry(format!("{error:#}")).or_default() += 1,
            }
        }
        let failed: usize = errors.values().sum();
        let after = pid.map(usage::cpu_seconds_of_tree).transpose()?;
        let cpu = before.zip(after).map(|(before, after)| after - before);
        figures.insert(
            way.name().to_owned(),
            json!({
                "answered": count - failed, "seconds_until_the_last": rounded(last.as_secs_f64()), "errors": errors,
                // What has ended in the meantime is not in it, which is nothing for the gateway.
                "hop_cpu_seconds": cpu.map(rounded),
            }),
        );
        tokio::time::sleep(SETTLE).await;
    }
    figures.insert("sessions".to_owned(), json!(count));
    Ok(Value::Object(figures))
}

/// Resident memory of the gateway with as many connections that have logged in, first without and then with a channel to an
/// environment that says nothing.
pub async fn many_idle(hops: &Hops, clients: &Clients, count: usize) -> Result<Value> {
    let pid = hops.gateway.pid()?;
    let before = usage::resident_mib(pid)?;
    let mut figures = json!({"connections": count, "resident_mib_before": rounded(before)});
    for (name, wish) in [
        ("logged_in", None),
        ("with_a_channel", Some((QUIET.to_owned(), 22))),
    ] {
        let started = Instant::now();
        let rest = || clients.rest(hops.gateway.address, OWNER, wish.clone(), false);
        let all = gather(count, rest).await?;
        let took = started.elapsed().as_secs_f64();
        let cpu = usage::cpu_seconds(pid)?;
        tokio::time::sleep(REST).await;
        let alive = all.iter().filter(|idle| idle.lives()).count();
        figures[name] = json!({
            "resident_mib": rounded(usage::resident_mib(pid)?),
            "seconds_to_connect_all": rounded(took),
            "alive_after_rest": alive,
            "seconds_of_rest": REST.as_secs(),
            "cpu_seconds_at_rest": rounded(usage::cpu_seconds(pid)? - cpu),
        });
        drop(all);
        tokio::time::sleep(SETTLE).await;
    }
    Ok(figures)
}

async fn gather<F>(count: usize, rest: impl Fn() -> F) -> Result<Vec<Idle>>
where
    F: Future<Output = Result<Idle>>,
{
    stream::iter(0..count)
        .map(|_| rest())
        .buffer_unordered(GATHERING)
        .try_collect()
        .await
}
