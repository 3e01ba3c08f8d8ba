//! From watches to the rows of a table in memory. What is known stays when a watch breaks off; a full list takes away what it does
//! not have.

use std::{
    collections::HashSet,
    fmt::Debug,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::StreamExt as _;
use kube::{
    Api, Client, Resource,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

/// Who has the table.
pub trait Rows: Send + Sync + 'static {
    /// The table.
    type Table;
    /// Changes it, and wakes whoever waits for a change.
    fn change<T>(&self, change: impl FnOnce(&mut Self::Table) -> T) -> T;
    /// Each source has told all it has: the table can be believed.
    fn filled(&self);
}

/// How one kind of object becomes rows.
pub struct Feed<K, I, T> {
    /// Where the object belongs; `None`: nowhere.
    pub id: fn(&K) -> Option<I>,
    /// An object is there, or has changed.
    pub put: fn(&mut T, I, &K),
    /// It is gone.
    pub remove: fn(&mut T, &I),
    /// All that are known.
    pub known: fn(&T) -> Vec<I>,
}

/// Sources that have not told all they have yet.
pub type Left = Arc<AtomicUsize>;

/// So many sources.
pub fn sources(count: usize) -> Left {
    Arc::new(AtomicUsize::new(count))
}

/// Objects of that namespace, or of all.
pub fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Follows one source until the process ends.
pub async fn follow<R, K, I>(
    rows: Arc<R>,
    api: Api<K>,
    config: watcher::Config,
    feed: Feed<K, I, R::Table>,
    left: Left,
) where
    R: Rows,
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
                put(&*rows, &feed, &object);
            }
            Ok(Event::InitDone) => {
                forget_others(&*rows, &feed, &listed);
                listed.clear();
                if std::mem::take(&mut first) && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    tracing::info!("the table is filled");
                    rows.filled();
                }
            }
            Ok(Event::Apply(object)) => put(&*rows, &feed, &object),
            Ok(Event::Delete(object)) => {
                if let Some(id) = (feed.id)(&object) {
                    rows.change(|table| (feed.remove)(table, &id));
                }
            }
            Err(error) => tracing::warn!(%error, "failed to watch; what is known stays"),
        }
    }
}

fn put<R: Rows, K, I>(rows: &R, feed: &Feed<K, I, R::Table>, object: &K) {
    if let Some(id) = (feed.id)(object) {
        rows.change(|table| (feed.put)(table, id, object));
    }
}

/// What a full list does not have is gone.
fn forget_others<R: Rows, K, I: Eq + Hash>(
    rows: &R,
    feed: &Feed<K, I, R::Table>,
    listed: &HashSet<I>,
) {
    rows.change(|table| {
        for id in (feed.known)(table) {
            if !listed.contains(&id) {
                (feed.remove)(table, &id);
            }
        }
    });
}
