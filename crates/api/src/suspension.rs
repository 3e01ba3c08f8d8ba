//! Who or what suspended an environment: the annotation `devserver.io/suspended-by`.

use std::collections::BTreeMap;

use crate::group;

/// The policy for environments that nobody uses.
pub const IDLE: &str = "idle";
/// Values that mean a rule of the platform; every other value is the name of a user.
const POLICIES: [&str; 2] = [IDLE, group::SUSPENDED_BY_POLICY];
/// Before the name of a user that would otherwise mean a policy.
const USER_PREFIX: &str = "user:";

/// Who or what suspended an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SuspendedBy {
    /// Somebody who left no name.
    #[default]
    Somebody,
    /// The user of this name.
    User(String),
    /// A rule of the platform.
    Policy(String),
}

impl SuspendedBy {
    /// What the annotations of a DevServer say.
    pub fn read(annotations: &BTreeMap<String, String>) -> Self {
        match annotations.get(group::ANNOTATION_SUSPENDED_BY) {
            None => Self::Somebody,
            Some(word) if word.is_empty() => Self::Somebody,
            Some(word) if POLICIES.contains(&word.as_str()) => Self::Policy(word.clone()),
            Some(word) => {
                let name = word.strip_prefix(USER_PREFIX);
                let name = name.filter(|name| POLICIES.contains(name));
                Self::User(name.unwrap_or(word).to_owned())
            }
        }
    }

    /// Whether nobody wished it: a connection may start it again.
    pub fn is_policy(&self) -> bool {
        matches!(self, Self::Policy(_))
    }
}

/// The value that names a user.
pub fn value_of_user(name: &str) -> String {
    if POLICIES.contains(&name) {
        format!("{USER_PREFIX}{name}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> SuspendedBy {
        let annotation = (group::ANNOTATION_SUSPENDED_BY.to_owned(), value.to_owned());
        SuspendedBy::read(&BTreeMap::from([annotation]))
    }

    #[test]
    fn a_policy_is_told_from_a_user_whatever_the_user_is_called() {
        assert_eq!(SuspendedBy::read(&BTreeMap::new()), SuspendedBy::Somebody);
        assert_eq!(read(""), SuspendedBy::Somebody);
        for policy in ["idle", "policy"] {
            assert!(read(policy).is_policy());
            let user = read(&value_of_user(policy));
            assert_eq!(user, SuspendedBy::User(policy.to_owned()));
        }
        for name in ["alice", "alice@example.com", "system:admin", "user:x"] {
            assert_eq!(
                read(&value_of_user(name)),
                SuspendedBy::User(name.to_owned())
            );
        }
    }
}
