//! `devctl man`: the manual pages, from the same definitions as the command line itself.

use clap::CommandFactory as _;

use crate::{
    args::{Cli, Man},
    exit::Exit,
    failure::{Failure, Outcome},
    output,
};

/// Writes one page for each command.
pub fn run(args: &Man) -> Outcome<Exit> {
    let failed = |e: &std::io::Error| {
        Failure::io(format!("failed to write to {}", args.folder.display()), e)
            .remedy("name a folder that you may write to")
    };
    std::fs::create_dir_all(&args.folder).map_err(|e| failed(&e))?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.folder).map_err(|e| failed(&e))?;
    output::note(&format!(
        "wrote the manual pages; read one with `man {}/devctl.1`",
        args.folder.display()
    ));
    Ok(Exit::Ok)
}
