//! Arguments of `devctl usage`.

use clap::{Args, ValueEnum};
use devserver_api::{group, usage::By};

#[derive(Args, Debug)]
pub struct Usage {
    /// Of this team only
    #[arg(long)]
    pub team: Option<String>,
    /// Of this project only
    #[arg(long)]
    pub project: Option<String>,
    /// Of this owner only
    #[arg(long)]
    pub owner: Option<String>,
    /// From when on: a day (2026-11-01, UTC), an instant, or a time ago (7d, 12h); default: the first of this month
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Up to when, in the same words; default: now
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// What a line is
    #[arg(long, default_value = "team")]
    pub by: ByArg,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: UsageForm,
    /// Namespace of the platform
    #[arg(long, value_name = "NAME", default_value = group::PLATFORM_NAMESPACE)]
    pub platform_namespace: String,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ByArg {
    /// A team
    Team,
    /// A project
    Project,
    /// An owner
    Owner,
    /// A flavor
    Flavor,
    /// A namespace
    Namespace,
    /// An environment
    Environment,
}

impl From<ByArg> for By {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Team => Self::Team,
            ByArg::Project => Self::Project,
            ByArg::Owner => Self::Owner,
            ByArg::Flavor => Self::Flavor,
            ByArg::Namespace => Self::Namespace,
            ByArg::Environment => Self::Environment,
        }
    }
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UsageForm {
    /// Columns for people
    Table,
    /// Comma-separated values, with OpenCost's names
    Csv,
    /// JSON
    Json,
    /// JSON as OpenCost's allocation API has it
    Opencost,
}
