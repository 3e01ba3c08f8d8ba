//! The console process.

use std::process::ExitCode;

use clap::Parser;
use devserver_console::{
    args::{Args, Command},
    run,
};

fn main() -> ExitCode {
    let Command::Run(options) = Args::parse().command;
    let filter = "info,kube_runtime=warn,kube_client=warn";
    devserver_process::start(options.log_format, filter, run::run(options))
}
