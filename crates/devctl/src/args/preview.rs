//! Creating without creating.

use clap::{Args, ValueEnum};

/// Whether an object is only tried, and how it is shown.
#[derive(Args, Debug)]
pub struct Preview {
    /// Only say what would be created: `client` asks no cluster, `server` has the API server check it
    #[arg(long, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
    /// Print the object in this form
    #[arg(short, long, value_name = "FORM", value_parser = ["json", "yaml", "name"])]
    pub output: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Nothing is sent
    Client,
    /// Checked by the API server, not kept
    Server,
}
