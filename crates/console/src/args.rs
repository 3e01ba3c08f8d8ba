//! Command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use devserver_process::logs::LogFormat;

/// The devserver console: pages, login, and the way to each environment's editor.
#[derive(Debug, Parser)]
#[command(name = "devserver-console", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM.
    Run(Options),
}

/// How to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The configuration file (YAML).
    #[arg(long, env = "DEVSERVER_CONSOLE_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Address of the pages and the editors.
    #[arg(long, env = "DEVSERVER_CONSOLE_SERVE", default_value = "0.0.0.0:8443")]
    pub serve: SocketAddr,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "DEVSERVER_CONSOLE_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Look at DevServers of this namespace only. Absent: at all.
    #[arg(long, env = "DEVSERVER_CONSOLE_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Seconds after SIGTERM in which new requests are still taken, because load balancers learn of the end late.
    #[arg(
        long,
        env = "DEVSERVER_CONSOLE_DRAIN_DELAY",
        default_value_t = 5,
        value_name = "SECONDS"
    )]
    pub drain_delay: u64,
    /// Seconds after that in which open editors may go on; then they are cut and connect anew elsewhere.
    #[arg(
        long,
        env = "DEVSERVER_CONSOLE_DRAIN_TIMEOUT",
        default_value_t = 30,
        value_name = "SECONDS"
    )]
    pub drain_timeout: u64,
    /// File for the audit, appended to. Absent: standard output.
    #[arg(long, env = "DEVSERVER_CONSOLE_AUDIT_FILE")]
    pub audit_file: Option<PathBuf>,
    /// Form of the log lines, which go to standard error.
    #[arg(long, env = "DEVSERVER_CONSOLE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}
