//! Arguments of `extend` and `restart`.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::{Named, Wait};
use crate::complete;

#[derive(Args, Debug)]
pub struct Extend {
    /// Name of the DevServer [default: dev]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::servers))]
    pub first: Option<String>,
    /// How much longer, such as 4h or 1h30m
    #[arg(value_name = "DURATION", conflicts_with = "until")]
    pub second: Option<String>,
    /// The same as NAME
    #[arg(long = "name", value_name = "NAME", hide = true)]
    pub option: Option<String>,
    /// The new end instead, such as 2026-11-22T18:00:00Z
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<jiff::Timestamp>,
}

#[derive(Args, Debug)]
pub struct Restart {
    #[command(flatten)]
    pub named: Named,
    #[command(flatten)]
    pub wait: Wait,
}
