//! The command line.

pub mod admin;
mod config;
mod expose;
mod features;
mod inspect;
mod lifetime;
mod login;
mod preview;
mod reach;
mod trash;
mod usage;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use devserver_api::names::ServerName;

use crate::{
    complete, exit,
    failure::{Failure, Outcome},
    output::{self, Format},
};

pub use config::{Config, IncludeAction, Render, SshInclude};
pub use expose::ExposeArg;
pub use features::{Features, Guest};
pub use inspect::{Doctor, Events, Logs, Man, Top, Version, Why};
pub use lifetime::{Delete, Extend, Hold, Restart, Resume, Snooze, name_and_time};
pub use login::{Credential, Login};
pub use preview::{DryRun, Preview};
pub use reach::{Code, Cp, PortForward};
pub use trash::{Trash, Undelete};
pub use usage::{Usage, UsageForm};

/// Name of a DevServer when none is given.
pub const DEFAULT_NAME: &str = "dev";

/// Development environments on Kubernetes: create one, and ssh into it.
#[derive(Parser, Debug)]
#[command(name = "devctl", version, after_help = exit::HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Where and how; these may stand before or after the command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Namespace; default: the one of the context
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; default: its current one
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig file, or several separated by ':'
    #[arg(
        long,
        global = true,
        env = "KUBECONFIG",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub kubeconfig: Option<OsString>,
    /// No colors; also with NO_COLOR set or when not on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Say what is done, on standard error
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

impl Global {
    /// Says a detail when asked to be verbose.
    pub fn detail(&self, text: std::fmt::Arguments<'_>) {
        if self.verbose {
            output::note(&text.to_string());
        }
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create a DevServer
    Create(Box<Create>),
    /// List DevServers
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one DevServer: spec, status, events, how to reach it
    Describe(Describe),
    /// Show what happened to a DevServer and its objects, the oldest first
    Events(Events),
    /// Print the log of a DevServer
    Logs(Logs),
    /// Say why a DevServer is as it is, what happens next and when, and what to do
    Why(Why),
    /// Watch DevServers: a live view
    Top(Top),
    /// Delete a DevServer; its home stays unless its spec says otherwise
    Delete(Delete),
    /// List homes whose DevServer has ended, and until when they are kept
    Trash(Trash),
    /// Make a DevServer that has ended again, with its old spec and its home
    #[command(
        after_help = "Examples:\n  devctl trash\n  devctl undelete my-dev-server --wait\n\nIts time to live begins anew. Where the platform keeps no record of what was asked for, `devctl create NAME` finds the home again."
    )]
    Undelete(Undelete),
    /// Open a shell in a DevServer, or run a command there
    #[command(
        after_help = "Examples:\n  devctl ssh my-dev-server\n  devctl ssh my-dev-server -- make test\n  devctl ssh my-dev-server -L 8080:localhost:8080\n  devctl ssh --session work my-dev-server\n\nOptions of devctl stand before the name; what follows the name is for ssh."
    )]
    Ssh(Ssh),
    /// Copy files from or to a DevServer
    #[command(
        after_help = "Examples:\n  devctl cp notes.txt my-dev-server:\n  devctl cp -r my-dev-server:results ./results\n\nPaths in the DevServer that begin with no '/' are below its home. A local name with a ':' is written ./a:b."
    )]
    Cp(Cp),
    /// Open VS Code in a DevServer
    Code(Code),
    /// Let ports of this machine lead to ports of a DevServer
    #[command(
        after_help = "Examples:\n  devctl port-forward my-dev-server 8080\n  devctl port-forward my-dev-server 8080:80 0:5432\n\nIt goes through the API server, which may drop it. For anything that lasts: devctl ssh NAME -N -L 8080:localhost:80"
    )]
    PortForward(PortForward),
    /// Connect standard input and output to the ssh port of a DevServer
    #[command(hide = true)]
    SshProxy(SshProxy),
    /// Stop a DevServer and keep its home
    Suspend(Named),
    /// Start a suspended DevServer again
    Resume(Resume),
    /// Let a DevServer live longer
    #[command(
        after_help = "Examples:\n  devctl extend my-dev-server 4h\n  devctl extend my-dev-server --until 2026-11-22T18:00:00Z\n\nThe time is added to the present end. The platform may have a longest life, counted from the creation; what would exceed it is refused and changes nothing."
    )]
    Extend(Extend),
    /// Keep a DevServer that looks idle from being stopped
    #[command(
        after_help = "Examples:\n  devctl hold my-dev-server 4h\n  devctl hold my-dev-server --release\n\nThe time is counted from now, and a new hold takes the place of the one before. The platform has a longest hold; a longer one does not count. Inside the environment: devctl hold -- make train"
    )]
    Hold(Hold),
    /// Put off what is done with a DevServer that nobody uses
    #[command(
        after_help = "Examples:\n  devctl snooze my-dev-server\n  devctl snooze my-dev-server --for 8h\n  devctl snooze my-dev-server --off\n\nAn idle DevServer is told of, shrunk and stopped as the platform's policy says; `devctl why NAME` tells how far that has come. A snooze holds that off, as long as the platform allows, and the time to live goes on."
    )]
    Snooze(Snooze),
    /// Start the pod of a DevServer anew, with all changes that wait for it; its home stays
    Restart(Restart),
    /// Log in with a browser, or say who you are in a context
    #[command(
        after_help = "Examples:\n  devctl login --console https://console.example.com\n  devctl login --context work\n\nWith --console: open the address that is printed, on this or any other device, and log in there. The kubeconfig gets a context of the console's name (or that of --context), which becomes the current one. Tokens are kept in ~/.cache/devctl, for you alone, and renewed as long as the identity provider allows it.\nWithout: asks the cluster of the context who you are; with --context it becomes the current one."
    )]
    Login(Login),
    /// What kubectl and devctl call for a token
    #[command(hide = true)]
    Credential(Credential),
    /// List flavors (sizes)
    Flavors(Output),
    /// Show what environments used and what it costs
    #[command(
        after_help = "Examples:\n  devctl usage\n  devctl usage --since 7d --by owner --team genomics\n  devctl usage --since 2026-10-01 --until 2026-11-01 --by environment -o csv\n\nFor administrators and those who were given the Role devserver-usage-reader."
    )]
    Usage(Usage),
    /// Print the objects a DevServer becomes, without a cluster
    Render(Render),
    /// Settings of this machine
    #[command(subcommand)]
    Config(Config),
    /// What administrators do: users
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Print the completion script of a shell
    Completion {
        /// Shell
        shell: Shell,
    },
    /// Check this machine and the cluster, and say the remedy of what is wrong
    Doctor(Doctor),
    /// Write the manual pages
    #[command(hide = true)]
    Man(Man),
    /// Print the version, and those of the cluster
    Version(Version),
}

