//! The rules: from objects to the text that `nft` reads.
//!
//! ```text
//! base-egress, base-egress-to-node   sender isolated for egress?    ──► chain of the pod ──► its policies ──► drop
//! base-ingress, after base-egress    receiver isolated for ingress? ──► chain of the pod ──► its policies ──► drop
//! ```
//!
//! Two base chains, since `accept` ends only the one it is met in: a packet must be admitted by its sender's policies
//! and by its receiver's. The hooks come after the translation of Services, so that addresses and ports are those of
//! pods, and before any masquerading, so that clients have their own. What the node itself sends is in no hook.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use kube::core::SelectorExt;
use sha2::{Digest, Sha256};

use super::{
    cluster::{Cluster, Endpoint, World, selector},
    peers, ports,
};
use crate::hex;

/// Name of the table; nothing else of the lab has one of this name.
pub const TABLE: &str = "network-policy";

/// The bridge that all pods hang on.
pub const BRIDGE: &str = "cni0";

/// The longest name of a chain that the kernel takes.
const LONGEST: usize = 255;

/// A text for `nft -f` that replaces everything of ours at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// The text; the same objects always give the same one.
    pub text: String,
    /// How many pods are isolated, in either direction.
    pub isolated: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// Where the peer's address stands in a packet.
    fn peer(self) -> &'static str {
        match self {
            Self::Ingress => "saddr",
            Self::Egress => "daddr",
        }
    }

    /// Whether the policy isolates in this direction. The API server fills in the types; this is its rule.
    fn is_of(self, spec: &NetworkPolicySpec) -> bool {
        match spec.policy_types.as_deref() {
            None | Some([]) => {
                let egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
                self == Self::Ingress || egress
            }
            Some(types) => types.iter().any(|it| it.eq_ignore_ascii_case(self.word())),
        }
    }
}

/// The chains of one direction.
#[derive(Debug, Default)]
struct Side {
    /// Chains of policies and, after them, of pods: texts ready to be put into the table.
    chains: String,
    /// The chain of each isolated pod, by the pod's place among the endpoints.
    pods: BTreeMap<usize, String>,
}

/// The rules for these objects. Without a policy that selects a pod there are none at all.
pub fn rules(cluster: &Cluster) -> Ruleset {
    let world = World::of(cluster);
    let mut policies: Vec<&NetworkPolicy> = cluster.policies.iter().map(AsRef::as_ref).collect();
    policies.sort_by_key(|policy| (&policy.metadata.namespace, &policy.metadata.name));
    let ingress = side(Direction::Ingress, &policies, &world);
    let egress = side(Direction::Egress, &policies, &world);
    // Adding first is what makes deleting succeed when there is none.
    let mut text = format!("add table inet {TABLE}\ndelete table inet {TABLE}\n");
    let isolated: BTreeSet<&usize> = ingress.pods.keys().chain(egress.pods.keys()).collect();
    let isolated = isolated.len();
    if isolated > 0 {
        let bases = bases(&egress, &ingress, &world);
        let _ = writeln!(
            text,
            "table inet {TABLE} {{\n{}{}{bases}}}",
            ingress.chains, egress.chains
        );
    }
    Ruleset { text, isolated }
}

/// The chains that packets enter by themselves, for the directions in which any pod is isolated.
fn bases(egress: &Side, ingress: &Side, world: &World<'_>) -> String {
    // Pods have no address of IPv6 but the one that every link has. Nobody can admit those, so nobody uses them.
    let ipv6 = "meta nfproto ipv6 counter drop";
    let to_node = format!("iifname \"{BRIDGE}\" {ipv6}");
    let (senders, receivers) = (
        lookup("saddr", egress, world),
        lookup("daddr", ingress, world),
    );
    let mut text = String::new();
    if !egress.pods.is_empty() {
        text += &base("base-egress", "forward", "filter", &[ipv6, &senders]);
        let node = [to_node.as_str(), senders.as_str()];
        text += &base("base-egress-to-node", "input", "filter", &node);
    }
    if !ingress.pods.is_empty() {
        text += &base("base-ingress", "forward", "filter + 1", &[ipv6, &receivers]);
    }
    text
}

