//! Names that Kubernetes will accept: parsed once at the border, trusted afterwards.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// Longest DevServer name: the StatefulSet controller labels pods `<name>-<10 characters of hash>` and a label value has 63.
pub const SERVER_NAME_MAX: usize = 52;

/// Why a word is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("is empty")]
    Empty,
    /// Longer than allowed.
    #[error("has {actual} characters, at most {max} are allowed")]
    TooLong {
        /// Characters it has.
        actual: usize,
        /// Characters it may have.
        max: usize,
    },
    /// A character that may not stand where it stands.
    #[error(
        "must be lower case letters, digits and '-', start with a letter and end with a letter or digit"
    )]
    Syntax,
}

/// Name of a DevServer: a DNS label (RFC 1035) of at most [`SERVER_NAME_MAX`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(String);

impl ServerName {
    /// Checks the word.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        label_1035(word, SERVER_NAME_MAX)?;
        Ok(Self(word.to_owned()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// StatefulSet.
    pub fn workload(&self) -> String {
        self.0.clone()
    }

    /// The one pod of the StatefulSet.
    pub fn pod(&self) -> String {
        format!("{}-0", self.0)
    }

    /// The claim of the home volume, as the StatefulSet controller names it.
    pub fn home_claim(&self) -> String {
        format!("home-{}-0", self.0)
    }

    /// Claim of the Docker daemon's volume.
    pub fn docker_claim(&self) -> String {
        format!("docker-{}-0", self.0)
    }

    /// ServiceAccount; prefixed so that a DevServer called `default` does not meet the namespace's own.
    pub fn service_account(&self) -> String {
        format!("devserver-{}", self.0)
    }

    /// Secret of the private host keys.
    pub fn host_keys(&self) -> String {
        format!("{}-host-keys", self.0)
    }

    /// Secret of the public keys that may log in.
    pub fn authorized_keys(&self) -> String {
        format!("{}-authorized-keys", self.0)
    }

    /// ConfigMap of the SSH daemon.
    pub fn sshd_config(&self) -> String {
        format!("{}-sshd-config", self.0)
    }

    /// Headless Service of the StatefulSet.
    pub fn headless_service(&self) -> String {
        format!("{}-headless", self.0)
    }

    /// SSH Service.
    pub fn ssh_service(&self) -> String {
        format!("{}-ssh", self.0)
    }

    /// NetworkPolicy of the pod.
    pub fn network_policy(&self) -> String {
        format!("devserver-{}", self.0)
    }

    /// PodDisruptionBudget of the pod.
    pub fn disruption_budget(&self) -> String {
        format!("devserver-{}", self.0)
    }

    /// RoleBinding of the environment's ServiceAccount.
    pub fn role_binding(&self) -> String {
        format!("devserver-{}", self.0)
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn label_1035(word: &str, max: usize) -> Result<(), NameError> {
    if word.is_empty() {
        return Err(NameError::Empty);
    }
    if word.len() > max {
        return Err(NameError::TooLong {
            actual: word.chars().count(),
            max,
        });
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = word.starts_with(|c: char| c.is_ascii_lowercase())
        && !word.ends_with('-')
        && word.chars().all(inner);
    if good { Ok(()) } else { Err(NameError::Syntax) }
}

/// Whether the word is a DNS subdomain (RFC 1123), the rule for names of claims, classes and flavors.
pub fn is_subdomain(word: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && !p.starts_with('-')
            && !p.ends_with('-')
            && p.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    !word.is_empty() && word.len() <= 253 && word.split('.').all(part)
}

/// Whether the word may be the value of a label and is not empty.
pub fn is_label_value(word: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    word.len() <= 63
        && word.starts_with(edge)
        && word.ends_with(edge)
        && word
            .chars()
            .all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
}

/// Whether the word may be what an environment's login user is called: a POSIX user name that nobody but people have.
pub fn is_login_user(word: &str) -> bool {
    let first = |c: char| c.is_ascii_lowercase();
    let inner = |c: char| first(c) || c.is_ascii_digit() || matches!(c, '-' | '_');
    let of_system = matches!(word, "root" | "sshd" | "nobody");
    word.len() <= 32 && word.starts_with(first) && word.chars().all(inner) && !of_system
}

/// Home of a login user of that name.
pub fn login_home(user: &str) -> String {
    format!("/home/{user}")
}

/// Whether the word may be the key of a label: a name, and a DNS subdomain and `/` before it if wanted.
pub fn is_label_key(word: &str) -> bool {
    match word.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_label_value(name),
        None => is_label_value(word),
    }
}

/// Any text as a label value: what may not stand in one becomes `_`, and a short hash keeps different texts different.
///
/// Unchanged when the text already is a label value.
pub fn label_safe(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: char| c.is_ascii_alphanumeric();
    if text.len() <= 63
        && text.chars().all(allowed)
        && text.starts_with(edge)
        && text.ends_with(edge)
    {
        return text.to_owned();
    }
    let mut hash = String::with_capacity(8);
    for byte in Sha256::digest(text.as_bytes()).iter().take(4) {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    let kept: String = text
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .take(54)
        .collect();
    let kept = kept.trim_matches(|c: char| !edge(c));
    if kept.is_empty() {
        format!("x-{hash}")
    } else {
        format!("{kept}-{hash}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_leaves_room_for_the_pod_is_accepted() {
        assert!(ServerName::parse("my-dev-server").is_ok());
        assert!(ServerName::parse(&"a".repeat(52)).is_ok());
    }

    #[test]
    fn a_name_kubernetes_would_refuse_later_is_refused_now() {
        for word in [
            "",
            "-a",
            "a-",
            "1a",
            "A",
            "a.b",
            "a_b",
            "ä",
            &"a".repeat(53),
        ] {
            assert!(ServerName::parse(word).is_err(), "{word:?}");
        }
    }

    #[test]
    fn an_address_becomes_a_label_and_stays_distinct() {
        assert_eq!(label_safe("alice"), "alice");
        let at = label_safe("user@example.com");
        let underscore = label_safe("user_example.com");
        assert!(at.starts_with("user_example.com-"), "{at}");
        assert_ne!(at, underscore);
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_valid_label_value(text in ".{0,300}") {
            let label = label_safe(&text);
            prop_assert!(!label.is_empty() && label.len() <= 63);
            prop_assert!(label.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(label.ends_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        }
    }
}
