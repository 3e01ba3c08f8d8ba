//! Watches: what they have seen, and which DevServer each event wakes.

use std::{fmt::Debug, hash::Hash, sync::Arc};

use devserver_api::{DevServer, DevServerFlavor, group};
use devserver_core::Kind;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Event, Node, PersistentVolumeClaim, Pod, Service, ServiceAccount},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{metrics::Metrics, written::Written};

/// Sends a DevServer to be looked at.
pub type Queue = mpsc::Sender<ObjectRef<DevServer>>;

/// What the watches have seen.
#[derive(Clone)]
pub struct Caches {
    /// DevServers.
    pub servers: Store<DevServer>,
    /// Flavors.
    pub flavors: Store<DevServerFlavor>,
    /// Owned ServiceAccounts.
    pub accounts: Store<ServiceAccount>,
    /// Owned ConfigMaps.
    pub config_maps: Store<ConfigMap>,
    /// Owned Services.
    pub services: Store<Service>,
    /// Owned StatefulSets.
    pub workloads: Store<StatefulSet>,
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
    tasks: JoinSet<&'static str>,
}

impl Watches {
    /// Watches of one namespace, or of all.
    pub fn new(
        client: Client,
        namespace: Option<String>,
        queue: Queue,
        written: Arc<Written>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            namespace,
            queue,
            written,
            metrics,
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
        let caches = Caches {
            flavors: self.flavors(servers.clone()),
            accounts: self.owned(Kind::ServiceAccount, &ours),
            config_maps: self.owned(Kind::ConfigMap, &ours),
            services: self.owned(Kind::Service, &ours),
            workloads: self.owned(Kind::StatefulSet, &ours),
            pods: self.namespaced(&ours, "pods", |pod: &Pod| labelled(pod)),
            claims: {
                let servers = servers.clone();
                self.namespaced(&all, "claims", move |claim| users_of(claim, &servers))
            },
            failures: self.namespaced(&failures, "events", |event: &Event| {
                let regarding = &event.involved_object;
                reference(regarding.name.as_deref(), regarding.namespace.as_deref())
            }),
            nodes: {
                let api = Api::<Node>::all(self.client.clone());
                self.spawn(api, all, "nodes", |_| Vec::new())
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
        // Our own status writes come back as events; only what changes the task is looked at.
        let wake = move |server: &DevServer| {
            let reference = ObjectRef::from_obj(server);
            let same = known.get(&reference).is_some_and(|before: Arc<DevServer>| {
                before.metadata.uid == server.metadata.uid
                    && before.metadata.generation == server.metadata.generation
                    && before.metadata.deletion_timestamp == server.metadata.deletion_timestamp
            });
            if same { Vec::new() } else { vec![reference] }
        };
        self.spawn_guarded(api, writer, "devservers", wake);
        reader
    }

    fn flavors(&mut self, servers: Store<DevServer>) -> Store<DevServerFlavor> {
        let api: Api<DeserializeGuard<DevServerFlavor>> = Api::all(self.client.clone());
        let (reader, writer) = store();
        let wake = move |flavor: &DevServerFlavor| {
            let name = flavor.name_any();
            let uses = |server: &DevServer| server.spec.flavor.as_ref().is_none_or(|f| *f == name);
            servers
                .state_filter(uses)
                .iter()
                .map(|s| ObjectRef::from_obj(s.as_ref()))
                .collect()
        };
        self.spawn_guarded(api, writer, "devserverflavors", wake);
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
            let owner = meta
                .owner_references
                .iter()
                .flatten()
                .find(|o| o.kind == "DevServer");
            // By label when somebody took our owner reference away: that is a change to look at, too.
            let label = meta.labels.as_ref().and_then(|l| l.get(group::LABEL_NAME));
            let server = owner.map(|o| o.name.as_str()).or(label.map(String::as_str));
            reference(server, meta.namespace.as_deref())
        })
    }

    fn namespaced<K>(
        &mut self,
        config: &watcher::Config,
        what: &'static str,
        wake: impl Fn(&K) -> Vec<ObjectRef<DevServer>> + Send + 'static,
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
        wake: impl Fn(&K) -> Vec<ObjectRef<DevServer>> + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let (reader, writer) = store();
        let events = watcher(api, config).default_backoff();
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
        wake: impl Fn(&K) -> Vec<ObjectRef<DevServer>> + Send + 'static,
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

/// Fills a cache and wakes the DevServers that an event concerns.
async fn feed<K>(
    events: impl futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    mut writer: Writer<K>,
    what: &'static str,
    wake: impl Fn(&K) -> Vec<ObjectRef<DevServer>>,
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
        let mut woken = match &event {
            watcher::Event::Apply(o) | watcher::Event::Delete(o) => wake(o),
            watcher::Event::InitApply(o) => {
                listed.extend(wake(o));
                Vec::new()
            }
            watcher::Event::Init => Vec::new(),
            watcher::Event::InitDone => std::mem::take(&mut listed),
        };
        if matches!(event, watcher::Event::Delete(_)) && what == "devservers" {
            // Nothing is left to look at; what it owned is collected.
            woken.clear();
        }
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
        self.accounts.wait_until_ready().await?;
        self.config_maps.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.workloads.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.claims.wait_until_ready().await?;
        self.failures.wait_until_ready().await?;
        self.nodes.wait_until_ready().await?;
        Ok(())
    }
}

fn labelled<K: Resource>(object: &K) -> Vec<ObjectRef<DevServer>> {
    let meta = object.meta();
    let name = meta.labels.as_ref().and_then(|l| l.get(group::LABEL_NAME));
    reference(name.map(String::as_str), meta.namespace.as_deref())
}

/// A home concerns the DevServer in its label; any other claim those that name it as shared.
fn users_of(
    claim: &PersistentVolumeClaim,
    servers: &Store<DevServer>,
) -> Vec<ObjectRef<DevServer>> {
    let home = labelled(claim);
    if !home.is_empty() {
        return home;
    }
    let uses = |server: &DevServer| {
        server.spec.shared_volume_claim_name == claim.metadata.name
            && server.metadata.namespace == claim.metadata.namespace
    };
    servers
        .state_filter(uses)
        .iter()
        .map(|s| ObjectRef::from_obj(s.as_ref()))
        .collect()
}

fn reference(name: Option<&str>, namespace: Option<&str>) -> Vec<ObjectRef<DevServer>> {
    match (name, namespace) {
        (Some(name), Some(namespace)) => vec![ObjectRef::new(name).within(namespace)],
        _ => Vec::new(),
    }
}
