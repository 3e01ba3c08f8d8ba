//! The operator process: arguments, logs, client, lease, controllers. No decision is made in this crate.

mod apply;
mod args;
mod backoff;
mod caches;
mod clock;
mod context;
mod error;
mod flavor;
mod gateway;
mod health;
mod home_nodes;
mod host_keys;
mod keys;
mod lease;
mod metrics;
mod objects;
mod observe;
mod run;
mod server;
mod team;
mod telemetry;
mod user;
mod written;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("failed to install the TLS provider: another one is there already");
        return ExitCode::FAILURE;
    }
    let Command::Run(options) = Args::parse().command;
    telemetry::init(options.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("failed to start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ends");
            ExitCode::FAILURE
        }
    }
}
