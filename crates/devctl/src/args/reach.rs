//! Arguments of the commands that reach into a DevServer beside `devctl ssh`.

use std::{ffi::OsString, net::IpAddr, time::Duration};

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};

use super::duration;
use crate::{complete, forward::Pair};

#[derive(Args, Debug)]
pub struct PortForward {
    /// Name of the DevServer
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    pub name: String,
    /// Port of this machine, and port of the DevServer; one number means both, and 0 as the first any free one
    #[arg(value_name = "[LOCAL:]REMOTE", required = true)]
    pub ports: Vec<Pair>,
    /// Address of this machine to listen on; anything but loopback lets others in
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub address: IpAddr,
}

#[derive(Args, Debug)]
pub struct Cp {
    /// Folders with all that is in them
    #[arg(short, long)]
    pub recursive: bool,
    /// Keep times and modes
    #[arg(short, long)]
    pub preserve: bool,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Longest wait for a DevServer that is still starting
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    /// What to copy, and last where to; NAME:PATH is in a DevServer
    #[arg(value_name = "SOURCE... TARGET", required = true, num_args = 2.., add = ArgValueCompleter::new(complete::paths))]
    pub paths: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct Code {
    /// Name of the DevServer [default: dev]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::servers))]
    pub name: Option<String>,
    /// Folder to open; one that begins with no '/' is below the home [default: the home]
    pub path: Option<String>,
    /// Print the vscode:// address instead
    #[arg(long)]
    pub print: bool,
    /// Longest wait for a DevServer that is still starting
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}
