//! Whether Karpenter (`karpenter.sh/v1`, NodePool) would bring a node for a pod of a flavor.
//!
//! Karpenter chooses among machine types that only the cloud knows. What a NodePool does not say is not guessed: an answer
//! that rests on it is "not known".

use std::collections::BTreeMap;

use devserver_api::group;
use k8s_openapi::{api::core::v1::Taint, apimachinery::pkg::api::resource::Quantity};
use serde::Deserialize;

use super::{amount::Amounts, ask::Ask, node};
use crate::environment::WorkloadClass;

/// Label of all nodes of a NodePool; the value is its name.
pub const LABEL_POOL: &str = "karpenter.sh/nodepool";
/// What every machine has.
const ORDINARY: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pods"];
/// Labels that nodes get from the cloud; a NodePool need not name them (Karpenter's well-known labels, and its providers').
const WELL_KNOWN: [&str; 5] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
];

/// What is kept of a NodePool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    name: String,
    labels: BTreeMap<String, String>,
    requirements: Vec<Requirement>,
    taints: Vec<Taint>,
    limits: Amounts,
    in_use: Amounts,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ready,
    NotReady,
    Removed,
    Unreadable,
    /// A fixed number of nodes (`spec.replicas`): it does not follow the demand.
    Static,
}

/// One requirement on the labels of a pool's nodes; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`, `Gte` or `Lte`.
    pub operator: String,
    /// All of them count.
    #[serde(default)]
    pub values: Vec<String>,
}