/// A chain that packets enter by themselves. Answers to what was admitted pass, whatever the policies say by now.
fn base(name: &str, hook: &str, priority: &str, rules: &[&str]) -> String {
    let mut text = format!(
        "\tchain {name} {{\n\t\ttype filter hook {hook} priority {priority}; policy accept;\n\t\tct state established,related accept\n"
    );
    for rule in rules {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text + "\t}\n"
}

/// One look at an address instead of one rule per pod.
fn lookup(field: &str, side: &Side, world: &World<'_>) -> String {
    let chains = side.pods.iter().filter_map(|(place, chain)| {
        let address = world.endpoints.get(*place)?.address;
        Some(format!("{address} : goto {chain}"))
    });
    format!("ip {field} vmap {}", peers::set(chains))
}

fn side(direction: Direction, policies: &[&NetworkPolicy], world: &World<'_>) -> Side {
    let mut side = Side::default();
    let mut selecting: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for policy in policies {
        let Some(spec) = policy.spec.as_ref().filter(|spec| direction.is_of(spec)) else {
            continue;
        };
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        let places = subjects(namespace, spec, world);
        if places.is_empty() {
            continue;
        }
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let name = chain_name(direction.word(), namespace, name);
        let rules = policy_rules(direction, namespace, spec, &places, world);
        side.chains += &chain(&name, rules);
        for place in places {
            selecting.entry(place).or_default().push(name.clone());
        }
    }
    for (place, policies) in selecting {
        let Some(pod) = world.endpoints.get(place) else {
            continue;
        };
        let name = chain_name(
            &format!("pod-{}", direction.word()),
            pod.namespace,
            pod.name,
        );
        // What a pod sends to itself, by way of a Service, no policy can forbid.
        let own = format!("ip {} {} accept", direction.peer(), pod.address);
        let jumps = policies.iter().map(|policy| format!("jump {policy}"));
        let rules = std::iter::once(own).chain(jumps);
        let rules = rules.chain(std::iter::once("counter drop".to_owned()));
        side.chains += &chain(&name, rules);
        side.pods.insert(place, name);
    }
    side
}

/// The places of the pods that a policy selects. A selector that cannot be read selects them all: closed.
fn subjects(namespace: &str, spec: &NetworkPolicySpec, world: &World<'_>) -> Vec<usize> {
    let selector = selector(spec.pod_selector.as_ref());
    let selected = |pod: &Endpoint<'_>| {
        pod.namespace == namespace && selector.as_ref().is_none_or(|it| it.matches(pod.labels))
    };
    let all = world.endpoints.iter().enumerate();
    all.filter(|(_, pod)| selected(pod))
        .map(|(place, _)| place)
        .collect()
}

/// The peers and ports of one rule.
type Parts<'a> = (
    Option<&'a [NetworkPolicyPeer]>,
    Option<&'a [NetworkPolicyPort]>,
);

/// What one policy admits in one direction.
fn policy_rules(
    direction: Direction,
    namespace: &str,
    spec: &NetworkPolicySpec,
    places: &[usize],
    world: &World<'_>,
) -> Vec<String> {
    let (rules, targets): (Vec<Parts<'_>>, Vec<&Endpoint<'_>>) = match direction {
        Direction::Ingress => (
            spec.ingress
                .iter()
                .flatten()
                .map(|rule| (rule.from.as_deref(), rule.ports.as_deref()))
                .collect(),
            places
                .iter()
                .filter_map(|place| world.endpoints.get(*place))
                .collect(),
        ),
        Direction::Egress => (
            spec.egress
                .iter()
                .flatten()
                .map(|rule| (rule.to.as_deref(), rule.ports.as_deref()))
                .collect(),
            // A port's name is the receiver's; who may be one, the match of the peer says.
            world.endpoints.iter().collect(),
        ),
    };
    let admit = |(peers, ports): Parts<'_>| -> Vec<String> {
        let peers = peers.unwrap_or_default();
        let peers = peers::matches(direction.peer(), namespace, peers, world);
        let ports = ports::matches(ports.unwrap_or_default(), &targets);
        let each = peers
            .iter()
            .flat_map(|peer| ports.iter().map(move |port| (peer, port)));
        each.map(|(peer, port)| format!("{peer}{port}accept"))
            .collect()
    };
    rules.into_iter().flat_map(admit).collect()
}

fn chain(name: &str, rules: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("\tchain {name} {{\n");
    for rule in rules {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text + "\t}\n"
}

/// A name that says whose chain it is; the two longest names of Kubernetes in one are too long for the kernel.
fn chain_name(what: &str, namespace: &str, name: &str) -> String {
    let full = format!("{what}/{namespace}/{name}");
    if full.len() <= LONGEST {
        return full;
    }
    let digest = hex::short(&Sha256::digest(&full));
    let head: String = full.chars().take(LONGEST - 1 - digest.len()).collect();
    format!("{head}-{digest}")
}
