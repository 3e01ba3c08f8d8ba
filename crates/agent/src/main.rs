//! The small static program inside every environment: first process of the container, health
//! endpoint, source of the authorized keys for sshd, and copier of the tools image.
//!
//! It must run in any image, so it needs no library, no shell and no file but `/proc`.

mod accounts;
mod activity;
mod args;
mod checkpoint;
mod children;
mod copy;
mod editor;
mod expiration;
mod files;
mod health;
mod http;
mod init;
mod keys;
mod kubeconfig;
mod ladder;
mod login_user;
mod notice;
mod packages;
mod password;
mod pause;
mod prepare;
mod processes;
mod procfs;
mod session;
mod settings;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};
use args::Command;
use settings::Settings;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    let command = match args::parse_as(&called, words) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("devserver-agent: {error}\n{}", args::USAGE);
            return ExitCode::from(args::EXIT_USAGE);
        }
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            let text = format!("devserver-agent: {error:#}");
            eprintln!("{text}");
            notice::write_termination_log(&text);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Init { program, arguments } => {
            let settings = Settings::from_environment()?;
            Ok(ExitCode::from(init::run(&program, &arguments, &settings)?))
        }
        Command::Pause => {
            pause::run().context("failed to wait for the end")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Prepare(part) => Ok(prepare::run(&part)),
        Command::AsLoginUser {
            log,
            program,
            arguments,
        } => Err(login_user::run(&program, &arguments, log.as_deref()))
            .context("failed to act as the login user"),
        Command::AuthorizedKeys { user, login } => {
            keys::print(&user, login.as_deref()).context("failed to print the authorized keys")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Copy { from, to } => {
            let copied = copy::tree(&from, &to)?;
            eprintln!("devserver-agent: copied {copied} files to {}", to.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Session { name, program } => Ok(ExitCode::from(session::attach(&name, &program)?)),
        Command::Sessions => {
            session::list()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::SessionKeeper {
            name,
            size,
            program,
            arguments,
        } => {
            session::keep(&name, size, &program, &arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::SessionProgram { program, arguments } => {
            Err(session::become_program(&program, &arguments))
                .with_context(|| format!("failed to run {}", program.display()))
        }
        Command::Collect => {
            activity::collect().context("failed to collect the activity")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Hold { seconds, program } => hold(seconds, &program),
        Command::Version => {
            println!("devserver-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn hold(seconds: u64, program: &[OsString]) -> Result<ExitCode> {
    match program.split_first() {
        None => {
            activity::hold(seconds)?;
            Ok(ExitCode::SUCCESS)
        }
        Some((program, arguments)) => Ok(ExitCode::from(activity::hold_while(
            seconds, program, arguments,
        )?)),
    }
}
