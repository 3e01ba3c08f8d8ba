//! From whom, to whom: the peers of a rule as matches on an address.

use std::{collections::BTreeSet, net::Ipv4Addr};

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer};
use kube::core::SelectorExt;

use super::cluster::{World, selector};
use crate::address::Range;

/// Matches for the peers of a rule, of which any one will do; an empty text matches everybody. `field` is `saddr` or
/// `daddr`. Without peers everybody is meant; with peers of whom there are none at the moment, nobody.
pub fn matches(
    field: &str,
    namespace: &str,
    peers: &[NetworkPolicyPeer],
    world: &World<'_>,
) -> Vec<String> {
    if peers.is_empty() {
        return vec![String::new()];
    }
    let pods: BTreeSet<Ipv4Addr> = peers
        .iter()
        .filter(|peer| peer.ip_block.is_none())
        .flat_map(|peer| pods(namespace, peer, world))
        .collect();
    let mut all = Vec::new();
    if !pods.is_empty() {
        all.push(format!("ip {field} {} ", set(&pods)));
    }
    let blocks = peers.iter().filter_map(|peer| peer.ip_block.as_ref());
    all.extend(blocks.filter_map(|wanted| block(field, wanted)));
    all
}

/// An nftables set of these.
pub fn set<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("{{ {} }}", items.join(", "))
}

/// The addresses of the pods that a peer selects: in the policy's own namespace, or in those it selects too.
fn pods(namespace: &str, peer: &NetworkPolicyPeer, world: &World<'_>) -> Vec<Ipv4Addr> {
    let namespaces = match &peer.namespace_selector {
        Some(wanted) => world.namespaces(wanted),
        None => BTreeSet::from([namespace]),
    };
    // The API server lets no peer in that selects by nothing, nor selectors that cannot be read: nobody then.
    if peer.namespace_selector.is_none() && peer.pod_selector.is_none() {
        return Vec::new();
    }
    let Some(selector) = selector(peer.pod_selector.as_ref()) else {
        return Vec::new();
    };
    world
        .endpoints
        .iter()
        .filter(|pod| namespaces.contains(pod.namespace) && selector.matches(pod.labels))
        .map(|pod| pod.address)
        .collect()
}

/// A range without its exceptions. A range of IPv6 holds no address of a lab, and one that cannot be read none at all.
fn block(field: &str, wanted: &IPBlock) -> Option<String> {
    let range = Range::parse(&wanted.cidr)?;
    let exceptions = wanted
        .except
        .iter()
        .flatten()
        .map(|text| Range::parse(text));
    let exceptions: Vec<Range> = exceptions.collect::<Option<_>>()?;
    let exceptions = outermost(&exceptions);
    let within = (!range.is_everything()).then(|| format!("ip {field} {range} "));
    let without = (!exceptions.is_empty()).then(|| format!("ip {field} != {} ", set(exceptions)));
    Some(match (within, without) {
        (Some(within), Some(without)) => within + &without,
        (Some(one), None) | (None, Some(one)) => one,
        // IPv4 and nothing else, like every other range of it.
        (None, None) => "meta nfproto ipv4 ".to_owned(),
    })
}

/// Without the ranges that are part of others: a set must not hold anything twice.
fn outermost(ranges: &[Range]) -> Vec<Range> {
    let mut kept: Vec<Range> = Vec::new();
    for range in ranges {
        if !kept.iter().any(|other| other.contains(*range)) {
            kept.retain(|other| !range.contains(*other));
            kept.push(*range);
        }
    }
    kept
}
