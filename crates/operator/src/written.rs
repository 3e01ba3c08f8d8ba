//! What was written a moment ago. A cache learns of it only when its watch does; deciding from the cache alone would
//! write everything twice (KEP-5647 gives Kubernetes' own controllers the same).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use devserver_core::Kind;
use serde_json::Value;

/// A watch that is further behind than this is not waited for: better to write again than to believe in what is gone.
const BELIEVED_FOR: Duration = Duration::from_secs(10);

type Key = (Kind, String, String);

/// Objects as the API server returned them from our writes.
#[derive(Default)]
pub struct Written {
    objects: Mutex<HashMap<Key, (Value, Instant)>>,
}

impl Written {
    /// Remembers an answer to a write.
    pub fn remember(&self, kind: Kind, namespace: &str, name: &str, object: Value) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.retain(|_, (_, at)| at.elapsed() < BELIEVED_FOR);
        objects.insert(key(kind, namespace, name), (object, Instant::now()));
    }

    /// Forgets an object that was deleted or seen by its watch.
    pub fn forget(&self, kind: Kind, namespace: &str, name: &str) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.remove(&key(kind, namespace, name));
    }

    /// What is newer: what was written, or what was seen.
    pub fn newest(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        seen: Option<Value>,
    ) -> Option<Value> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let written = objects
            .get(&key(kind, namespace, name))
            .filter(|(_, at)| at.elapsed() < BELIEVED_FOR);
        match (written, seen) {
            (Some((written, _)), Some(seen)) if version(written) > version(&seen) => {
                Some(written.clone())
            }
            (Some((written, _)), None) => Some(written.clone()),
            (_, seen) => seen,
        }
    }

    /// Whether a watch event only echoes our own write, so that nothing has to be looked at.
    ///
    /// What was written still counts: the event is not in the cache yet, and a look that saw neither would find the state
    /// of before, with no other event to correct it. Something newer, or the end of the object, wakes anyway.
    pub fn is_echo(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        resource_version: Option<&str>,
    ) -> bool {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(kind, namespace, name);
        let Some((written, _)) = objects.get(&key) else {
            return false;
        };
        let ours = version(written);
        let theirs = resource_version.and_then(|v| v.parse::<u64>().ok());
        if theirs > ours {
            objects.remove(&key);
        }
        theirs == ours
    }
}

fn key(kind: Kind, namespace: &str, name: &str) -> Key {
    (kind, namespace.to_owned(), name.to_owned())
}

/// Resource versions can be compared since Kubernetes 1.35 (KEP-5504).
fn version(object: &Value) -> Option<u64> {
    object
        .pointer("/metadata/resourceVersion")?
        .as_str()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(version: &str) -> Value {
        json!({"metadata": {"resourceVersion": version}})
    }

    #[test]
    fn a_write_counts_until_the_watch_has_seen_it() {
        let written = Written::default();
        written.remember(Kind::Service, "ns", "a", object("10"));
        assert_eq!(
            written.newest(Kind::Service, "ns", "a", None),
            Some(object("10"))
        );
        assert_eq!(
            written.newest(Kind::Service, "ns", "a", Some(object("9"))),
            Some(object("10"))
        );
        assert_eq!(
            written.newest(Kind::Service, "ns", "a", Some(object("11"))),
            Some(object("11"))
        );
    }

    #[test]
    fn between_the_event_and_the_cache_a_write_still_counts() {
        let written = Written::default();
        written.remember(Kind::Service, "ns", "a", object("10"));
        assert!(written.is_echo(Kind::Service, "ns", "a", Some("10")));
        let before = Some(object("9"));
        assert_eq!(
            written.newest(Kind::Service, "ns", "a", before),
            Some(object("10"))
        );
    }

    #[test]
    fn the_end_of_an_object_ends_what_was_written() {
        let written = Written::default();
        written.remember(Kind::Service, "ns", "a", object("10"));
        assert!(written.is_echo(Kind::Service, "ns", "a", Some("10")));
        assert!(!written.is_echo(Kind::Service, "ns", "a", Some("11")));
        assert_eq!(written.newest(Kind::Service, "ns", "a", None), None);
    }

    #[test]
    fn somebody_elses_later_write_is_no_echo() {
        let written = Written::default();
        written.remember(Kind::Service, "ns", "a", object("10"));
        assert!(!written.is_echo(Kind::Service, "ns", "a", Some("12")));
        assert!(!written.is_echo(Kind::Service, "ns", "b", Some("10")));
    }
}