/// Which DevServer.
#[derive(Args, Debug)]
pub struct Named {
    /// Name of the DevServer [default: dev]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::servers))]
    pub positional: Option<String>,
    /// The same as NAME
    #[arg(long = "name", value_name = "NAME", hide = true)]
    pub option: Option<String>,
}

/// The name by its place or by its option; two different ones are an error.
fn one_name<'a>(place: Option<&'a str>, option: Option<&'a str>) -> Outcome<&'a str> {
    match (place, option) {
        (Some(a), Some(b)) if a != b => {
            Err(Failure::usage(format!("two names are given: '{a}' and '{b}'")).remedy("give one"))
        }
        (Some(name), _) | (None, Some(name)) => check_name(name),
        (None, None) => Ok(DEFAULT_NAME),
    }
}

impl Named {
    /// The one name; two different ones are an error.
    pub fn name(&self) -> Outcome<&str> {
        one_name(self.positional.as_deref(), self.option.as_deref())
    }
}

/// A name that no DevServer can have is told at once; it must not become part of an address or of a file name.
pub fn check_name(name: &str) -> Outcome<&str> {
    match ServerName::parse(name) {
        Ok(_) => Ok(name),
        Err(e) => Err(Failure::usage(format!("the name '{name}' {e}"))),
    }
}

/// Name of a terminal, by the agent's own rule: it becomes part of a command line and there of a path.
fn session_name(name: &str) -> Result<String, String> {
    const LONGEST: usize = 48;
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if begins && name.len() <= LONGEST && name.bytes().all(is_plain) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "letters, digits, '.', '_' and '-', at most {LONGEST}, the first a letter or digit"
        ))
    }
}

