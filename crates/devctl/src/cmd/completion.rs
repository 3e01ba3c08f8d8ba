//! `devctl completion`: the script that makes a shell ask devctl itself, so that names of DevServers complete too.

use clap_complete::env::Shells;

use crate::{
    args::Shell,
    exit::Exit,
    failure::{Failure, Outcome},
    output,
};

/// Variable by which the script asks.
pub const VARIABLE: &str = "DEVCTL_COMPLETE";

/// Prints the script.
pub fn run(shell: Shell) -> Outcome<Exit> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let failed = || {
        Failure::new(
            Exit::Error,
            format!("failed to write the completion of {name}"),
        )
    };
    let shells = Shells::builtins();
    let completer = shells.completer(name).ok_or_else(failed)?;
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "devctl", "devctl", "devctl", &mut script)
        .map_err(|e| failed().because(e))?;
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
