//! Arguments of `devctl admin`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use devserver_api::{PodSecurity, RoleReference, quantity};

use super::{Output, Preview, Wait, duration};

/// What administrators do.
#[derive(Subcommand, Debug)]
pub enum Admin {
    /// Users: namespace, bounds, rights, credentials
    #[command(subcommand)]
    User(User),
}

/// What administrators do with users.
#[derive(Subcommand, Debug)]
pub enum User {
    /// Give a user a namespace, bounds and rights
    #[command(
        after_help = "Example:\n  devctl admin user create alice --team genomics --quota requests.cpu=16 --quota devservers=3 --wait"
    )]
    Create(Box<CreateUser>),
    /// List users
    #[command(visible_alias = "ls")]
    List(Output),
    /// Take a user's rights away; machines and homes stay
    Delete(DeleteUser),
    /// Write a kubeconfig for a user, with credentials that expire
    #[command(
        after_help = "Examples:\n  devctl admin user kubeconfig alice --file alice.kubeconfig\n  devctl admin user kubeconfig alice --token --expiration 1h\n  devctl admin user kubeconfig alice --exec-command aws --exec-arg eks --exec-arg get-token --exec-arg --cluster-name --exec-arg dev\n\nThe key of a certificate is made here and never leaves this machine but in the file."
    )]
    Kubeconfig(UserKubeconfig),
}

#[derive(Args, Debug)]
pub struct CreateUser {
    /// Name as the cluster authenticates the user: lower case letters, digits and '-', at most 59 characters
    pub username: String,
    /// Team of the user; may be repeated; the first is the default
    #[arg(long, value_name = "TEAM")]
    pub team: Vec<String>,
    /// Hard limit of the namespace's quota, such as requests.cpu=8, requests.storage=100Gi or devservers=3; may be repeated
    #[arg(long, value_name = "RESOURCE=AMOUNT")]
    pub quota: Vec<Limit>,
    /// Further role in the namespace, such as ClusterRole/view; may be repeated; only those the platform allows are given
    #[arg(long, value_name = "KIND/NAME")]
    pub role: Vec<RoleArg>,
    /// Pod Security level of the namespace; default: baseline
    #[arg(long, value_name = "LEVEL")]
    pub pod_security: Option<PodSecurityArg>,
    #[command(flatten)]
    pub wait: Wait,
    #[command(flatten)]
    pub preview: Preview,
}

#[derive(Args, Debug)]
pub struct DeleteUser {
    /// Username
    pub username: String,
    /// Do not ask
    #[arg(short, long, visible_alias = "assume-yes")]
    pub yes: bool,
    /// Delete the namespace too, with all machines and homes in it, for ever
    #[arg(long)]
    pub delete_namespace: bool,
}

#[derive(Args, Debug)]
pub struct UserKubeconfig {
    /// Username
    pub username: String,
    /// A token of the user's ServiceAccount instead of a certificate, where the cluster signs none
    #[arg(long, conflicts_with = "exec_command")]
    pub token: bool,
    /// A program that fetches credentials instead, as managed clouds have one
    #[arg(long, value_name = "PROGRAM")]
    pub exec_command: Option<String>,
    /// Argument of that program; may be repeated
    #[arg(
        long,
        value_name = "ARGUMENT",
        requires = "exec_command",
        allow_hyphen_values = true
    )]
    pub exec_arg: Vec<String>,
    /// How long the credentials are good for at most; the cluster may shorten it
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = expiration, conflicts_with = "exec_command")]
    pub expiration: Duration,
    /// File to write, readable by you only; default: standard output
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// The API server refuses less.
const SHORTEST: Duration = Duration::from_mins(10);
/// Short-lived they should be.
const LONGEST: Duration = Duration::from_hours(24 * 365);

fn expiration(text: &str) -> Result<Duration, String> {
    let time = duration(text).map_err(|e| e.to_string())?;
    if (SHORTEST..=LONGEST).contains(&time) {
        Ok(time)
    } else {
        Err("must be between 10m and 8760h".to_owned())
    }
}

/// `RESOURCE=AMOUNT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As in a ResourceQuota.
    pub resource: String,
    /// A quantity.
    pub amount: String,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (resource, amount) = text
            .split_once('=')
            .filter(|(resource, _)| !resource.is_empty())
            .ok_or("write RESOURCE=AMOUNT, such as requests.cpu=8")?;
        quantity::parse(amount).map_err(|e| format!("{amount:?} {e}"))?;
        let resource = match resource {
            "devservers" => "count/devservers.devserver.io",
            other => other,
        };
        Ok(Self {
            resource: resource.to_owned(),
            amount: amount.to_owned(),
        })
    }
}

/// `KIND/NAME`; a name alone is a ClusterRole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArg(pub RoleReference);

impl FromStr for RoleArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').unwrap_or(("ClusterRole", text));
        if !matches!(kind, "ClusterRole" | "Role") || name.is_empty() {
            return Err("write ClusterRole/NAME or Role/NAME".to_owned());
        }
        Ok(Self(RoleReference {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PodSecurityArg {
    /// Nothing is refused
    Privileged,
    /// No known way out of a container
    Baseline,
    /// What hardened pods look like
    Restricted,
}

impl From<PodSecurityArg> for PodSecurity {
    fn from(arg: PodSecurityArg) -> Self {
        match arg {
            PodSecurityArg::Privileged => Self::Privileged,
            PodSecurityArg::Baseline => Self::Baseline,
            PodSecurityArg::Restricted => Self::Restricted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_resource_and_an_amount() {
        let limit: Limit = "devservers=3".parse().unwrap();
        assert_eq!(limit.resource, "count/devservers.devserver.io");
        for wrong in ["cpu", "=8", "cpu=", "cpu=many"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_role_without_a_kind_is_a_cluster_role() {
        let role: RoleArg = "view".parse().unwrap();
        assert_eq!(
            (role.0.kind.as_str(), role.0.name.as_str()),
            ("ClusterRole", "view")
        );
        for wrong in ["", "Role/", "Group/x"] {
            assert!(wrong.parse::<RoleArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn credentials_live_between_ten_minutes_and_a_year() {
        assert!(expiration("10m").is_ok() && expiration("8760h").is_ok());
        assert!(
            expiration("9m").is_err() && expiration("8761h").is_err() && expiration("x").is_err()
        );
    }
}
