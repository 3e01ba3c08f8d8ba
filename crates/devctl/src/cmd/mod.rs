//! The commands, one file each.

mod admin;
mod advice;
mod code;
pub mod completion;
mod config;
mod cp;
mod create;
mod credential;
mod delete;
mod describe;
mod doctor;
pub mod events;
mod extend;
mod flavors;
mod hold;
pub mod list;
mod list_watch;
mod login;
mod logs;
mod man;
mod port_forward;
mod reach;
mod render;
mod restart;
mod snooze;
mod ssh;
mod ssh_proxy;
mod suspend;
mod top;
mod trash;
mod undelete;
mod usage;
mod version;
mod why;

use crate::{
    args::{Cli, Command},
    exit::Exit,
    failure::Outcome,
};

/// Runs the command.
pub async fn run(cli: &Cli) -> Outcome<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Create(args) => create::run(global, args).await,
        Command::List(args) => list::run(global, args).await,
        Command::Describe(args) => describe::run(global, args).await,
        Command::Events(args) => events::run(global, args).await,
        Command::Logs(args) => logs::run(global, args).await,
        Command::Why(args) => why::run(global, args).await,
        Command::Top(args) => top::run(global, args).await,
        Command::Delete(args) => delete::run(global, args).await,
        Command::Trash(args) => trash::run(global, args).await,
        Command::Undelete(args) => undelete::run(global, args).await,
        Command::Ssh(args) => ssh::run(global, args).await,
        Command::Cp(args) => cp::run(global, args).await,
        Command::Code(args) => code::run(global, args).await,
        Command::PortForward(args) => port_forward::run(global, args).await,
        Command::SshProxy(args) => ssh_proxy::run(global, args).await,
        Command::Suspend(args) => suspend::suspend(global, args).await,
        Command::Resume(args) => suspend::resume(global, args).await,
        Command::Extend(args) => extend::run(global, args).await,
        Command::Hold(args) => hold::run(global, args).await,
        Command::Snooze(args) => snooze::run(global, args).await,
        Command::Restart(args) => restart::run(global, args).await,
        Command::Login(args) => login::run(global, args).await,
        Command::Credential(args) => credential::run(args).await,
        Command::Flavors(args) => flavors::run(global, args).await,
        Command::Usage(args) => usage::run(global, args).await,
        Command::Render(args) => render::run(args),
        Command::Config(args) => config::run(global, args).await,
        Command::Admin(admin) => admin::run(global, admin).await,
        Command::Completion { shell } => completion::run(*shell),
        Command::Doctor(args) => doctor::run(global, args).await,
        Command::Man(args) => man::run(args),
        Command::Version(args) => version::run(global, args).await,
    }
}
