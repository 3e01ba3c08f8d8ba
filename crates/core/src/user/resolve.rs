//! From what an administrator asked for to what it means.

use std::{borrow::Borrow, collections::BTreeMap};

use devserver_api::{DevServerUser, PodSecurity, RoleReference, condition, names};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::LimitRangeItem, apimachinery::pkg::api::resource::Quantity};

use super::{USERNAME_MAX, namespace_name, username_of};
use crate::Platform;

/// A user, checked: what is built from it cannot fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Name of the DevServerUser.
    pub name: String,
    /// UID of the DevServerUser: what makes an object its own.
    pub uid: String,
    /// Name as the cluster authenticates it.
    pub username: String,
    /// Namespace, `dev-<username>`.
    pub namespace: String,
    /// Team that what has no other counts for.
    pub team: Option<String>,
    /// Hard limits of the ResourceQuota; empty: none is made.
    pub quota: BTreeMap<String, Quantity>,
    /// Limits of the LimitRange; empty: none is made.
    pub limits: Vec<LimitRangeItem>,
    /// Roles besides `devserver-user`, each allowed by the platform.
    pub roles: Vec<RoleReference>,
    /// Roles that were asked for and are not allowed; they are not bound.
    pub refused_roles: Vec<RoleReference>,
    /// Pod Security level of the namespace.
    pub pod_security: PodSecurity,
}

/// Why a DevServerUser cannot be turned into an account. What exists already is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUser {
    /// It cannot name a namespace.
    #[error(
        "spec.username must be lower case letters, digits and '-', at most {USERNAME_MAX} characters, and begin and end with a letter or digit; \
         create a DevServerUser with another username"
    )]
    Username,
    /// An older DevServerUser has the name.
    #[error(
        "spec.username {username:?} belongs to the DevServerUser {by:?}, which is older; delete one of the two, or create this one with another username"
    )]
    UsernameTaken {
        /// The name asked for.
        username: String,
        /// The DevServerUser that has it.
        by: String,
    },
    /// A team that could not be a label.
    #[error(
        "spec.teams[{index}] {team:?} cannot be a label value: letters, digits, '-', '_' and '.', at most 63, a letter or digit first and last; rename the team"
    )]
    Team {
        /// Place in the list.
        index: usize,
        /// The word.
        team: String,
    },
}

impl InvalidUser {
    /// CamelCase word for the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Username => "InvalidUsername",
            Self::UsernameTaken { .. } => "UsernameTaken",
            Self::Team { .. } => "InvalidTeam",
        }
    }
}

/// Checks a user against all others and against what the platform allows.
pub fn resolve<U: Borrow<DevServerUser>>(
    user: &DevServerUser,
    others: &[U],
    platform: &Platform,
) -> Result<Account, InvalidUser> {
    let spec = &user.spec;
    if !is_username(&spec.username) {
        return Err(InvalidUser::Username);
    }
    if let Some(older) = others
        .iter()
        .map(Borrow::borrow)
        .find(|o| precedes(o, user))
    {
        return Err(InvalidUser::UsernameTaken {
            username: spec.username.clone(),
            by: older.metadata.name.clone().unwrap_or_default(),
        });
    }
    if let Some((index, team)) = spec
        .teams
        .iter()
        .enumerate()
        .find(|(_, team)| !names::is_label_value(team))
    {
        return Err(InvalidUser::Team {
            index,
            team: team.clone(),
        });
    }
    let (roles, refused_roles) = spec
        .additional_role_refs
        .iter()
        .cloned()
        .partition(|role| is_allowed(role, platform));
    Ok(Account {
        name: user.metadata.name.clone().unwrap_or_default(),
        uid: user.metadata.uid.clone().unwrap_or_default(),
        namespace: namespace_name(&spec.username),
        username: spec.username.clone(),
        team: spec.teams.first().cloned(),
        quota: spec.quota.clone(),
        limits: spec.limits.clone(),
        roles,
        refused_roles,
        pod_security: spec.pod_security.unwrap_or_default(),
    })
}

fn is_username(word: &str) -> bool {
    word.len() <= USERNAME_MAX && !word.contains('.') && names::is_subdomain(word)
}

/// Whether `other` has the username of `user` and came first; who came first does not depend on who is asked.
fn precedes(other: &DevServerUser, user: &DevServerUser) -> bool {
    other.spec.username == user.spec.username
        && other.metadata.uid != user.metadata.uid
        && other.metadata.deletion_timestamp.is_none()
        && rank(other) < rank(user)
}

fn rank(user: &DevServerUser) -> (Option<Timestamp>, Option<&String>) {
    let created = user.metadata.creation_timestamp.as_ref().map(|t| t.0);
    (created, user.metadata.name.as_ref())
}

fn is_allowed(role: &RoleReference, platform: &Platform) -> bool {
    let word = format!("{}/{}", role.kind, role.name);
    platform.allowed_roles.contains(&word)
}

/// The DevServerUser whose namespace it is; `None` when the namespace belongs to nobody or was there before.
pub fn of_namespace<U: Borrow<DevServerUser> + Clone>(namespace: &str, users: &[U]) -> Option<U> {
    let username = username_of(namespace)?;
    let is_theirs = |user: &&U| {
        let user = (*user).borrow();
        if user.metadata.deletion_timestamp.is_some() || user.spec.username != username {
            return false;
        }
        match &user.status {
            // Not looked at yet: its teams bind before its rights do.
            None => true,
            Some(status) => {
                status.namespace.as_deref() == Some(namespace)
                    && condition::find(&status.conditions, condition::VALID)
                        .is_none_or(|c| c.reason != "UsernameTaken")
            }
        }
    };
    users
        .iter()
        .filter(is_theirs)
        .min_by(|a, b| rank((*a).borrow()).cmp(&rank((*b).borrow())))
        .cloned()
}
