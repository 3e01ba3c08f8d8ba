//! Who somebody is: from what the provider says to the name and the groups that Kubernetes is told. Pure.

use devserver_api::group;

use crate::config::Config;

/// Group of everybody who comes through the console.
pub const USERS: &str = "devserver-users";
/// Longest user name, as in the resources.
const LONGEST: usize = 253;

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No name, or one that means something else to Kubernetes or to a reader.
    #[error("the name that the provider gives you cannot be used here")]
    Name,
    /// In none of the groups that may.
    #[error("your account is in none of the groups that may use this console")]
    Groups,
}

impl Refused {
    /// Bounded word for metrics and the audit.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Groups => "groups",
        }
    }
}

/// Somebody who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User name as Kubernetes knows it, with the prefix.
    pub user: String,
    /// Whether they administrate.
    pub is_admin: bool,
}

impl Identity {
    /// The groups that Kubernetes is told; never any of the provider's own.
    pub fn groups(is_admin: bool) -> &'static [&'static str] {
        if is_admin {
            &[USERS, group::ADMIN_GROUP]
        } else {
            &[USERS]
        }
    }

    /// From the name and the groups that the provider tells.
    pub fn judge(config: &Config, name: &str, groups: &[String]) -> Result<Self, Refused> {
        let user = format!("{}{name}", config.username_prefix);
        let is_plain = name.chars().all(|c| c.is_ascii_graphic()) && !name.is_empty();
        // Kubernetes keeps `system:` for its own; what comes before a colon elsewhere may be another provider's prefix.
        if !is_plain || user.len() > LONGEST || user.starts_with("system:") || name.contains(':') {
            return Err(Refused::Name);
        }
        let among = |wanted: &[String]| groups.iter().any(|group| wanted.contains(group));
        if config
            .allowed_groups
            .as_ref()
            .is_some_and(|allowed| !among(allowed))
        {
            return Err(Refused::Groups);
        }
        Ok(Self {
            user,
            is_admin: among(&config.admin_groups),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!(
            "consoleUrl: https://c.example.com\neditorDomain: e.example.com\nsessionKeyFile: /k\n\
             adminGroups: [ops]\n{more}\n\
             oidc: {{issuer: 'https://i', clientId: c, clientSecretFile: /s, usernameClaim: email}}"
        );
        Config::parse(&text, |_| Ok(vec![0; 64])).unwrap()
    }

    #[test]
    fn b6_a_name_that_kubernetes_keeps_for_itself_is_refused() {
        for name in [
            "",
            "system:admin",
            "system:serviceaccount:x:y",
            "a:b",
            "a b",
            "a\nb",
            "ä",
            "a\0",
        ] {
            assert_eq!(
                Identity::judge(&config(""), name, &[]),
                Err(Refused::Name),
                "{name:?}"
            );
        }
        let long = "a".repeat(254);
        assert_eq!(Identity::judge(&config(""), &long, &[]), Err(Refused::Name));
        let prefixed = Identity::judge(&config("usernamePrefix: 'oidc:'"), "alice", &[]).unwrap();
        assert_eq!(prefixed.user, "oidc:alice");
    }

    #[test]
    fn b6_groups_of_the_provider_never_reach_kubernetes() {
        let told = ["system:masters".to_owned(), "devserver-admins".to_owned()];
        let alice = Identity::judge(&config(""), "alice", &told).unwrap();
        assert!(!alice.is_admin);
        assert_eq!(Identity::groups(alice.is_admin), ["devserver-users"]);
        let ops = Identity::judge(&config(""), "alice", &["ops".to_owned()]).unwrap();
        assert_eq!(
            Identity::groups(ops.is_admin),
            ["devserver-users", "devserver-admins"]
        );
    }

    #[test]
    fn with_allowed_groups_nobody_else_comes_in() {
        let config = config("allowedGroups: [dev]");
        assert_eq!(Identity::judge(&config, "alice", &[]), Err(Refused::Groups));
        assert!(Identity::judge(&config, "alice", &["dev".to_owned()]).is_ok());
        let nobody = self::config("allowedGroups: []");
        assert_eq!(
            Identity::judge(&nobody, "alice", &["dev".to_owned()]),
            Err(Refused::Groups)
        );
    }
}
