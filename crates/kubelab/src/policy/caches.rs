//! What the API server has, kept up to date by watches.

use std::{collections::BTreeMap, fmt::Debug, net::Ipv4Addr, sync::Arc};

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, task::JoinSet};

use super::cluster::Cluster;

/// Pods, namespaces and policies of the whole cluster.
pub struct Caches {
    pods: Store<Pod>,
    namespaces: Store<Namespace>,
    policies: Store<NetworkPolicy>,
}

impl Caches {
    /// Begins to watch. `changed` is told of every change, and of a list made anew after a break, as changes may have
    /// been missed in it. The tasks never end.
    pub fn watch(client: &Client, changed: &Arc<Notify>, tasks: &mut JoinSet<()>) -> Self {
        Self {
            pods: watch(client, "pods", changed, tasks),
            namespaces: watch(client, "namespaces", changed, tasks),
            policies: watch(client, "networkpolicies", changed, tasks),
        }
    }

    /// Waits for the first complete list of each: rules made from less would be wrong.
    pub async fn ready(&self) -> Result<()> {
        let gone = "a watch ended";
        self.pods.wait_until_ready().await.context(gone)?;
        self.namespaces.wait_until_ready().await.context(gone)?;
        self.policies.wait_until_ready().await.context(gone)
    }

    /// Everything as it is now.
    pub fn cluster(&self, announced: &BTreeMap<String, Ipv4Addr>) -> Cluster {
        Cluster {
            pods: self.pods.state(),
            namespaces: self.namespaces.state(),
            policies: self.policies.state(),
            announced: announced.clone(),
        }
    }
}

fn watch<K>(
    client: &Client,
    what: &'static str,
    changed: &Arc<Notify>,
    tasks: &mut JoinSet<()>,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        // Nothing here reads them, and they are the larger part of a small object.
        .modify(|object| object.meta_mut().managed_fields = None)
        .reflect(writer);
    let changed = changed.clone();
    tasks.spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => changed.notify_one(),
                Ok(Event::Init | Event::InitApply(_)) => {}
                Err(error) => {
                    tracing::warn!(
                        what,
                        error = format!("{error:#}"),
                        "watch failed, tries again"
                    );
                }
            }
        }
    });
    reader
}
