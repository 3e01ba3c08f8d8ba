//! Command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use devserver_process::logs::LogFormat;

/// The devserver operator.
#[derive(Debug, Parser)]
#[command(name = "devserver-operator", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controllers until SIGTERM.
    Run(Options),
}

/// How to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Configuration file (YAML). Absent: the defaults. A mistake in it stops the operator.
    #[arg(long, env = "DEVSERVER_OPERATOR_CONFIG")]
    pub config: Option<PathBuf>,
    /// File with the key by which agents know the operator: at least 32 bytes. Absent: agents are not asked with a token, and
    /// do not answer.
    #[arg(long, env = "DEVSERVER_ACTIVITY_KEY_FILE")]
    pub activity_key_file: Option<PathBuf>,
    /// Look after DevServers of this namespace only. Absent: of all.
    #[arg(long)]
    pub watch_namespace: Option<String>,
    /// Look after DevServerUsers with these labels only, such as `site=north`: a way to share them out. Absent: after all;
    /// with --watch-namespace, after none, because users need rights in the whole cluster.
    #[arg(long, value_name = "LABELS")]
    pub user_selector: Option<String>,
    /// Tell of DevServerFlavors with these labels only, such as `site=north`, whether they are schedulable. Absent: of all;
    /// with --watch-namespace, of none. Empty: of all in either case.
    #[arg(long, value_name = "LABELS")]
    pub flavor_selector: Option<String>,
    /// Namespace of the Lease by which replicas agree who works.
    #[arg(long, env = "POD_NAMESPACE", default_value = devserver_api::group::PLATFORM_NAMESPACE)]
    pub lease_namespace: String,
    /// Name of this replica in the Lease.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Work only while holding the Lease.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Address of reports of usage, where the configuration has a ledger. Who asks needs a token.
    #[arg(long, default_value = "0.0.0.0:8081")]
    pub usage_listen: SocketAddr,
    /// Seconds after which each DevServer is looked at again though nothing was seen to change (spread by 20 %).
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub resync: u64,
    /// Form of the log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}
