//! Pods as policies see them: an address with labels and named ports, in a namespace with labels.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, LazyLock},
};

use k8s_openapi::{
    api::{
        core::v1::{Container, Namespace, Pod},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::{Selector, SelectorExt};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

static NO_LABELS: LazyLock<Labels> = LazyLock::new(Labels::new);

/// Everything the rules are made from.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// All pods.
    pub pods: Vec<Arc<Pod>>,
    /// All namespaces.
    pub namespaces: Vec<Arc<Namespace>>,
    /// All policies.
    pub policies: Vec<Arc<NetworkPolicy>>,
    /// Addresses by the pods' UIDs that the runtime has given and the API server does not show yet. They win over a
    /// pod's status, which has the address of its sandbox before when that was replaced.
    pub announced: BTreeMap<String, Ipv4Addr>,
}

/// A pod with an address of its own.
#[derive(Clone, Debug)]
pub struct Endpoint<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its ports that have a name.
    pub ports: Vec<NamedPort<'a>>,
}

/// A port of a container that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedPort<'a> {
    /// The name.
    pub name: &'a str,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'a str,
    /// Its number.
    pub number: u16,
}

/// What selectors are asked about.
#[derive(Debug)]
pub struct World<'a> {
    /// All pods with an address of their own, in the order of namespace and name. No two have the same address.
    pub endpoints: Vec<Endpoint<'a>>,
    namespaces: BTreeMap<&'a str, &'a Labels>,
}

impl<'a> World<'a> {
    /// Looks through the objects.
    pub fn of(cluster: &'a Cluster) -> Self {
        let labels = |namespace: &'a Arc<Namespace>| {
            let name = namespace.metadata.name.as_deref()?;
            Some((
                name,
                namespace.metadata.labels.as_ref().unwrap_or(&NO_LABELS),
            ))
        };
        Self {
            endpoints: endpoints(cluster),
            namespaces: cluster.namespaces.iter().filter_map(labels).collect(),
        }
    }

    /// The names of the namespaces that a selector selects. One that cannot be read selects none; the API server
    /// lets none such in.
    pub fn namespaces(&self, wanted: &LabelSelector) -> BTreeSet<&'a str> {
        let selector = selector(Some(wanted));
        self.namespaces
            .iter()
            .filter(|(_, labels)| selector.as_ref().is_some_and(|it| it.matches(labels)))
            .map(|(name, _)| *name)
            .collect()
    }
}

/// A selector to ask; none given selects everything, and one that cannot be read gives nothing.
pub fn selector(wanted: Option<&LabelSelector>) -> Option<Selector> {
    match wanted {
        None => Some(Selector::default()),
        Some(wanted) => Selector::try_from(wanted.clone()).ok(),
    }
}

fn endpoints(cluster: &Cluster) -> Vec<Endpoint<'_>> {
    // The address of a pod whose containers have ended can be another's already.
    let mut owners: BTreeMap<Ipv4Addr, &Pod> = BTreeMap::new();
    for pod in &cluster.pods {
        if let Some(address) = address(pod, &cluster.announced) {
            let owner = owners.entry(address).or_insert(pod);
            if age(pod) > age(owner) {
                *owner = pod;
            }
        }
    }
    let mut all: Vec<Endpoint<'_>> = owners
        .into_iter()
        .map(|(address, pod)| endpoint(address, pod))
        .collect();
    all.sort_by_key(|endpoint| (endpoint.namespace, endpoint.name, endpoint.address));
    all
}

/// Greater for a pod that is not being deleted, and among equals for the younger.
fn age(pod: &Pod) -> impl Ord + '_ {
    let meta = &pod.metadata;
    (
        meta.deletion_timestamp.is_none(),
        meta.creation_timestamp.as_ref().map(|time| time.0),
        meta.uid.as_deref(),
    )
}

/// The pod's own address. Pods in the node's network have none: their traffic is the node's. Those that have ended
/// have none either.
fn address(pod: &Pod, announced: &BTreeMap<String, Ipv4Addr>) -> Option<Ipv4Addr> {
    let in_the_nodes_network = pod.spec.as_ref().and_then(|spec| spec.host_network);
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if in_the_nodes_network == Some(true) || matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let announced = pod.metadata.uid.as_ref().and_then(|uid| announced.get(uid));
    announced.copied().or_else(|| reported(pod))
}

/// The address in the pod's status.
pub fn reported(pod: &Pod) -> Option<Ipv4Addr> {
    let status = pod.status.as_ref()?;
    let several = status.pod_ips.iter().flatten().map(|entry| &entry.ip);
    several
        .chain(status.pod_ip.as_ref())
        .find_map(|address| address.parse().ok())
}

fn endpoint(address: Ipv4Addr, pod: &Pod) -> Endpoint<'_> {
    let spec = pod.spec.as_ref();
    // An init container that goes on running is a sidecar and serves like any other.
    let sidecars = spec
        .and_then(|spec| spec.init_containers.as_ref())
        .into_iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let mut ports: Vec<NamedPort<'_>> = Vec::new();
    let containers = spec.map(|spec| &spec.containers).into_iter().flatten();
    for port in containers.chain(sidecars).flat_map(named_ports) {
        // Of several ports with one name the first counts, as for Services.
        let known =
            |other: &NamedPort<'_>| (other.name, other.protocol) == (port.name, port.protocol);
        if !ports.iter().any(known) {
            ports.push(port);
        }
    }
    Endpoint {
        namespace: pod.metadata.namespace.as_deref().unwrap_or_default(),
        name: pod.metadata.name.as_deref().unwrap_or_default(),
        labels: pod.metadata.labels.as_ref().unwrap_or(&NO_LABELS),
        address,
        ports,
    }
}

fn named_ports(container: &Container) -> impl Iterator<Item = NamedPort<'_>> {
    container.ports.iter().flatten().filter_map(|port| {
        Some(NamedPort {
            name: port.name.as_deref()?,
            protocol: port.protocol.as_deref().unwrap_or("TCP"),
            number: u16::try_from(port.container_port).ok()?,
        })
    })
}
