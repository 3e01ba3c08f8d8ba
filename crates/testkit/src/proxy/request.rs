//! What a request asks of the API server, read from its method and address.

use http::{Method, Uri};
use serde::Serialize;

/// The API server's own words for what a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read one object, or something that is no object (`/version`).
    Get,
    /// Read many.
    List,
    /// Read many and stay.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH, which includes server-side apply.
    Patch,
    /// DELETE of one.
    Delete,
    /// DELETE of many.
    DeleteCollection,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// What is done.
    pub verb: Verb,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource in the plural (`statefulsets`); empty when the address names no resource.
    pub plural: String,
    /// Namespace, when the address has one.
    pub namespace: Option<String>,
    /// Object; absent for lists and for creates, where only the body knows it.
    pub name: Option<String>,
    /// `status`, `scale`, …
    pub subresource: Option<String>,
    /// `fieldManager` of the query.
    pub field_manager: Option<String>,
    /// `dryRun` of the query is set.
    pub dry_run: bool,
    /// `resourceVersion` of the query; `0` on a list would allow the server to answer from the past.
    pub resource_version: Option<String>,
}

impl Asked {
    /// Reads method and address.
    pub fn read(method: &Method, uri: &Uri) -> Self {
        let query = Query(uri.query().unwrap_or_default());
        let words: Vec<&str> = uri.path().split('/').filter(|w| !w.is_empty()).collect();
        let (group, rest) = match words.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", [].as_slice()),
        };
        let (namespace, rest) = match rest {
            // `namespaces/x` alone is the Namespace itself; with more behind it, the place of something else.
            ["namespaces", namespace, rest @ ..]
                if !matches!(rest, [] | ["status" | "finalize"]) =>
            {
                (Some(*namespace), rest)
            }
            _ => (None, rest),
        };
        let mut rest = rest.iter();
        let mut word = || rest.next().map(|w| (*w).to_owned());
        let (plural, name, subresource) = (word().unwrap_or_default(), word(), word());
        let watching = matches!(query.get("watch").as_deref(), Some("true" | "1"));
        Self {
            verb: verb(method, !plural.is_empty() && name.is_none(), watching),
            group: group.to_owned(),
            plural,
            namespace: namespace.map(str::to_owned),
            name,
            subresource,
            field_manager: query.get("fieldManager"),
            dry_run: query.get("dryRun").is_some(),
            resource_version: query.get("resourceVersion"),
        }
    }

    /// Whether it may change the world, counted in write budgets: leases and events are not.
    pub fn is_write(&self) -> bool {
        let changes = matches!(
            self.verb,
            Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection
        );
        changes && !self.dry_run && !matches!(self.plural.as_str(), "leases" | "events")
    }

    /// Short form for people: `patch statefulsets/box`, `patch devservers/box/status`.
    pub fn summary(&self) -> String {
        let verb = format!("{:?}", self.verb).to_lowercase();
        let parts = [
            Some(self.plural.as_str()),
            self.name.as_deref(),
            self.subresource.as_deref(),
        ];
        let path: Vec<&str> = parts.into_iter().flatten().collect();
        format!("{verb} {}", path.join("/"))
    }
}

fn verb(method: &Method, collection: bool, watching: bool) -> Verb {
    match (method, collection) {
        (&Method::POST, _) => Verb::Create,
        (&Method::PUT, _) => Verb::Update,
        (&Method::PATCH, _) => Verb::Patch,
        (&Method::DELETE, true) => Verb::DeleteCollection,
        (&Method::DELETE, false) => Verb::Delete,
        _ if watching => Verb::Watch,
        (_, true) => Verb::List,
        (_, false) => Verb::Get,
    }
}

/// A query string, as far as the tests need one.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, key: &str) -> Option<String> {
        self.0.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == key).then(|| value.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, address: &str) -> Asked {
        Asked::read(method, &address.parse().unwrap())
    }

    #[test]
    fn an_apply_names_group_kind_place_and_manager() {
        let it = asked(
            &Method::PATCH,
            "/apis/apps/v1/namespaces/team/statefulsets/box?force=true&fieldManager=devserver-operator",
        );
        assert_eq!(it.summary(), "patch statefulsets/box");
        assert_eq!(
            (it.group.as_str(), it.namespace.as_deref()),
            ("apps", Some("team"))
        );
        assert_eq!(it.field_manager.as_deref(), Some("devserver-operator"));
        assert!(it.is_write());
    }

    #[test]
    fn a_status_write_is_a_write_and_says_so() {
        let it = asked(
            &Method::PATCH,
            "/apis/devserver.io/v1/namespaces/team/devservers/box/status",
        );
        assert_eq!(it.summary(), "patch devservers/box/status");
        assert!(it.is_write());
    }

    #[test]
    fn leases_events_and_dry_runs_do_not_count_as_writes() {
        for (method, address) in [
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/n/leases/devserver-operator",
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/n/events"),
            (Method::PATCH, "/api/v1/namespaces/n/secrets/s?dryRun=All"),
        ] {
            assert!(!asked(&method, address).is_write(), "{address}");
        }
    }

    #[test]
    fn lists_watches_and_reads_are_told_apart() {
        let verb = |address| asked(&Method::GET, address).verb;
        assert_eq!(verb("/api/v1/namespaces/n/pods?limit=500"), Verb::List);
        assert_eq!(
            verb("/api/v1/namespaces/n/pods?watch=true&resourceVersion=5"),
            Verb::Watch
        );
        assert_eq!(verb("/api/v1/namespaces/n/pods/p"), Verb::Get);
        assert_eq!(verb("/apis/devserver.io/v1/devserverflavors"), Verb::List);
        assert_eq!(verb("/version"), Verb::Get);
    }

    #[test]
    fn a_namespace_itself_is_no_place() {
        let it = asked(&Method::GET, "/api/v1/namespaces/team");
        assert_eq!(
            (it.plural.as_str(), it.name.as_deref()),
            ("namespaces", Some("team"))
        );
        assert_eq!(it.namespace, None);
    }
}
