//! Whether a pod of a flavor could run on a node, and what stands in the way.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{self, Taint, Toleration};

use super::{
    amount::{Amounts, Words},
    ask::Ask,
    usage::NodeUse,
};

/// What is kept of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
    allocatable: Amounts,
    is_cordoned: bool,
    is_ready: bool,
}

/// Taint of a node that is cordoned; who tolerates it may run there all the same.
const CORDONED: &str = "node.kubernetes.io/unschedulable";
/// Taints of a node that is not Ready. A pod that tolerates them could be bound to it, but would not start.
const NOT_READY: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];

impl From<&v1::Node> for Node {
    fn from(node: &v1::Node) -> Self {
        let (spec, status) = (node.spec.as_ref(), node.status.as_ref());
        // Taints that Kubernetes sets itself say the same as the state of the node, and are told as that.
        let all = spec.and_then(|s| s.taints.clone()).unwrap_or_default();
        let is_tainted = |key: &str| all.iter().any(|taint| taint.key == key);
        let is_cordoned = spec.and_then(|s| s.unschedulable).unwrap_or(false);
        let is_away = NOT_READY.iter().any(|key| is_tainted(key));
        let is_state =
            |taint: &Taint| taint.key == CORDONED || NOT_READY.contains(&taint.key.as_str());
        let allocatable = status.and_then(|s| s.allocatable.as_ref());
        let mut conditions = status.iter().flat_map(|s| s.conditions.iter().flatten());
        Self {
            labels: node.metadata.labels.clone().unwrap_or_default(),
            is_cordoned: is_cordoned || is_tainted(CORDONED),
            allocatable: allocatable.map(Amounts::of).unwrap_or_default(),
            // One that is being removed takes nobody in either.
            is_ready: conditions.any(|c| c.type_ == "Ready" && c.status == "True")
                && node.metadata.deletion_timestamp.is_none()
                && !is_away,
            taints: all.iter().filter(|t| !is_state(t)).cloned().collect(),
        }
    }
}

/// What keeps a pod of a flavor from a node, from the farthest to the nearest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// A label of `nodeSelector` is missing.
    Label,
    /// A taint, in kubectl's form, is not tolerated.
    Taint(String),
    /// Even when empty it is too small.
    TooSmall(String),
    /// It is not Ready.
    NotReady,
    /// It is cordoned.
    Cordoned,
    /// It would do, but these resources are taken.
    Full(Vec<String>),
    /// It would do, but what is taken on it is not known.
    Unknown,
}

impl Node {
    /// What stands in the way; `None`: it has room. `used` is `None` when nobody could say what is taken.
    pub fn obstacle(&self, ask: &Ask, used: Option<&NodeUse>) -> Option<Obstacle> {
        if !self.has(&ask.node_selector) {
            return Some(Obstacle::Label);
        }
        if let Some(taint) = untolerated(&self.taints, &ask.tolerations) {
            return Some(Obstacle::Taint(taint));
        }
        if let Some(resource) = ask.requests.lacking(&self.allocatable).first() {
            let (has, asked) = (self.allocatable.get(resource), ask.requests.get(resource));
            let (has, asked) = (Words(resource, has), Words(resource, asked));
            let words = format!("has {has} {resource}, {asked} is asked for");
            return Some(Obstacle::TooSmall(words));
        }
        if !self.is_ready {
            return Some(Obstacle::NotReady);
        }
        if self.is_cordoned && untolerated(&[cordoned()], &ask.tolerations).is_some() {
            return Some(Obstacle::Cordoned);
        }
        let Some(used) = used else {
            return Some(Obstacle::Unknown);
        };
        let mut free = self.allocatable.clone();
        free.subtract(&used.requests);
        let mut lacking = ask.requests.lacking(&free);
        // Places for pods are a resource, too; one pod takes one.
        if self.allocatable.names("pods") && self.allocatable.get("pods") < (used.pods + 1) * 1000 {
            lacking.push("places for pods".to_owned());
        }
        (!lacking.is_empty()).then_some(Obstacle::Full(lacking))
    }

    /// Whether it has all these labels.
    pub fn has(&self, labels: &BTreeMap<String, String>) -> bool {
        labels
            .iter()
            .all(|(key, value)| self.labels.get(key) == Some(value))
    }

    /// Whether it has any of that resource, used or not.
    pub fn offers(&self, resource: &str) -> bool {
        self.allocatable.get(resource) > 0
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

fn cordoned() -> Taint {
    Taint {
        key: CORDONED.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

/// The first taint that keeps pods away and is not tolerated, as kubectl writes it.
pub fn untolerated(taints: &[Taint], tolerations: &[Toleration]) -> Option<String> {
    let taint = taints
        .iter()
        .filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
        .find(|taint| {
            !tolerations
                .iter()
                .any(|toleration| tolerates(toleration, taint))
        })?;
    let value = taint.value.as_deref().filter(|v| !v.is_empty());
    let value = value.map(|v| format!("={v}")).unwrap_or_default();
    Some(format!("{}{value}:{}", taint.key, taint.effect))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    if !effect.is_empty() && effect != taint.effect {
        return false;
    }
    match text(&toleration.operator).as_str() {
        "Exists" => key.is_empty() || key == taint.key,
        "" | "Equal" => key == taint.key && text(&toleration.value) == text(&taint.value),
        _ => false,
    }
}
