//! Secrets that were found right a moment ago.
//!
//! The operator may not list Secrets, so it cannot watch them and reads those of a DevServer at each look. A start makes a dozen looks
//! within a second. What was found is believed meanwhile, and a look that believed is followed by one that does not.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the Secrets of a DevServer are believed to be as they were found.
pub const FOR: Duration = Duration::from_secs(2);

/// Namespace and name of a DevServer.
type Key = (String, String);

/// What was found, for each DevServer.
#[derive(Default)]
pub struct Believed {
    found: Mutex<HashMap<Key, Found>>,
}

struct Found {
    secrets: Vec<String>,
    host_keys: Vec<String>,
    at: Instant,
}

impl Believed {
    /// Remembers that the Secrets are as wanted, by their hashes, and the public host keys in them.
    pub fn remember(
        &self,
        namespace: &str,
        name: &str,
        secrets: Vec<String>,
        host_keys: &[String],
    ) {
        let found = Found {
            secrets,
            host_keys: host_keys.to_vec(),
            at: Instant::now(),
        };
        self.keep(key(namespace, name), found);
    }

    /// The public host keys, if these very Secrets were found a moment ago.
    pub fn recall(&self, namespace: &str, name: &str, secrets: &[String]) -> Option<Vec<String>> {
        self.recall_at(namespace, name, secrets, Instant::now())
    }

    fn keep(&self, key: Key, new: Found) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|_, old| is_fresh(old.at, new.at));
        found.insert(key, new);
    }

    fn recall_at(
        &self,
        namespace: &str,
        name: &str,
        secrets: &[String],
        now: Instant,
    ) -> Option<Vec<String>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.get(&key(namespace, name))?;
        let counts = is_fresh(found.at, now) && found.secrets == secrets;
        counts.then(|| found.host_keys.clone())
    }
}

fn is_fresh(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < FOR
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(secrets: &str, at: Instant) -> Found {
        Found {
            secrets: vec![secrets.to_owned()],
            host_keys: vec!["ssh-ed25519 A".to_owned()],
            at,
        }
    }

    #[test]
    fn only_the_same_secrets_are_believed_and_only_for_a_moment() {
        let (believed, now) = (Believed::default(), Instant::now());
        believed.keep(key("a", "box"), found("1", now));
        let recall = |namespace: &str, uid: &str, later: Duration| {
            let secrets = [uid.to_owned()];
            believed
                .recall_at(namespace, "box", &secrets, now + later)
                .is_some()
        };
        assert!(recall("a", "1", Duration::ZERO));
        assert!(!recall("a", "2", Duration::ZERO));
        assert!(!recall("b", "1", Duration::ZERO));
        assert!(!recall("a", "1", FOR));
    }

    #[test]
    fn what_is_old_is_not_kept() {
        let (believed, now) = (Believed::default(), Instant::now());
        believed.keep(key("a", "box"), found("1", now));
        believed.keep(key("a", "other"), found("2", now + FOR));
        assert_eq!(believed.found.lock().unwrap().len(), 1);
    }
}