/// Why a NodePool brings no node for a flavor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolObstacle {
    /// It does not, and this is why.
    No(String),
    /// It cannot be told, and this is why.
    Unknown(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Read {
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    template: Template,
    limits: BTreeMap<String, Quantity>,
    replicas: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: Labels,
    spec: TemplateSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateSpec {
    requirements: Vec<Requirement>,
    taints: Vec<Taint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    resources: BTreeMap<String, Quantity>,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

impl Pool {
    /// Reads `spec` and `status` of a NodePool; what cannot be read brings nothing.
    pub fn read(name: &str, is_being_removed: bool, object: &serde_json::Value) -> Self {
        let Ok(Read { spec, status }) = serde_json::from_value(object.clone()) else {
            return Self {
                name: name.to_owned(),
                state: State::Unreadable,
                ..Self::default()
            };
        };
        let is_ready = status
            .conditions
            .iter()
            .any(|c| c.r#type == "Ready" && c.status == "True");
        let mut labels = spec.template.metadata.labels;
        labels.insert(LABEL_POOL.to_owned(), name.to_owned());
        Self {
            name: name.to_owned(),
            labels,
            requirements: spec.template.spec.requirements,
            taints: spec.template.spec.taints,
            limits: Amounts::of(&spec.limits),
            in_use: Amounts::of(&status.resources),
            state: match (is_being_removed, spec.replicas, is_ready) {
                (true, _, _) => State::Removed,
                (_, Some(_), _) => State::Static,
                (_, None, false) => State::NotReady,
                (_, None, true) => State::Ready,
            },
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in the way; `None`: it would bring a node. `nodes` are those there are: what one of its nodes offers,
    /// another will.
    pub fn obstacle<'a>(
        &self,
        ask: &Ask,
        mut nodes: impl Iterator<Item = &'a node::Node>,
    ) -> Option<PoolObstacle> {
        let no = |why: String| Some(PoolObstacle::No(why));
        match self.state {
            State::Ready => {}
            State::NotReady => return no("is not Ready".to_owned()),
            State::Removed => return no("is being removed".to_owned()),
            State::Unreadable => return no("cannot be read".to_owned()),
            State::Static => return no("has a fixed number of nodes".to_owned()),
        }
        if let Some(taint) = node::untolerated(&self.taints, &ask.tolerations) {
            return no(format!("has the taint {taint}, which is not tolerated"));
        }
        for (key, value) in &ask.node_selector {
            match self.label(key, value) {
                Match::Yes => {}
                Match::No => return no(format!("makes no nodes with the label {key}={value}")),
                Match::Unknown(why) => return Some(PoolObstacle::Unknown(why)),
            }
        }
        if let Some(resource) = self.exhausted(ask) {
            return no(format!("has reached its limit of {resource}"));
        }
        let special: Vec<&str> = ask
            .requests
            .iter()
            .filter(|(name, amount)| *amount > 0 && !ORDINARY.contains(name))
            .map(|(name, _)| name)
            .filter(|name| !self.promises(name))
            .collect();
        if special.is_empty() {
            return None;
        }
        let known = nodes.any(|node| {
            node.label(LABEL_POOL) == Some(&self.name) && special.iter().all(|r| node.offers(r))
        });
        let special = special.join(" and ");
        (!known).then(|| {
            PoolObstacle::Unknown(format!(
                "does not say whether its nodes have {special}; its limits or taints could"
            ))
        })
    }

    /// Whether a node with this label could come.
    fn label(&self, key: &str, value: &str) -> Match {
        // Every node has its own, which no node has yet.
        if key == "kubernetes.io/hostname" {
            return Match::No;
        }
        let mut is_named = false;
        if let Some(own) = self.labels.get(key) {
            if own != value {
                return Match::No;
            }
            is_named = true;
        }
        for requirement in self.requirements.iter().filter(|r| r.key == key) {
            match requirement.allows(value) {
                Some(true) => is_named = true,
                Some(false) => return Match::No,
                None => {
                    let operator = &requirement.operator;
                    let why = format!(
                        "has a requirement with the operator {operator}, which is not known here"
                    );
                    return Match::Unknown(why);
                }
            }
        }
        if is_named || is_well_known(key) {
            Match::Yes
        } else {
            Match::No
        }
    }

    /// The first resource of which what is asked for would exceed the pool's limit.
    fn exhausted(&self, ask: &Ask) -> Option<String> {
        let one_more = |resource: &str| match resource {
            "nodes" => 1000,
            _ => ask.requests.get(resource),
        };
        self.limits
            .iter()
            .find(|(name, limit)| self.in_use.get(name).saturating_add(one_more(name)) > *limit)
            .map(|(name, _)| name.to_owned())
    }

    /// Whether the pool says that its nodes have this resource: it limits it, or it keeps others away from it.
    fn promises(&self, resource: &str) -> bool {
        let gpu_pool = (group::LABEL_WORKLOAD, Some(WorkloadClass::Gpu.as_str()));
        let is_set_apart = self.taints.iter().any(|taint| {
            let is_gpu_pool = (taint.key.as_str(), taint.value.as_deref()) == gpu_pool;
            taint.key == resource || (is_gpu_pool && resource.ends_with("/gpu"))
        });
        self.limits.get(resource) > 0 || is_set_apart
    }
}

enum Match {
    Yes,
    No,
    Unknown(String),
}

impl Requirement {
    /// Whether a node may have this value; `None` for an operator that is not known.
    fn allows(&self, value: &str) -> Option<bool> {
        let is_listed = self.values.iter().any(|v| v == value);
        let bound = || self.values.first().and_then(|v| v.parse::<i64>().ok());
        let compared = |holds: fn(i64, i64) -> bool| {
            let pair = value.parse::<i64>().ok().zip(bound());
            pair.is_some_and(|(value, bound)| holds(value, bound))
        };
        Some(match self.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => true,
            "DoesNotExist" => false,
            "Gt" => compared(|value, bound| value > bound),
            "Lt" => compared(|value, bound| value < bound),
            "Gte" => compared(|value, bound| value >= bound),
            "Lte" => compared(|value, bound| value <= bound),
            _ => return None,
        })
    }
}

/// Labels of the cloud and of Karpenter's providers (`karpenter.k8s.aws/…`, `karpenter.azure.com/…`, `karpenter.sh/capacity-type`).
fn is_well_known(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    WELL_KNOWN.contains(&key) || (domain.starts_with("karpenter.") && key != LABEL_POOL)
}