/// Form of the output.
#[derive(Args, Debug)]
pub struct Output {
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Format,
}

#[derive(Args, Debug)]
pub struct Create {
    #[command(flatten)]
    pub named: Named,
    /// Who it belongs to, such as user@example.com; default: you, by the name the cluster knows
    #[arg(long)]
    pub owner: Option<String>,
    /// Flavor (size); default: the one marked as the default
    #[arg(long, add = ArgValueCandidates::new(complete::flavors))]
    pub flavor: Option<String>,
    /// Container image, such as ubuntu:22.04
    #[arg(long)]
    pub image: Option<String>,
    /// Time to live, such as 8h or 1h30m; default: the platform's
    #[arg(long, visible_alias = "time", value_name = "DURATION")]
    pub ttl: Option<String>,
    /// Public key that may log in; may be repeated; default: the first of ~/.ssh/id_{ed25519,ecdsa,ecdsa_sk,ed25519_sk,rsa}.pub
    #[arg(long, value_name = "FILE")]
    pub ssh_public_key_file: Vec<PathBuf>,
    /// Size of the home volume, such as 20Gi
    #[arg(long, value_name = "SIZE")]
    pub home_size: Option<String>,
    /// StorageClass of the home volume
    #[arg(long, value_name = "NAME")]
    pub storage_class: Option<String>,
    /// Existing PersistentVolumeClaim to mount at /shared
    #[arg(long, value_name = "NAME")]
    pub shared_volume_claim: Option<String>,
    /// How the SSH Service is exposed
    #[arg(long)]
    pub expose: Option<ExposeArg>,
    #[command(flatten)]
    pub features: Features,
    #[command(flatten)]
    pub wait: Wait,
    #[command(flatten)]
    pub preview: Preview,
}

/// Whether to wait for the result.
#[derive(Args, Debug)]
pub struct Wait {
    /// Wait until it is done
    #[arg(long)]
    pub wait: bool,
    /// Longest wait, such as 90s or 5m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

#[derive(Args, Debug)]
pub struct List {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Then go on and print each change
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Describe {
    #[command(flatten)]
    pub named: Named,
    /// Print the object instead
    #[arg(short, long, value_name = "FORM", value_parser = ["json", "yaml", "name"])]
    pub output: Option<String>,
}

#[derive(Args, Debug)]
pub struct Ssh {
    /// The same as NAME
    #[arg(long = "name", value_name = "NAME", hide = true)]
    pub option: Option<String>,
    /// Longest wait for a DevServer that is still starting
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    /// Show the terminal of that name in the DevServer, which outlives the connection; it is made when it is not there
    #[arg(long, value_name = "NAME", value_parser = session_name)]
    pub session: Option<String>,
    /// NAME, then options of ssh, then `--` and the command; default name: dev
    #[arg(value_name = "NAME] [SSH OPTIONS] [-- COMMAND", trailing_var_arg = true, allow_hyphen_values = true, add = ArgValueCandidates::new(complete::servers))]
    pub rest: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct SshProxy {
    /// UID the DevServer must have
    #[arg(long)]
    pub uid: Option<String>,
    /// Name of the DevServer
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// Friendly interactive shell
    Fish,
}

fn duration(text: &str) -> Result<Duration, devserver_api::duration::DurationError> {
    devserver_api::duration::parse_positive(text).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_name_wins_and_two_different_ones_are_refused() {
        let named = |positional: Option<&str>, option: Option<&str>| Named {
            positional: positional.map(str::to_owned),
            option: option.map(str::to_owned),
        };
        assert_eq!(named(None, None).name().unwrap(), "dev");
        assert_eq!(named(Some("a"), None).name().unwrap(), "a");
        assert_eq!(named(None, Some("b")).name().unwrap(), "b");
        assert_eq!(named(Some("a"), Some("a")).name().unwrap(), "a");
        assert!(named(Some("../../api/v1/secrets"), None).name().is_err());
        assert_eq!(
            named(Some("a"), Some("b")).name().unwrap_err().exit,
            exit::Exit::Usage
        );
    }
}
