//! DevServers per second to fully applied, against a raw client that writes the same objects.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use devserver_api::DevServer;
use devserver_core::{Platform, References, desired, resolve};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster,
    operator::Operator,
    results::{median, rounded},
};

/// How much.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// DevServers per round.
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Rounds of each side, taken in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// DevServers written at the same time by each side; the operator's own setting is 8.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R bench@example.com";

/// Measures both sides in turn.
pub async fn measure(options: Options) -> Result<Value> {
    let client = Client::try_default().await?;
    let flavor = cluster::flavor(&client).await?;
    let (mut ours, mut raws, mut memory, mut cpu) = (vec![], vec![], vec![], vec![]);
    for round in 0..options.rounds {
        let stem = format!("bench-{}-{round}", std::process::id());
        let (rate, rss, seconds) =
            operator_side(&client, &format!("{stem}-operator"), flavor, &options).await?;
        let raw = raw_side(&client, &format!("{stem}-raw"), flavor, &options).await?;
        eprintln!(
            "round {round}: operator {rate:.1}/s, raw client {raw:.1}/s, ratio {:.2}",
            rate / raw
        );
        ours.push(rate);
        raws.push(raw);
        memory.push(rss);
        cpu.push(seconds * 1000.0 / count(&options));
    }
    let ratios: Vec<f64> = ours.iter().zip(&raws).map(|(a, b)| a / b).collect();
    Ok(json!({
        "devservers": options.count,
        "concurrency": options.concurrency,
        "operator_devservers_per_second": rounded(median(&ours)),
        "raw_client_devservers_per_second": rounded(median(&raws)),
        "ratio": rounded(median(&ratios)),
        "ratios": ratios.into_iter().map(rounded).collect::<Vec<_>>(),
        "operator_memory_mib": rounded(median(&memory)),
        "operator_cpu_ms_per_devserver": rounded(median(&cpu)),
    }))
}

#[allow(clippy::cast_precision_loss, reason = "a count far below 2^52")]
fn count(options: &Options) -> f64 {
    options.count as f64
}

/// From the first create to the last status; returns rate, memory, processor seconds.
async fn operator_side(
    client: &Client,
    namespace: &str,
    flavor: &str,
    options: &Options,
) -> Result<(f64, f64, f64)> {
    cluster::namespace(client, namespace).await?;
    let operator = Operator::start(namespace).await?;
    let (_, before) = operator.usage()?;
    let api: Api<DevServer> = Api::namespaced(client.clone(), namespace);
    let started = Instant::now();
    stream::iter(0..options.count)
        .map(|index| {
            let api = api.clone();
            async move {
                let server = cluster::server(&format!("server-{index}"), flavor, KEY)?;
                api.create(&PostParams::default(), &server)
                    .await
                    .context("failed to create a DevServer")
            }
        })
        .buffer_unordered(options.concurrency)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    // Status is the operator's last write of a create.
    let applied = |server: &DevServer| {
        server
            .status
            .as_ref()
            .is_some_and(|s| s.observed_generation == server.metadata.generation)
    };
    cluster::wait_for(
        client,
        namespace,
        options.count,
        Duration::from_mins(5),
        applied,
    )
    .await?;
    let rate = count(options) / started.elapsed().as_secs_f64();
    let (memory, after) = operator.usage()?;
    drop(operator);
    cluster::remove(client, namespace).await;
    Ok((rate, memory, after - before))
}

/// The same objects, written by nobody in particular: created in order, without looking.
async fn raw_side(
    client: &Client,
    namespace: &str,
    flavor: &str,
    options: &Options,
) -> Result<f64> {
    cluster::namespace(client, namespace).await?;
    let references = References {
        flavors: Api::all(client.clone())
            .list(&kube::api::ListParams::default())
            .await?
            .items,
        ..References::default()
    };
    let started = Instant::now();
    stream::iter(0..options.count)
        .map(|index| {
            raw_one(
                client,
                namespace,
                format!("server-{index}"),
                flavor,
                &references,
            )
        })
        .buffer_unordered(options.concurrency)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let rate = count(options) / started.elapsed().as_secs_f64();
    cluster::remove(client, namespace).await;
    Ok(rate)
}

async fn raw_one(
    client: &Client,
    namespace: &str,
    name: String,
    flavor: &str,
    references: &References,
) -> Result<()> {
    let params = PostParams::default();
    let api: Api<DevServer> = Api::namespaced(client.clone(), namespace);
    let server = api
        .create(&params, &cluster::server(&name, flavor, KEY)?)
        .await?;
    let env = resolve(&server, references, &Platform::default())?;
    let keys: Secret = serde_json::from_value(json!({
        "metadata": {"name": env.name.host_keys()}, "immutable": true,
        // As long as real ones; what is in them does not matter to the API server.
        "data": {"ssh_host_ed25519_key": "A".repeat(532), "ssh_host_ed25519_key.pub": "A".repeat(108),
                 "ssh_host_ecdsa_key": "A".repeat(668), "ssh_host_ecdsa_key.pub": "A".repeat(220)},
    }))?;
    Api::<Secret>::namespaced(client.clone(), namespace)
        .create(&params, &keys)
        .await?;
    for object in desired(&env) {
        let value = object.to_value();
        let kind = object.kind().as_str();
        let (group, _) = object.kind().resource();
        let resource = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        api.create(&params, &serde_json::from_value(value)?)
            .await
            .with_context(|| format!("failed to create a {kind}"))?;
    }
    let status = json!({"apiVersion": "devserver.io/v1", "kind": "DevServer", "status": {
        "phase": "Provisioning", "message": "is starting", "observedGeneration": 1, "flavor": flavor}});
    api.patch_status(
        &name,
        &kube::api::PatchParams::default(),
        &kube::api::Patch::Merge(&status),
    )
    .await?;
    Ok(())
}
