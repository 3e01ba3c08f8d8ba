//! Arguments of `trash` and `undelete`.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::{Output, Wait, one_name};
use crate::{complete, failure::Outcome};

#[derive(Args, Debug)]
pub struct Trash {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Undelete {
    /// Name that the DevServer had [default: dev]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::kept))]
    pub positional: Option<String>,
    /// The same as NAME
    #[arg(long = "name", value_name = "NAME", hide = true)]
    pub option: Option<String>,
    #[command(flatten)]
    pub wait: Wait,
}

impl Undelete {
    /// The one name; two different ones are an error.
    pub fn name(&self) -> Outcome<&str> {
        one_name(self.positional.as_deref(), self.option.as_deref())
    }
}
