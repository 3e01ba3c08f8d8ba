//! What is written to a namespace, object by object: each new version that the API server tells of counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_testkit::wait::{Seen, stays, until};
use futures::StreamExt as _;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject},
    runtime::watcher::{self, Event},
};
use tokio::task::JoinSet;

type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

/// Writes to everything of environments in one namespace since it was asked last.
pub struct Writes {
    counts: Counts,
    _watches: JoinSet<()>,
}

impl Writes {
    /// Begins to count.
    pub async fn new(client: &Client, namespace: &str) -> anyhow::Result<Self> {
        let kinds = [
            ApiResource::erase::<DevServer>(&()),
            ApiResource::erase::<StatefulSet>(&()),
            ApiResource::erase::<Pod>(&()),
            ApiResource::erase::<Service>(&()),
            ApiResource::erase::<Secret>(&()),
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<ServiceAccount>(&()),
            ApiResource::erase::<PersistentVolumeClaim>(&()),
            ApiResource::erase::<NetworkPolicy>(&()),
        ];
        let (counts, begun) = (Counts::default(), Arc::new(AtomicUsize::new(0)));
        let mut watches = JoinSet::new();
        for kind in &kinds {
            let api = Api::namespaced_with(client.clone(), namespace, kind);
            let (counts, begun) = (Arc::clone(&counts), Arc::clone(&begun));
            watches.spawn(count(kind.kind.clone(), api, counts, begun));
        }
        until("all watches", Duration::from_secs(30), async || {
            let number = begun.load(Ordering::SeqCst);
            Ok(Seen::when(number == kinds.len(), number))
        })
        .await?;
        Ok(Self {
            counts,
            _watches: watches,
        })
    }

    /// What was written, by kind and name; the next count begins.
    pub fn take(&self) -> BTreeMap<String, usize> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *counts)
    }

    /// Demands that nothing is written for that time.
    pub async fn none_for(&self, time: Duration) -> anyhow::Result<()> {
        self.take();
        stays("no writes at rest", time, async || {
            let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Seen::when(counts.is_empty(), format!("{counts:?}")))
        })
        .await
    }

    /// Demands that no object was written more often than that.
    pub fn at_most(&self, each: usize) -> anyhow::Result<usize> {
        let counts = self.take();
        ensure!(
            counts.values().all(|count| *count <= each),
            "more than {each} writes to one object: {counts:?}"
        );
        Ok(counts.values().sum())
    }
}

async fn count(kind: String, api: Api<DynamicObject>, counts: Counts, begun: Arc<AtomicUsize>) {
    let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitDone) => drop(begun.fetch_add(1, Ordering::SeqCst)),
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                *counts
                    .entry(format!("{kind} {}", object.name_any()))
                    .or_default() += 1;
            }
            // Another begin of the list; what was missed meanwhile is not counted.
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(why) => eprintln!("the watch of {kind} was lost: {why}"),
        }
    }
}
