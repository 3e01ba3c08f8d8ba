//! What is seen of the cluster, shared between the watches that fill it and the look that reads it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use devserver_core::flavor::{Cluster, Node};
use k8s_openapi::api::core::v1;

use super::News;

/// What is seen of the cluster.
pub struct View {
    seen: Mutex<Seen>,
    news: News,
}

struct Seen {
    cluster: Cluster,
    /// Sources that have not said anything yet; until then nothing is told.
    pending: BTreeSet<Source>,
    /// Resource versions of the nodes in `cluster`.
    versions: HashMap<String, Option<String>>,
}

/// A watch of something besides flavors and nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Pods of the whole cluster.
    Pods,
    /// Karpenter's NodePools.
    Pools,
    /// The Cluster Autoscaler's ConfigMap.
    Autoscaler,
}

impl Source {
    /// The word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods of the cluster",
            Self::Pools => "nodepools.karpenter.sh",
            Self::Autoscaler => "the status of the cluster autoscaler",
        }
    }
}

impl View {
    /// Nothing seen yet.
    pub fn new(news: News) -> Self {
        let seen = Seen {
            cluster: Cluster::default(),
            pending: BTreeSet::from([Source::Pods, Source::Pools, Source::Autoscaler]),
            versions: HashMap::new(),
        };
        Self {
            seen: Mutex::new(seen),
            news,
        }
    }

    /// Changes what is seen; `change` says whether that is news.
    pub fn change(&self, change: impl FnOnce(&mut Cluster) -> bool) {
        if change(&mut self.lock().cluster) {
            self.news.notify_one();
        }
    }

    /// A source has told everything once, or that there is nothing to tell.
    pub fn filled(&self, source: Source) {
        if self.lock().pending.remove(&source) {
            self.news.notify_one();
        }
    }

    /// Reads what is seen, with the nodes as they are now; `None` while a source is pending.
    pub fn read<T>(&self, nodes: &[Arc<v1::Node>], read: impl FnOnce(&Cluster) -> T) -> Option<T> {
        let mut seen = self.lock();
        seen.refresh(nodes);
        seen.pending.is_empty().then(|| read(&seen.cluster))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Reads only the nodes that changed since the last time.
    fn refresh(&mut self, nodes: &[Arc<v1::Node>]) {
        let name = |node: &v1::Node| node.metadata.name.clone().unwrap_or_default();
        for node in nodes {
            let version = node.metadata.resource_version.clone();
            if self.versions.get(&name(node)) != Some(&version) {
                let (name, lean) = (name(node), Node::from(node.as_ref()));
                self.cluster.nodes.insert(name.clone(), lean);
                self.versions.insert(name, version);
            }
        }
        if self.versions.len() > nodes.len() {
            let there: BTreeSet<String> = nodes.iter().map(|node| name(node)).collect();
            self.versions.retain(|name, _| there.contains(name));
            self.cluster.nodes.retain(|name, _| there.contains(name));
        }
    }
}
