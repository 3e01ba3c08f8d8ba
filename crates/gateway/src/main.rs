//! The gateway process.

use std::process::ExitCode;

use clap::Parser;
use devserver_gateway::{
    args::{Args, Command},
    run,
};

fn main() -> ExitCode {
    let Command::Run(options) = Args::parse().command;
    // What strangers cause within russh is counted and audited, not logged.
    let filter = "info,russh=error,kube_runtime=warn,kube_client=warn";
    devserver_process::start(options.log_format, filter, run::run(*options))
}
