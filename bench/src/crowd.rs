//! A thousand environments on simulated nodes: how long until all run, what it costs, how still it is afterwards, how fast a
//! restarted operator is up to date, and what one edit of the flavor they all have does to the API server.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use devserver_api::{DevServer, DevServerFlavor, Phase, condition};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{cluster, operator::Operator, results::rounded};

/// How much.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// DevServers.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Namespaces they are spread over.
    #[arg(long, default_value_t = 20)]
    namespaces: usize,
    /// Seconds of rest.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R bench@example.com";
const PATIENCE: Duration = Duration::from_mins(20);

/// Creates a crowd, lets it rest, restarts the operator, edits the flavor.
pub async fn measure(options: Options) -> Result<Value> {
    let client = Client::try_default().await?;
    let flavor = cluster::flavor(&client).await?;
    let stem = format!("bench-{}-crowd", std::process::id());
    let spaces: Vec<String> = (0..options.namespaces)
        .map(|index| format!("{stem}-{index}"))
        .collect();
    for space in &spaces {
        cluster::namespace(&client, space).await?;
    }
    let crowd = Crowd {
        client: client.clone(),
        spaces,
        count: options.count,
    };
    let figures = crowd.story(flavor, &options).await;
    for space in &crowd.spaces {
        cluster::remove(&client, space).await;
    }
    figures
}

struct Crowd {
    client: Client,
    spaces: Vec<String>,
    count: usize,
}

impl Crowd {
    async fn story(&self, flavor: &str, options: &Options) -> Result<Value> {
        let operator = Operator::start_everywhere("crowd").await?;
        let started = Instant::now();
        self.create(flavor).await?;
        self.until("runs", is_running).await?;
        let all_running = started.elapsed().as_secs_f64();
        let settled = self.still(&operator).await?;
        let (memory, cpu) = operator.usage()?;
        eprintln!(
            "{} run after {all_running:.0} s, {settled} writes",
            self.count
        );
        let at_rest = rest(&operator, Duration::from_secs(options.seconds)).await?;
        let edit = self.edit(&operator, flavor).await?;
        drop(operator);
        let restarted = Instant::now();
        let again = Operator::start_everywhere("crowd-again").await?;
        let synced = restarted.elapsed().as_secs_f64();
        self.still(&again).await?;
        let (memory_again, _) = again.usage()?;
        Ok(json!({
            "devservers": self.count,
            "seconds_until_all_run": rounded(all_running),
            "writes_per_devserver": rounded(self.share(settled)),
            "operator_memory_mib": rounded(memory),
            "operator_cpu_ms_per_devserver": rounded(cpu * 1000.0 / self.share_of_one()),
            "writes_at_rest": at_rest.values().sum::<u64>(),
            "writes_at_rest_by_kind": at_rest,
            "seconds_of_rest": options.seconds,
            "flavor_edit": edit,
            "seconds_from_restart_to_synced": rounded(synced),
            "writes_after_restart": again.writes().await?,
            "operator_memory_mib_after_restart": rounded(memory_again),
        }))
    }

    async fn create(&self, flavor: &str) -> Result<()> {
        stream::iter(0..self.count)
            .map(|index| async move {
                let space = &self.spaces[index % self.spaces.len()];
                let api: Api<DevServer> = Api::namespaced(self.client.clone(), space);
                let server = cluster::server(&format!("server-{index}"), flavor, KEY)?;
                api.create(&PostParams::default(), &server)
                    .await
                    .context("failed to create a DevServer")
            })
            .buffer_unordered(8)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// One change that concerns everybody; meanwhile somebody else asks for something small, again and again.
    async fn edit(&self, operator: &Operator, flavor: &str) -> Result<Value> {
        let before = operator.writes().await?;
        let (_, cpu_before) = operator.usage()?;
        let api: Api<DevServerFlavor> = Api::all(self.client.clone());
        let change = json!({"spec": {"resources": {"requests": {"cpu": "60m"}}}});
        let started = Instant::now();
        api.patch(flavor, &PatchParams::default(), &Patch::Merge(&change))
            .await?;
        let asking = async {
            let mut waits = Vec::new();
            loop {
                let asked = Instant::now();
                api.get(flavor).await?;
                waits.push(asked.elapsed().as_secs_f64());
                if waits.len() % 10 == 0 && self.all(waits_for_restart).await? {
                    return Ok::<_, anyhow::Error>(waits);
                }
                if started.elapsed() > PATIENCE {
                    bail!("the edit of the flavor did not reach everybody in time");
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let mut waits = asking.await?;
        let seconds = started.elapsed().as_secs_f64();
        let writes = self.still(operator).await? - before;
        let (_, cpu) = operator.usage()?;
        waits.sort_by(f64::total_cmp);
        let p99 = waits[(waits.len() * 99 / 100).min(waits.len() - 1)];
        Ok(json!({
            "seconds_until_all_know": rounded(seconds),
            "writes_per_devserver": rounded(self.share(writes)),
            "operator_cpu_seconds": rounded(cpu - cpu_before),
            "p99_seconds_of_others_requests": rounded(p99),
        }))
    }

    async fn until(&self, what: &str, holds: fn(&DevServer) -> bool) -> Result<()> {
        let started = Instant::now();
        while !self.all(holds).await? {
            if started.elapsed() > PATIENCE {
                bail!("not every DevServer {what} after {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Ok(())
    }

    async fn all(&self, holds: fn(&DevServer) -> bool) -> Result<bool> {
        let mut done = 0;
        for space in &self.spaces {
            let api: Api<DevServer> = Api::namespaced(self.client.clone(), space);
            let list = api.list(&ListParams::default()).await?;
            let here = list.items.iter().filter(|server| holds(server)).count();
            if here < list.items.len() {
                return Ok(false);
            }
            done += here;
        }
        Ok(done >= self.count)
    }

    /// Waits until nothing was written for five seconds; the number of writes then.
    async fn still(&self, operator: &Operator) -> Result<u64> {
        let started = Instant::now();
        let mut settled = operator.writes().await?;
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let now = operator.writes().await?;
            if now == settled {
                return Ok(now);
            }
            if started.elapsed() > PATIENCE {
                bail!("the operator did not stop writing");
            }
            settled = now;
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn share(&self, writes: u64) -> f64 {
        writes as f64 / self.share_of_one()
    }

    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn share_of_one(&self) -> f64 {
        self.count as f64
    }
}

fn is_running(server: &DevServer) -> bool {
    server.status.as_ref().and_then(|s| s.phase) == Some(Phase::Running)
}

fn waits_for_restart(server: &DevServer) -> bool {
    let conditions = server.status.as_ref().map(|s| s.conditions.as_slice());
    condition::find(conditions.unwrap_or_default(), condition::RESTART_PENDING)
        .is_some_and(|c| c.status == "True")
}

/// What is written in that time, though nothing happens.
async fn rest(operator: &Operator, time: Duration) -> Result<BTreeMap<String, u64>> {
    let before = operator.writes_by_kind().await?;
    tokio::time::sleep(time).await;
    let after = operator.writes_by_kind().await?;
    let more = |kind: &str, count: u64| count - before.get(kind).copied().unwrap_or_default();
    Ok(after
        .iter()
        .map(|(kind, count)| (kind.clone(), more(kind, *count)))
        .filter(|(_, count)| *count > 0)
        .collect())
}
