//! The gateway process.

use std::process::ExitCode;

use clap::Parser;
use devserver_gateway::{
    args::{Args, Command},
    run, telemetry,
};

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
    match runtime.block_on(run::run(*options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ends");
            ExitCode::FAILURE
        }
    }
}
