//! Whether a kept home can be had by a node of the flavor: a volume cannot leave its zone (kubernetes-csi, KEP-557).

use std::collections::BTreeMap;

use devserver_api::{DevServerFlavorSpec, Schedulable};
use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume,
};

use crate::{Platform, References, invalid::PlacementError, references::HomeNodes};

/// Label of nodes that Karpenter brought.
const KARPENTER: &str = "karpenter.sh/nodepool";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Refuses only what is certain: the flavor has nodes, all of them are elsewhere, and nobody would bring one.
pub(super) fn check(
    references: &References,
    name: &str,
    flavor: &DevServerFlavorSpec,
    platform: &Platform,
) -> Result<(), PlacementError> {
    let Some(HomeNodes { volume, nodes }) = &references.home_nodes else {
        return Ok(());
    };
    let terms = terms(volume);
    if !platform.check_home_zone || terms.is_empty() || is_autoscaled(references) {
        return Ok(());
    }
    let mut suitable = nodes.iter().filter(|node| suits(node, flavor)).peekable();
    if suitable.peek().is_none() {
        // Not a matter of zones; the scheduler says what is missing.
        return Ok(());
    }
    if suitable.any(|node| terms.iter().any(|term| leads_to(term, node))) {
        return Ok(());
    }
    Err(PlacementError::HomeInAnotherZone {
        place: place(terms),
        flavor: name.to_owned(),
    })
}

fn terms(volume: &PersistentVolume) -> &[NodeSelectorTerm] {
    let affinity = volume.spec.as_ref().and_then(|s| s.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required.as_ref());
    required
        .map(|r| r.node_selector_terms.as_slice())
        .unwrap_or_default()
}

/// Whether nodes come when pods wait for them: then no look at the nodes of now says what will be.
fn is_autoscaled(references: &References) -> bool {
    let flavors = references.flavors.iter();
    let mut known = flavors.filter_map(|f| f.status.as_ref()?.schedulable);
    let karpenter = |node: &Node| labels(node).contains_key(KARPENTER);
    known.any(|s| s == Schedulable::Autoscaled)
        || references
            .home_nodes
            .iter()
            .any(|h| h.nodes.iter().any(|n| karpenter(n)))
}

fn suits(node: &Node, flavor: &DevServerFlavorSpec) -> bool {
    let labels = labels(node);
    let mut wanted = flavor.node_selector.iter();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
}

fn labels(node: &Node) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    node.metadata.labels.as_ref().unwrap_or(&NONE)
}

/// A node selector term as the scheduler reads it: all requirements hold; a term without any leads nowhere.
fn leads_to(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = node.metadata.name.as_ref();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions
            .iter()
            .all(|r| holds(r, labels(node).get(&r.key)))
        && fields.iter().all(|r| holds(r, name))
}

fn holds(requirement: &NodeSelectorRequirement, actual: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let number = |text: &String| text.parse::<i64>().ok();
    let bound = values.first().and_then(number);
    match requirement.operator.as_str() {
        "In" => actual.is_some_and(|a| values.contains(a)),
        "NotIn" => actual.is_none_or(|a| !values.contains(a)),
        "Exists" => actual.is_some(),
        "DoesNotExist" => actual.is_none(),
        "Gt" => actual
            .and_then(number)
            .zip(bound)
            .is_some_and(|(a, b)| a > b),
        "Lt" => actual
            .and_then(number)
            .zip(bound)
            .is_some_and(|(a, b)| a < b),
        // Not known yet to this program: not its business to refuse.
        _ => true,
    }
}

/// Where the volume is, for people.
fn place(terms: &[NodeSelectorTerm]) -> String {
    let requirements = || {
        terms
            .iter()
            .flat_map(|t| t.match_expressions.iter().flatten())
    };
    let values = |wanted: fn(&str) -> bool| {
        let mut found: Vec<&str> = requirements()
            .filter(|r| wanted(&r.key))
            .flat_map(|r| r.values.iter().flatten())
            .map(String::as_str)
            .collect();
        found.sort_unstable();
        found.dedup();
        found.join(" or ")
    };
    // Drivers have keys of their own besides topology.kubernetes.io/zone: topology.ebs.csi.aws.com/zone, …
    let zones = values(|key| key.ends_with("/zone"));
    let nodes = values(|key| key == HOSTNAME);
    if !zones.is_empty() {
        format!("in zone {zones}")
    } else if nodes.is_empty() {
        "on nodes with other labels".to_owned()
    } else {
        format!("on node {nodes}")
    }
}
