//! The operator process: arguments, logs, client, lease, controllers. No decision is made in this crate.

mod apply;
mod args;
mod backoff;
mod believed;
mod caches;
mod clock;
mod context;
mod error;
mod flavor;
mod fresh;
mod gateway;
mod home_nodes;
mod host_keys;
mod idle;
mod keys;
mod lease;
mod mail;
mod metrics;
mod notify;
mod objects;
mod observe;
mod run;
mod server;
mod team;
mod trash;
mod usage;
mod user;
mod written;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let Command::Run(options) = Args::parse().command;
    let filter = "info,kube_runtime=warn,kube_client=warn";
    devserver_process::start(options.log_format, filter, run::run(options))
}
