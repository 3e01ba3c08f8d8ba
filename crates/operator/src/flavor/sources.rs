//! Watches of pods, of Karpenter's NodePools and of the Cluster Autoscaler's status.
//!
//! All three may be missing or forbidden; that is an answer, too, and is asked again after a while.

use std::{fmt::Debug, sync::Arc, time::Duration};

use devserver_core::flavor::{
    Autoscaler, Known, PodUse, Pool, Usage,
    autoscaler::{KEY, NAME, NAMESPACE},
};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Error, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::view::{Source, View};
use crate::{backoff::spread, objects::resource};

/// How long after a kind was not there, or not to be read, it is asked for again.
const ABSENT_RETRY: Duration = Duration::from_mins(10);

/// What a watch tells.
enum News<K> {
    Event(Event<K>),
    /// The API server does not know the kind, or does not show it to us.
    Absent(&'static str),
}

/// Keeps the sums of what pods have set aside. Of a pod nothing else is kept.
pub async fn pods(client: Client, view: Arc<View>) {
    // Pods without a node and pods that ended take no place: they are left out by the API server.
    let config = watcher::Config::default()
        .fields("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");
    let mut listed = Usage::default();
    let uid = |pod: &Pod| pod.metadata.uid.clone().unwrap_or_default();
    follow(Api::<Pod>::all(client), config, Source::Pods, |news| {
        let (pod, state) = match news {
            News::Event(Event::Init) => {
                listed = Usage::default();
                return;
            }
            News::Event(Event::InitApply(pod)) => {
                listed.apply(&uid(&pod), PodUse::of(&pod));
                return;
            }
            News::Event(Event::InitDone) => {
                let usage = Known::Yes(std::mem::take(&mut listed));
                view.change(|cluster| {
                    cluster.usage = usage;
                    true
                });
                return view.filled(Source::Pods);
            }
            News::Absent(why) => {
                view.change(|cluster| {
                    cluster.usage =
                        Known::No(format!("the operator {why} the pods of all namespaces"));
                    true
                });
                return view.filled(Source::Pods);
            }
            News::Event(Event::Apply(pod)) => {
                let state = PodUse::of(&pod);
                (pod, state)
            }
            News::Event(Event::Delete(pod)) => (pod, None),
        };
        view.change(|cluster| match &mut cluster.usage {
            Known::Yes(usage) => usage.apply(&uid(&pod), state),
            Known::No(_) => false,
        });
    })
    .await;
}

/// Keeps the NodePools, where Karpenter is installed.
pub async fn pools(client: Client, view: Arc<View>) {
    let kind = resource("karpenter.sh", "nodepools", "NodePool");
    let api = Api::<DynamicObject>::all_with(client, &kind);
    let mut listed = std::collections::BTreeMap::new();
    let read = |pool: &DynamicObject| {
        let is_being_removed = pool.metadata.deletion_timestamp.is_some();
        Pool::read(&pool.name_any(), is_being_removed, &pool.data)
    };
    follow(api, watcher::Config::default(), Source::Pools, |news| {
        let whole = match news {
            News::Event(Event::Init) => {
                listed.clear();
                return;
            }
            News::Event(Event::InitApply(pool)) => {
                listed.insert(pool.name_any(), read(&pool));
                return;
            }
            News::Event(Event::Apply(pool)) => {
                let (name, read) = (pool.name_any(), read(&pool));
                return view.change(|cluster| {
                    let is_news = cluster.pools.get(&name) != Some(&read);
                    cluster.pools.insert(name, read);
                    is_news
                });
            }
            News::Event(Event::Delete(pool)) => {
                return view.change(|cluster| cluster.pools.remove(&pool.name_any()).is_some());
            }
            News::Event(Event::InitDone) => std::mem::take(&mut listed),
            News::Absent(_) => std::collections::BTreeMap::new(),
        };
        view.change(|cluster| {
            let is_news = cluster.pools != whole;
            cluster.pools = whole;
            is_news
        });
        view.filled(Source::Pools);
    })
    .await;
}

/// Keeps what the Cluster Autoscaler says, where there is one.
pub async fn autoscaler(client: Client, view: Arc<View>) {
    let api = Api::<ConfigMap>::namespaced(client, NAMESPACE);
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut listed = None;
    let read = |map: &ConfigMap| {
        let text = map.data.as_ref().and_then(|data| data.get(KEY));
        Some(Autoscaler::read(text.map_or("", String::as_str)))
    };
    follow(api, config, Source::Autoscaler, |news| {
        let now = match news {
            News::Event(Event::Init) => {
                listed = None;
                return;
            }
            News::Event(Event::InitApply(map)) => {
                listed = read(&map);
                return;
            }
            News::Event(Event::Apply(map)) => read(&map),
            News::Event(Event::InitDone) => listed.take(),
            News::Event(Event::Delete(_)) | News::Absent(_) => None,
        };
        view.change(|cluster| {
            let before = std::mem::replace(&mut cluster.autoscaler, now);
            match (&before, &cluster.autoscaler) {
                // It writes the time every 10 s; that alone is no news.
                (Some(before), Some(now)) => !before.is_same(now),
                (before, now) => before.is_some() != now.is_some(),
            }
        });
        view.filled(Source::Autoscaler);
    })
    .await;
}

/// Follows a kind for ever, through interruptions and absence.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    source: Source,
    mut take: impl FnMut(News<K>),
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    loop {
        let events = watcher(api.clone(), config.clone()).default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => take(News::Event(event)),
                Err(error) => {
                    if let Some(why) = absence(&error) {
                        tracing::info!(what = source.as_str(), why, "is left out");
                        take(News::Absent(why));
                        break;
                    }
                    tracing::warn!(what = source.as_str(), error = %error, "the watch was interrupted and goes on");
                }
            }
        }
        tokio::time::sleep(spread(ABSENT_RETRY)).await;
    }
}

/// Why there is nothing to follow; `None` for an interruption.
fn absence(error: &Error) -> Option<&'static str> {
    let (Error::InitialListFailed(source) | Error::WatchStartFailed(source)) = error else {
        return None;
    };
    match source {
        kube::Error::Api(status) if status.code == 403 => Some("may not list"),
        kube::Error::Api(status) if status.code == 404 => Some("cannot list"),
        _ => None,
    }
}
