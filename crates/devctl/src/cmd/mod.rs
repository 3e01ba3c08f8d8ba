//! The commands, one file each.

mod admin;
mod advice;
pub mod completion;
mod config;
mod create;
mod delete;
mod describe;
mod extend;
mod flavors;
mod list;
mod render;
mod restart;
mod ssh;
mod ssh_proxy;
mod suspend;

use crate::{
    args::{Cli, Command},
    exit::Exit,
    failure::Outcome,
    output,
};

/// Runs the command.
pub async fn run(cli: &Cli) -> Outcome<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Create(args) => create::run(global, args).await,
        Command::List(args) => list::run(global, args).await,
        Command::Describe(args) => describe::run(global, args).await,
        Command::Delete(args) => delete::run(global, args).await,
        Command::Ssh(args) => ssh::run(global, args).await,
        Command::SshProxy(args) => ssh_proxy::run(global, args).await,
        Command::Suspend(args) => suspend::suspend(global, args).await,
        Command::Resume(args) => suspend::resume(global, args).await,
        Command::Extend(args) => extend::run(global, args).await,
        Command::Restart(args) => restart::run(global, args).await,
        Command::Flavors(args) => flavors::run(global, args).await,
        Command::Render(args) => render::run(args),
        Command::Config(args) => config::run(global, args).await,
        Command::Admin(admin) => admin::run(global, admin).await,
        Command::Completion { shell } => completion::run(*shell),
        Command::Version => {
            output::print(&format!("devctl {}\n", env!("CARGO_PKG_VERSION")))?;
            Ok(Exit::Ok)
        }
    }
}
