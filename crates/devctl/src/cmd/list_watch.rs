//! `devctl list --watch`: each change as it happens. Watches, never polls.

use std::collections::HashMap;

use devserver_api::DevServer;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};

use super::{create::object_name, list};
use crate::{
    args::List,
    exit::Exit,
    failure::Outcome,
    output::{self, Format},
    rows::Rows,
    watching,
};

/// What stands in place of the phase of one that is gone.
const DELETED: &str = "Deleted";

/// Prints those that are there, and then each change until interrupted.
pub async fn run(args: &List, api: Api<DevServer>, servers: &[DevServer]) -> Outcome<Exit> {
    let mut printer = Printer::new(args.output.output, args.all_namespaces);
    let mut known = Known::default();
    for server in servers {
        known.put(server);
        printer.print(server, false)?;
    }
    let mut changes = watcher::watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            _ = &mut interrupted => return Ok(Exit::Ok),
        };
        match change {
            Some(Ok(event)) => {
                for (server, is_gone) in known.news(event) {
                    printer.print(&server, is_gone)?;
                }
            }
            Some(Err(error)) => watching::refused("failed to watch DevServers", &error)?,
            None => return Err(watching::ended("DevServers")),
        }
    }
}

type Key = (Option<String>, String);

/// What was printed, so that nothing is printed twice and nothing is missed when the watch begins anew.
#[derive(Default)]
struct Known {
    shown: HashMap<Key, DevServer>,
    /// Those that a watch that began anew has not named yet.
    missing: HashMap<Key, DevServer>,
}

fn key(server: &DevServer) -> Key {
    (server.namespace(), server.name_any())
}

impl Known {
    /// `true` when it is another one than was shown.
    fn put(&mut self, server: &DevServer) -> bool {
        let before = self.shown.insert(key(server), server.clone());
        before.is_none_or(|before| {
            before.metadata.resource_version != server.metadata.resource_version
        })
    }

    /// What is to be printed, and whether it is gone.
    fn news(&mut self, event: Event<DevServer>) -> Vec<(DevServer, bool)> {
        match event {
            Event::Init => {
                self.missing = self.shown.clone();
                Vec::new()
            }
            Event::InitApply(server) | Event::Apply(server) => {
                self.missing.remove(&key(&server));
                if self.put(&server) {
                    vec![(server, false)]
                } else {
                    Vec::new()
                }
            }
            Event::Delete(server) => {
                self.shown.remove(&key(&server));
                vec![(server, true)]
            }
            Event::InitDone => {
                let gone: Vec<DevServer> = self.missing.drain().map(|(_, server)| server).collect();
                self.shown
                    .retain(|k, _| gone.iter().all(|server| key(server) != *k));
                gone.into_iter().map(|server| (server, true)).collect()
            }
        }
    }
}

struct Printer {
    format: Format,
    has_namespace: bool,
    rows: Rows,
}

impl Printer {
    fn new(format: Format, has_namespace: bool) -> Self {
        let headings = list::headings(has_namespace, format == Format::Wide);
        Self {
            format,
            has_namespace,
            rows: Rows::new(&headings),
        }
    }

    fn print(&mut self, server: &DevServer, is_gone: bool) -> Outcome {
        match self.format {
            Format::Json | Format::Yaml => output::print(&output::document(server, self.format)?),
            Format::Name => output::say(&object_name(server)),
            Format::Table | Format::Wide => {
                let is_wide = self.format == Format::Wide;
                let mut cells = list::cells(server, self.has_namespace, is_wide, Timestamp::now());
                if is_gone && let Some(phase) = cells.get_mut(1 + usize::from(self.has_namespace)) {
                    DELETED.clone_into(phase);
                }
                output::print(&self.rows.text(vec![cells]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, version: &str) -> DevServer {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}},
            "metadata": {"name": name, "namespace": "default", "resourceVersion": version},
        }))
        .unwrap()
    }

    fn names(news: &[(DevServer, bool)]) -> Vec<(String, bool)> {
        news.iter().map(|(s, gone)| (s.name_any(), *gone)).collect()
    }

    #[test]
    fn what_was_shown_is_not_shown_again_and_what_went_meanwhile_is_told() {
        let mut known = Known::default();
        for name in ["a", "b"] {
            assert!(known.put(&server(name, "1")));
        }
        let mut news = |event| names(&known.news(event));
        assert!(news(Event::Init).is_empty());
        assert!(news(Event::InitApply(server("a", "1"))).is_empty());
        assert_eq!(
            news(Event::InitApply(server("c", "2"))),
            [("c".to_owned(), false)]
        );
        assert_eq!(news(Event::InitDone), [("b".to_owned(), true)]);
        assert_eq!(
            news(Event::Apply(server("a", "3"))),
            [("a".to_owned(), false)]
        );
        assert_eq!(
            news(Event::Delete(server("a", "4"))),
            [("a".to_owned(), true)]
        );
        assert_eq!(
            news(Event::Apply(server("a", "5"))),
            [("a".to_owned(), false)]
        );
    }
}
