//! `devctl config`: settings of this machine.

use kube::{ResourceExt as _, api::ListParams};

use crate::{
    access,
    args::{Config, Global, IncludeAction, SshInclude},
    exit::Exit,
    failure::Outcome,
    files,
    include::{self, Edit},
    kube::{self as cluster, Session},
    output,
};

/// Runs one of the settings.
pub async fn run(global: &Global, config: &Config) -> Outcome<Exit> {
    match config {
        Config::SshInclude(args) => ssh_include(args),
        Config::SshRefresh => ssh_refresh(global).await,
    }
}

fn action(args: &SshInclude) -> IncludeAction {
    match args.action {
        Some(action) => action,
        None if args.enable => IncludeAction::Enable,
        None if args.disable => IncludeAction::Disable,
        None => IncludeAction::Print,
    }
}

fn ssh_include(args: &SshInclude) -> Outcome<Exit> {
    let line = include::line(&files::ssh_dir()?)?;
    let config = files::user_ssh_dir()?.join("config");
    let shown = config.display();
    match action(args) {
        IncludeAction::Print => {
            output::say(&line)?;
            let state = if include::is_enabled(&config, &line)? {
                "is"
            } else {
                "is not"
            };
            output::note(&format!("this line {state} at the top of {shown}"));
        }
        IncludeAction::Enable => {
            // Before anything is in it, so that nobody else can make it.
            files::make_private_dir(&files::ssh_dir()?)?;
            match include::enable(&config, &line)? {
                Edit::Changed => output::say(&format!("added to {shown}: {line}"))?,
                Edit::Unchanged => output::say(&format!("already in {shown}"))?,
            }
        }
        IncludeAction::Disable => match include::disable(&config, &line)? {
            Edit::Changed => output::say(&format!("removed from {shown}: {line}"))?,
            Edit::Unchanged => output::say(&format!("not in {shown}"))?,
        },
    }
    Ok(Exit::Ok)
}

async fn ssh_refresh(global: &Global) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let servers = cluster::answer(
        "failed to list DevServers",
        session.servers().list(&ListParams::default()),
    )
    .await?;
    let mut live = Vec::new();
    let mut exit = Exit::Ok;
    for server in &servers.items {
        live.push(server.name_any());
        match access::write(&session.place, server) {
            Ok(access) => output::say(&access.target.host())?,
            Err(failure) => {
                // One that is still starting must not keep the others from being written.
                output::note(&failure.to_string());
                exit = failure.exit;
            }
        }
    }
    for name in access::remove_others(&session.place, &live)? {
        output::note(&format!("removed the files of '{name}', which is gone"));
    }
    Ok(exit)
}
