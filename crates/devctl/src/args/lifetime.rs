//! Arguments of `extend`, `hold`, `snooze`, `restart`, `resume` and `delete`.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::{Named, Wait, duration, one_name};
use crate::{complete, failure::Outcome};

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
pub struct Hold {
    /// Name of the DevServer [default: dev]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::servers))]
    pub first: Option<String>,
    /// For how long from now, such as 4h or 1h30m
    #[arg(value_name = "DURATION", conflicts_with = "release")]
    pub second: Option<String>,
    /// The same as NAME
    #[arg(long = "name", value_name = "NAME", hide = true)]
    pub option: Option<String>,
    /// Take it back
    #[arg(long)]
    pub release: bool,
}

#[derive(Args, Debug)]
pub struct Snooze {
    #[command(flatten)]
    pub named: Named,
    /// How long, such as 4h or 1h30m
    #[arg(long = "for", value_name = "DURATION", default_value = "4h", value_parser = duration)]
    pub span: Duration,
    /// No longer
    #[arg(long, conflicts_with = "span")]
    pub off: bool,
}

#[derive(Args, Debug)]
pub struct Delete {
    #[command(flatten)]
    pub named: Named,
    /// Do not ask
    #[arg(short, long, visible_alias = "assume-yes")]
    pub yes: bool,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Args, Debug)]
pub struct Resume {
    #[command(flatten)]
    pub named: Named,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Args, Debug)]
pub struct Restart {
    #[command(flatten)]
    pub named: Named,
    #[command(flatten)]
    pub wait: Wait,
}

/// The name and the time of commands that take both by their places; `words` are the first, the second and the option for the
/// name. With one word only, it is the time, where one is wanted: no name begins with a digit.
pub fn name_and_time(
    [first, second, option]: [Option<&str>; 3],
    wants_time: bool,
) -> Outcome<(&str, Option<&str>)> {
    let (name, time) = match (first, second) {
        (Some(time), None) if wants_time => (None, Some(time)),
        (name, time) => (name, time),
    };
    Ok((one_name(name, option)?, time))
}
