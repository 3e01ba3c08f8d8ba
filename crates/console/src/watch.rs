//! The table's sources: DevServers, their pods, DevServerUsers. Events in, rows out; nothing is decided here.

use std::{
    collections::HashSet,
    fmt::Debug,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use devserver_api::{DevServer, DevServerUser, group};
use futures::{StreamExt, future::join3};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::{
    console::Console,
    objects,
    table::{ServerId, Table},
};

/// Sources that must have told all they have before the table can be believed.
const SOURCES: usize = 3;

/// How one kind of object becomes rows.
struct Feed<K, I> {
    /// Where the object belongs; `None`: nowhere.
    id: fn(&K) -> Option<I>,
    put: fn(&mut Table, I, &K),
    remove: fn(&mut Table, &I),
    known: fn(&Table) -> Vec<I>,
}

/// Follows all sources until the process ends. The console is ready when each has told all it has; what is known stays
/// when a source breaks off.
pub async fn follow(console: Arc<Console>, client: Client, namespace: Option<String>) {
    let filled = Arc::new(AtomicUsize::new(0));
    let labelled = watcher::Config::default().labels(group::LABEL_UID);
    let servers = feed(
        Arc::clone(&console),
        scoped::<DeserializeGuard<DevServer>>(&client, namespace.as_deref()),
        watcher::Config::default(),
        SERVERS,
        Arc::clone(&filled),
    );
    let pods = feed(
        Arc::clone(&console),
        scoped::<Pod>(&client, namespace.as_deref()),
        labelled,
        PODS,
        Arc::clone(&filled),
    );
    let people = feed(
        console,
        Api::<DeserializeGuard<DevServerUser>>::all(client),
        watcher::Config::default(),
        PEOPLE,
        filled,
    );
    join3(servers, pods, people).await;
}

const SERVERS: Feed<DeserializeGuard<DevServer>, ServerId> = Feed {
    id: |guarded| match &guarded.0 {
        Ok(server) => objects::server_id(server),
        Err(broken) => Some(ServerId {
            namespace: broken.metadata.namespace.clone()?,
            name: broken.metadata.name.clone()?,
        }),
    },
    put: |table, id, guarded| match &guarded.0 {
        Ok(server) => table.put_server(id, objects::server(server)),
        // What cannot be read opens nothing.
        Err(_) => table.remove_server(&id),
    },
    remove: Table::remove_server,
    known: Table::server_ids,
};

const PODS: Feed<Pod, ServerId> = Feed {
    id: |pod| objects::pod(pod).map(|(id, _)| id),
    put: |table, id, pod| match objects::pod(pod) {
        Some((_, row)) => table.put_pod(id, row),
        None => table.remove_pod(&id),
    },
    remove: Table::remove_pod,
    known: Table::pod_ids,
};

const PEOPLE: Feed<DeserializeGuard<DevServerUser>, String> = Feed {
    id: |guarded| match &guarded.0 {
        Ok(user) => user.metadata.name.clone(),
        Err(broken) => broken.metadata.name.clone(),
    },
    put: |table, name, guarded| match &guarded.0 {
        Ok(user) => table.put_person(name, objects::person(user)),
        Err(_) => table.remove_person(&name),
    },
    remove: |table, name| table.remove_person(name),
    known: Table::person_names,
};

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

async fn feed<K, I>(
    console: Arc<Console>,
    api: Api<K>,
    config: watcher::Config,
    feed: Feed<K, I>,
    filled: Arc<AtomicUsize>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    I: Clone + Eq + Hash,
{
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed: HashSet<I> = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.extend((feed.id)(&object));
                put(&console, &feed, &object);
            }
            Ok(Event::InitDone) => {
                forget_others(&console, &feed, &listed);
                listed.clear();
                if std::mem::take(&mut first)
                    && filled.fetch_add(1, Ordering::Relaxed) + 1 == SOURCES
                {
                    tracing::info!("the table is filled");
                    console.filled.cancel();
                }
            }
            Ok(Event::Apply(object)) => put(&console, &feed, &object),
            Ok(Event::Delete(object)) => {
                if let Some(id) = (feed.id)(&object) {
                    console.change(|table| (feed.remove)(table, &id));
                }
            }
            Err(error) => tracing::warn!(%error, "failed to watch; what is known stays"),
        }
    }
}

fn put<K, I>(console: &Console, feed: &Feed<K, I>, object: &K) {
    if let Some(id) = (feed.id)(object) {
        console.change(|table| (feed.put)(table, id, object));
    }
}

/// What a full list does not have is gone.
fn forget_others<K, I: Eq + Hash>(console: &Console, feed: &Feed<K, I>, listed: &HashSet<I>) {
    console.change(|table| {
        for id in (feed.known)(table) {
            if !listed.contains(&id) {
                (feed.remove)(table, &id);
            }
        }
    });
}
