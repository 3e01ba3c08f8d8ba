//! `devctl`: the user's command line for development environments.
//!
//! ```text
//! args ─► cmd/<command> ─► kube (as the user, with the user's rights only)
//!                      └─► access ─► ssh_config + known_hosts ─► ~/.config/devctl/ssh ─► the stock ssh
//! ```
//!
//! Nothing that comes from a server reaches a terminal, a file or a command line unchecked: see `escape`, `ssh_config`
//! and `known_hosts`.

mod access;
mod args;
mod cmd;
mod complete;
mod doctor;
mod escape;
mod exit;
mod failure;
mod files;
mod forward;
mod happened;
mod include;
mod keys;
mod known_hosts;
mod kube;
mod login;
mod output;
mod owner;
mod progress;
mod rows;
mod ssh_config;
mod top;
mod wait;
mod watching;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::{args::Cli, exit::Exit, failure::Failure};

fn main() -> ExitCode {
    // An error means that another part of the process was faster, and any provider is as good as this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    clap_complete::CompleteEnv::with_factory(Cli::command)
        .var(cmd::completion::VARIABLE)
        .complete();
    let cli = Cli::parse();
    if cli.global.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::io("failed to start", &error)).into(),
    };
    let result = runtime.block_on(cmd::run(&cli));
    // ssh-proxy may leave a thread behind that waits in a read of standard input for ever.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure).into(),
    }
}

fn report(failure: &Failure) -> Exit {
    use owo_colors::OwoColorize as _;
    use std::io::Write as _;
    // Nothing can be done when even standard error is closed.
    let _ = writeln!(anstream::stderr(), "{} {failure}", "error:".red().bold());
    failure.exit
}
