//! The command line. Exit codes: 0 done, 1 it failed or something is left, 2 wrong usage; `exec` passes the program's on.

mod follow;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::{LabName, Size};

/// A real one-node Kubernetes on this machine, in a network namespace of its own.
#[derive(Debug, Parser)]
#[command(name = "kubelab", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Which cluster to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cluster {
    /// A lab on this machine.
    Lab,
    /// The one that KUBECONFIG names.
    Existing,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Name of the lab
    #[arg(long, env = "KUBELAB_LAB", default_value = "dev")]
    lab: LabName,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a lab, or find it running
    Up {
        #[command(flatten)]
        which: Which,
        /// How much of a cluster
        #[arg(long, value_enum, default_value = "node")]
        size: Size,
        /// A lab, or the cluster that KUBECONFIG names
        #[arg(long, value_enum, default_value = "lab")]
        cluster: Cluster,
        /// Run the scheduler with size control-plane too
        #[arg(long)]
        scheduler: bool,
        /// Further images of images/ to build and load
        #[arg(long, value_delimiter = ',')]
        images: Vec<String>,
        /// Leave NetworkPolicies without effect; with size node they are enforced
        #[arg(long)]
        no_network_policies: bool,
    },
    /// Remove a lab and everything it made on this machine
    Down {
        #[command(flatten)]
        which: Which,
        /// Remove all labs
        #[arg(long, conflicts_with_all = ["lab", "check"])]
        all: bool,
        /// Remove nothing: list what is there, and fail if anything is
        #[arg(long)]
        check: bool,
    },
    /// Show labs and their components
    Status {
        /// Only this lab
        #[arg(long)]
        lab: Option<LabName>,
        /// How to print
        #[arg(long, short, value_enum, default_value = "text")]
        output: Format,
    },
    /// Print what a shell evaluates: KUBECONFIG and PATH
    Env {
        #[command(flatten)]
        which: Which,
        /// A lab, or the cluster that KUBECONFIG names
        #[arg(long, value_enum, default_value = "lab")]
        cluster: Cluster,
    },
    /// Build images of images/, or load them into a lab
    Images {
        #[command(subcommand)]
        command: Images,
    },
    /// Print the log of a component
    Logs {
        #[command(flatten)]
        which: Which,
        /// The component (see `kubelab status`)
        component: String,
        /// Go on until interrupted
        #[arg(long, short)]
        follow: bool,
    },
    /// Run a program in the lab's network namespace
    Exec {
        #[command(flatten)]
        which: Which,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        program: Vec<String>,
    },
    /// Build programs of tools/tools.toml and print their paths
    Tools {
        /// Names of programs; all when neither a name nor a size is given
        names: Vec<String>,
        /// Those that a lab of this size needs; may be given more than once
        #[arg(long, value_enum)]
        size: Vec<Size>,
    },
    /// Print a kubeconfig for the administrator, or for an ordinary user with a client certificate
    Kubeconfig {
        #[command(flatten)]
        which: Which,
        /// Name of the user
        #[arg(long)]
        user: Option<String>,
        /// A group of the user; may be given more than once
        #[arg(long, requires = "user")]
        group: Vec<String>,
    },
    /// Enforce the NetworkPolicies of a lab; `up` starts this in the lab's network namespace
    #[command(hide = true)]
    PolicyController {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Subcommand)]
enum Images {
    /// Build images and print the paths of their archives
    Build {
        /// Names of folders below images/; all when none is given
        names: Vec<String>,
    },
    /// Build images and load them into a running lab
    Load {
        #[command(flatten)]
        which: Which,
        /// Names of folders below images/; all when none is given
        names: Vec<String>,
    },
}

/// Runs the program: everything but the process's own exit.
pub fn main() -> ExitCode {
    match run::run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
