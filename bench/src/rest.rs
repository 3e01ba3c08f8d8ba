//! Writes per create, and writes at rest.

use std::time::Duration;

use anyhow::Result;
use devserver_api::DevServer;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::{cluster, operator::Operator, results::rounded};

/// How much.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// DevServers.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Seconds of rest.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R bench@example.com";

/// Creates, waits for quiet, counts.
pub async fn measure(options: Options) -> Result<Value> {
    let client = Client::try_default().await?;
    let flavor = cluster::flavor(&client).await?;
    let namespace = format!("bench-{}-rest", std::process::id());
    cluster::namespace(&client, &namespace).await?;
    let operator = Operator::start(&namespace).await?;
    let api: Api<DevServer> = Api::namespaced(client.clone(), &namespace);
    for index in 0..options.count {
        let server = cluster::server(&format!("server-{index}"), flavor, KEY)?;
        api.create(&PostParams::default(), &server).await?;
    }
    let applied = |server: &DevServer| server.status.is_some();
    cluster::wait_for(
        &client,
        &namespace,
        options.count,
        Duration::from_mins(5),
        applied,
    )
    .await?;
    let mut settled = operator.writes().await?;
    // Quiet: no write for three seconds.
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = operator.writes().await?;
        if now == settled {
            break;
        }
        settled = now;
    }
    let (_, cpu_before) = operator.usage()?;
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let writes = operator.writes().await? - settled;
    let (memory, cpu) = operator.usage()?;
    drop(operator);
    let again = Operator::start(&namespace).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after_restart = again.writes().await?;
    drop(again);
    cluster::remove(&client, &namespace).await;
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let per_create = settled as f64 / options.count as f64;
    Ok(json!({
        "devservers": options.count,
        "writes_per_create_without_a_node": rounded(per_create),
        "writes_at_rest": writes,
        "seconds_of_rest": options.seconds,
        "writes_after_restart": after_restart,
        "operator_memory_mib": rounded(memory),
        "operator_cpu_seconds_at_rest": rounded(cpu - cpu_before),
    }))
}
