//! What the pods of the cluster have set aside on each node, kept up to date pod by pod.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements,
};

use super::amount::Amounts;

/// What one pod has set aside, and where. All that is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUse {
    /// Node it runs on.
    pub node: String,
    /// What is set aside for it.
    pub requests: Amounts,
}

impl PodUse {
    /// `None` for a pod that takes no place: not bound to a node yet, or ended.
    pub fn of(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let node = spec.node_name.clone().filter(|n| !n.is_empty())?;
        let status = pod.status.as_ref();
        let phase = status.and_then(|s| s.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            return None;
        }
        Some(Self {
            node,
            requests: requests(spec, status),
        })
    }
}

/// What is set aside on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeUse {
    /// Sum over its pods.
    pub requests: Amounts,
    /// Number of its pods.
    pub pods: i128,
}

/// What is set aside on all nodes. Every change costs as much as one pod, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    pods: HashMap<String, PodUse>,
    nodes: BTreeMap<String, NodeUse>,
}

impl Usage {
    /// Takes note of a pod as it is now, known by its UID; whether a sum changed.
    pub fn apply(&mut self, uid: &str, pod: Option<PodUse>) -> bool {
        if self.pods.get(uid) == pod.as_ref() {
            return false;
        }
        if let Some(before) = self.pods.remove(uid) {
            self.take_away(&before);
        }
        if let Some(pod) = pod {
            let node = self.nodes.entry(pod.node.clone()).or_default();
            node.requests.add(&pod.requests);
            node.pods += 1;
            self.pods.insert(uid.to_owned(), pod);
        }
        true
    }

    /// What is set aside on a node.
    pub fn on(&self, node: &str) -> Option<&NodeUse> {
        self.nodes.get(node)
    }

    /// Number of pods that take a place.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    fn take_away(&mut self, pod: &PodUse) {
        let Some(node) = self.nodes.get_mut(&pod.node) else {
            return;
        };
        node.requests.subtract(&pod.requests);
        node.pods -= 1;
        if node.pods == 0 {
            self.nodes.remove(&pod.node);
        }
    }
}

/// What the scheduler sets aside for a pod: the larger of what runs and of what starts (KEP-753), and the overhead.
///
/// Init containers run one after the other, but one that restarts (a sidecar) goes on running beside all that follow.
pub fn requests(spec: &PodSpec, status: Option<&PodStatus>) -> Amounts {
    let running = |statuses: Option<&Vec<ContainerStatus>>| -> HashMap<String, Amounts> {
        let all = statuses.into_iter().flatten();
        all.map(|s| (s.name.clone(), held(s))).collect()
    };
    let main = running(status.and_then(|s| s.container_statuses.as_ref()));
    let init = running(status.and_then(|s| s.init_container_statuses.as_ref()));
    let mut sum = Amounts::default();
    for container in &spec.containers {
        sum.add(&of_container(container, &main));
    }
    let (mut sidecars, mut start) = (Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container, &init);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&own);
            start.raise_to(&sidecars);
        } else {
            let mut at_once = sidecars.clone();
            at_once.add(&own);
            start.raise_to(&at_once);
        }
    }
    sum.add(&sidecars);
    sum.raise_to(&start);
    // Resources of the pod as a whole count in place of its containers' (KEP-2837).
    if let Some(of_pod) = &spec.resources {
        for (name, amount) in declared(of_pod).iter() {
            sum.set(name, amount);
        }
    }
    if let Some(overhead) = &spec.overhead {
        sum.add(&Amounts::of(overhead));
    }
    sum
}

fn of_container(container: &Container, held: &HashMap<String, Amounts>) -> Amounts {
    let mut amounts = container
        .resources
        .as_ref()
        .map(declared)
        .unwrap_or_default();
    // While a resize (KEP-1287) is under way, what is still held counts too.
    if let Some(held) = held.get(&container.name) {
        amounts.raise_to(held);
    }
    amounts
}

/// Requests; where there is a limit alone, the API server makes it the request.
fn declared(resources: &ResourceRequirements) -> Amounts {
    let mut amounts = resources
        .requests
        .as_ref()
        .map(Amounts::of)
        .unwrap_or_default();
    if let Some(limits) = &resources.limits {
        amounts.fill_from(&Amounts::of(limits));
    }
    amounts
}

fn held(status: &ContainerStatus) -> Amounts {
    let mut amounts = status
        .allocated_resources
        .as_ref()
        .map(Amounts::of)
        .unwrap_or_default();
    if let Some(actual) = status.resources.as_ref().and_then(|r| r.requests.as_ref()) {
        amounts.raise_to(&Amounts::of(actual));
    }
    amounts
}
