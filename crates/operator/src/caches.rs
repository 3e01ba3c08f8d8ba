//! Watches: what they have seen, and which DevServer each event wakes.

mod wake;

use std::{fmt::Debug, hash::Hash, sync::Arc};

use devserver_api::{DevServer, DevServerFlavor, DevServerUser, group};
use devserver_core::Kind;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Event, Node, PersistentVolumeClaim, Pod, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet};

use self::wake::Woken;
use crate::{flavor::News, metrics::Metrics, written::Written};

/// Sends a DevServer to be looked at.
pub type Queue = mpsc::Sender<ObjectRef<DevServer>>;

/// What the watches have seen.
#[derive(Clone)]
pub struct Caches {
    /// DevServers.
    pub servers: Store<DevServer>,
    /// Flavors.
    pub flavors: Store<DevServerFlavor>,
    /// Users.
    pub users: Store<DevServerUser>,
    /// Owned ServiceAccounts.
    pub accounts: Store<ServiceAccount>,
    /// Owned ConfigMaps.
    pub config_maps: Store<ConfigMap>,
    /// Owned Services.
    pub services: Store<Service>,
    /// Owned StatefulSets.
    pub workloads: Store<StatefulSet>,
    /// Owned NetworkPolicies.
    pub network_policies: Store<NetworkPolicy>,
    /// Owned PodDisruptionBudgets.
    pub disruption_budgets: Store<PodDisruptionBudget>,
    /// RoleBindings that carry our labels.
    pub role_bindings: Store<RoleBinding>,
    /// Pods of owned StatefulSets.
    pub pods: Store<Pod>,
    /// All claims: homes carry our labels, shared ones need not.
    pub claims: Store<PersistentVolumeClaim>,
    /// Pods that a StatefulSet failed to create.
    pub failures: Store<Event>,
    /// Nodes.
    pub nodes: Store<Node>,
}

/// Starts the watches and waits until each has seen everything once.
pub struct Watches {
    client: Client,
    namespace: Option<String>,
    queue: Queue,
    written: Arc<Written>,
    metrics: Arc<Metrics>,
    news: News,
    tasks: JoinSet<&'static str>,
}

impl Watches {
    /// Watches of one namespace, or of all; `news` is told of changes of flavors and nodes.
    pub fn new(
        client: Client,
        namespace: Option<String>,
        queue: Queue,
        written: Arc<Written>,
        metrics: Arc<Metrics>,
        news: News,
    ) -> Self {
        Self {
            client,
            namespace,
            queue,
            written,
            metrics,
            news,
            tasks: JoinSet::new(),
        }
    }

    /// The caches, filled, and the tasks that keep them so; none of the tasks ever ends by itself.
    pub async fn start(mut self) -> anyhow::Result<(Caches, JoinSet<&'static str>)> {
        let ours = watcher::Config::default().labels(&format!(
            "{}={}",
            group::LABEL_MANAGED_BY,
            group::FIELD_MANAGER
        ));
        let all = watcher::Config::default();
        let failures = watcher::Config::default()
            .fields("involvedObject.kind=StatefulSet,reason=FailedCreate");
        let servers = self.servers();
        let flavors = self.flavors(servers.clone());
        let caches = Caches {
            flavors: flavors.clone(),
            users: self.users(servers.clone()),
            accounts: self.owned(Kind::ServiceAccount, &ours),
            config_maps: self.owned(Kind::ConfigMap, &ours),
            services: self.owned(Kind::Service, &ours),
            workloads: self.owned(Kind::StatefulSet, &ours),
            network_policies: self.owned(Kind::NetworkPolicy, &ours),
            disruption_budgets: self.owned(Kind::PodDisruptionBudget, &ours),
            role_bindings: self.owned(Kind::RoleBinding, &ours),
            pods: self.namespaced(&ours, "pods", |pod: &Pod| wake::labelled(pod)),
            claims: {
                let servers = servers.clone();
                self.namespaced(&all, "claims", move |claim| {
                    wake::users_of(claim, &servers, &flavors)
                })
            },
            failures: self.namespaced(&failures, "events", wake::regarding),
            nodes: {
                let api = Api::<Node>::all(self.client.clone());
                let news = self.news.clone();
                self.spawn(api, all, "nodes", move |_| {
                    news.notify_one();
                    Vec::new()
                })
            },
            servers,
        };
        caches.wait().await?;
        Ok((caches, self.tasks))
    }

    fn servers(&mut self) -> Store<DevServer> {
        let api: Api<DeserializeGuard<DevServer>> = self.api();
        let (reader, writer) = store();
        let known = reader.clone();
        let wake = move |server: &DevServer, is_gone: bool| wake::itself(server, is_gone, &known);
        self.spawn_guarded(api, writer, "devservers", wake);
        reader
    }

    fn flavors(&mut self, servers: Store<DevServer>) -> Store<DevServerFlavor> {
        let api: Api<DeserializeGuard<DevServerFlavor>> = Api::all(self.client.clone());
        let (reader, writer) = store();
        let known = reader.clone();
        let news = self.news.clone();
        let wake = move |flavor: &DevServerFlavor, is_gone: bool| {
            news.notify_one();
            wake::of_flavor(flavor, is_gone, &known, &servers)
        };
        self.spawn_guarded(api, writer, "devserverflavors", wake);
        reader
    }

