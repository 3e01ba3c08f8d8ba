use std::{future::Future, process::ExitCode};

use crate::logs::{self, LogFormat};

/// Runs a process to its end: TLS provider, log lines, runtime, and an exit code that says whether it failed.
pub fn start(
    format: LogFormat,
    filter: &str,
    run: impl Future<Output = anyhow::Result<()>>,
) -> ExitCode {
    logs::init(format, filter);
    match try_start(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ends");
            ExitCode::FAILURE
        }
    }
}

fn try_start(run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| {
            anyhow::anyhow!("failed to install the TLS provider: another one is there already")
        })?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run)
}
