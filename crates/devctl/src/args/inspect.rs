//! Arguments of the commands that look and change nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use devserver_api::group;

use super::{Named, Output};
use crate::output::Format;

#[derive(Args, Debug)]
pub struct Events {
    #[command(flatten)]
    pub named: Named,
    /// Then go on and print what happens
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Logs {
    #[command(flatten)]
    pub named: Named,
    /// Go on and print what is logged
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(i64).range(0..))]
    pub tail: Option<i64>,
    /// Of the container that ran before this one
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,
    /// With the time of each line
    #[arg(long)]
    pub timestamps: bool,
    /// Which container
    #[arg(short, long, default_value = "dev")]
    pub container: ContainerArg,
}

/// The containers of a DevServer's pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ContainerArg {
    /// The environment
    Dev,
    /// sshd beside it, where spec.ssh.mode is Sidecar
    Ssh,
}

impl ContainerArg {
    /// The name in the pod.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => group::CONTAINER,
            Self::Ssh => group::SIDECAR_CONTAINER,
        }
    }
}

#[derive(Args, Debug)]
pub struct Why {
    #[command(flatten)]
    pub named: Named,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table", value_parser = report_form)]
    pub output: Format,
}

#[derive(Args, Debug)]
pub struct Top {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table", value_parser = report_form)]
    pub output: Format,
}

#[derive(Args, Debug)]
pub struct Version {
    /// Of this program alone; asks no cluster
    #[arg(long)]
    pub client: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table", value_parser = report_form)]
    pub output: Format,
}

#[derive(Args, Debug)]
pub struct Man {
    /// Folder that takes one page for each command
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Forms of what is a report and no object: it has no name.
fn report_form(word: &str) -> Result<Format, String> {
    match Format::from_str(word, false) {
        Ok(form @ (Format::Table | Format::Json | Format::Yaml)) => Ok(form),
        _ => Err("possible values: table, json, yaml".to_owned()),
    }
}