    fn users(&mut self, servers: Store<DevServer>) -> Store<DevServerUser> {
        let api: Api<DeserializeGuard<DevServerUser>> = Api::all(self.client.clone());
        let (reader, writer) = store();
        let known = reader.clone();
        let wake = move |user: &DevServerUser, is_gone: bool| {
            wake::of_user(user, is_gone, &known, &servers)
        };
        self.spawn_guarded(api, writer, "devserverusers", wake);
        reader
    }

    fn owned<K>(&mut self, kind: Kind, config: &watcher::Config) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let written = self.written.clone();
        self.namespaced(config, kind.as_str(), move |object: &K| {
            let meta = object.meta();
            let namespace = meta.namespace.as_deref().unwrap_or_default();
            let name = meta.name.as_deref().unwrap_or_default();
            if written.is_echo(kind, namespace, name, meta.resource_version.as_deref()) {
                return Vec::new();
            }
            wake::owner(meta)
        })
    }

    fn namespaced<K>(
        &mut self,
        config: &watcher::Config,
        what: &'static str,
        wake: impl Fn(&K) -> Woken + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let api = self.api();
        self.spawn(api, config.clone(), what, wake)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn spawn<K>(
        &mut self,
        api: Api<K>,
        config: watcher::Config,
        what: &'static str,
        wake: impl Fn(&K) -> Woken + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let (reader, writer) = store();
        let events = watcher(api, config).default_backoff();
        let wake = move |object: &K, _is_gone: bool| wake(object);
        self.tasks
            .spawn(feed(events, writer, what, wake, self.queue.clone()));
        reader
    }

    /// One object that cannot be read must not end the watch of all others.
    fn spawn_guarded<K>(
        &mut self,
        api: Api<DeserializeGuard<K>>,
        writer: Writer<K>,
        what: &'static str,
        wake: impl Fn(&K, bool) -> Woken + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let metrics = self.metrics.clone();
        let readable = move |object: DeserializeGuard<K>| match object.0 {
            Ok(object) => Some(object),
            Err(invalid) => {
                metrics.unreadable();
                tracing::warn!(
                    what,
                    object = invalid.metadata.name,
                    error = invalid.error,
                    "cannot be read"
                );
                None
            }
        };
        let events = watcher(api, watcher::Config::default())
            .default_backoff()
            .filter_map(move |event| {
                let event = match event {
                    Ok(watcher::Event::Init) => Some(Ok(watcher::Event::Init)),
                    Ok(watcher::Event::InitDone) => Some(Ok(watcher::Event::InitDone)),
                    Ok(watcher::Event::InitApply(o)) => {
                        readable(o).map(|o| Ok(watcher::Event::InitApply(o)))
                    }
                    Ok(watcher::Event::Apply(o)) => {
                        readable(o).map(|o| Ok(watcher::Event::Apply(o)))
                    }
                    Ok(watcher::Event::Delete(o)) => {
                        readable(o).map(|o| Ok(watcher::Event::Delete(o)))
                    }
                    Err(error) => Some(Err(error)),
                };
                std::future::ready(event)
            });
        self.tasks
            .spawn(feed(events, writer, what, wake, self.queue.clone()));
    }
}

/// Without `managedFields`: nothing here reads them, and they are the larger part of a small object.
fn lean<K: Resource>(mut event: watcher::Event<K>) -> watcher::Event<K> {
    if let watcher::Event::Apply(o) | watcher::Event::InitApply(o) = &mut event {
        o.meta_mut().managed_fields = None;
    }
    event
}

/// Fills a cache and wakes the DevServers that an event concerns; `wake` is told whether the object is gone.
async fn feed<K>(
    events: impl futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    mut writer: Writer<K>,
    what: &'static str,
    wake: impl Fn(&K, bool) -> Woken,
    queue: Queue,
) -> &'static str
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    pin_mut!(events);
    // While a list comes in the cache still shows the state before it: who is concerned is woken at its end.
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => lean(event),
            Err(error) => {
                tracing::warn!(what, error = %error, "the watch was interrupted and goes on");
                continue;
            }
        };
        let woken = match &event {
            watcher::Event::Apply(o) => wake(o, false),
            watcher::Event::Delete(o) => wake(o, true),
            watcher::Event::InitApply(o) => {
                listed.extend(wake(o, false));
                Vec::new()
            }
            watcher::Event::Init => Vec::new(),
            watcher::Event::InitDone => std::mem::take(&mut listed),
        };
        writer.apply_watcher_event(&event);
        for reference in woken {
            if queue.send(reference).await.is_err() {
                return what;
            }
        }
    }
    what
}

impl Caches {
    async fn wait(&self) -> anyhow::Result<()> {
        self.servers.wait_until_ready().await?;
        self.flavors.wait_until_ready().await?;
        self.users.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.config_maps.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.workloads.wait_until_ready().await?;
        self.network_policies.wait_until_ready().await?;
        self.disruption_budgets.wait_until_ready().await?;
        self.role_bindings.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.claims.wait_until_ready().await?;
        self.failures.wait_until_ready().await?;
        self.nodes.wait_until_ready().await?;
        Ok(())
    }
}
