//! Arguments of `devctl render` and `devctl config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args, Debug)]
pub struct Render {
    /// File with DevServers, and flavors they name; `-` is standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// File with flavors; may be repeated
    #[arg(long, value_name = "FILE")]
    pub flavor_file: Vec<PathBuf>,
    /// Configuration file of the operator; default: its defaults
    #[arg(long, value_name = "FILE")]
    pub platform_file: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "yaml", value_parser = ["json", "yaml", "name"])]
    pub output: String,
}

#[derive(Subcommand, Debug)]
pub enum Config {
    /// Let plain ssh, scp, rsync and editors find DevServers: one Include line in ~/.ssh/config
    SshInclude(SshInclude),
    /// Write the ssh files of all DevServers of the namespace anew, and remove those of DevServers that are gone
    SshRefresh,
}

#[derive(Args, Debug)]
pub struct SshInclude {
    /// What to do
    #[arg(value_name = "ACTION", conflicts_with_all = ["enable", "disable", "print"])]
    pub action: Option<IncludeAction>,
    /// Add the line
    #[arg(long, conflicts_with_all = ["disable", "print"])]
    pub enable: bool,
    /// Remove the line
    #[arg(long, conflicts_with = "print")]
    pub disable: bool,
    /// Print the line and whether it is there (the default)
    #[arg(long)]
    pub print: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IncludeAction {
    /// Add the line
    Enable,
    /// Remove the line
    Disable,
    /// Print the line
    Print,
}
