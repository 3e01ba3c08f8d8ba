//! Measures against something else in the same run: absolute figures of a shared machine say little.

#![allow(clippy::indexing_slicing, reason = "JSON values are indexed by name")]

mod cluster;
mod crowd;
mod gateway;
mod operator;
mod page;
mod rest;
mod results;
mod start;
mod throughput;
mod usage;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Figures of the devserver platform.
#[derive(Debug, Parser)]
#[command(name = "devserver-bench", version, about)]
struct Args {
    /// Where the JSON goes; each measurement adds its part.
    #[arg(long, default_value = "bench/results/latest.json")]
    output: std::path::PathBuf,
    #[command(subcommand)]
    what: What,
}

/// What to measure, in the cluster of KUBECONFIG.
#[derive(Debug, Subcommand)]
enum What {
    /// Node: from create to a successful ssh, against a bare pod of the same image from create to Ready.
    Start(start::Options),
    /// Control plane: DevServers per second to fully applied, against a raw client writing the same objects.
    Throughput(throughput::Options),
    /// Control plane: writes per create, and writes at rest.
    Rest(rest::Options),
    /// Simulated nodes: a thousand DevServers until all run, at rest, after a restart, and after an edit of their flavor.
    Crowd(crowd::Options),
    /// Control plane: the gateway against OpenSSH's ProxyJump and against no hop, near and far.
    Gateway(gateway::Options),
    /// Takes connections and says nothing; what `gateway` starts in its own network namespace.
    #[command(hide = true)]
    QuietServer {
        /// Where.
        address: std::net::SocketAddr,
    },
}

fn main() -> Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))?;
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let What::QuietServer { address } = args.what {
        return runtime.block_on(gateway::serve_quietly(address));
    }
    let (name, figures) = runtime.block_on(async {
        Ok::<_, anyhow::Error>(match args.what {
            What::Start(options) => ("start", start::measure(options).await?),
            What::Throughput(options) => ("throughput", throughput::measure(options).await?),
            What::Rest(options) => ("rest", rest::measure(options).await?),
            What::Crowd(options) => ("crowd", Box::pin(crowd::measure(options)).await?),
            What::Gateway(options) => ("gateway", Box::pin(gateway::measure(options)).await?),
            What::QuietServer { .. } => anyhow::bail!("nothing to measure"),
        })
    })?;
    results::add(&args.output, name, figures)
}
