//! The ports of a rule as matches on protocol and port.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString,
};

use super::{cluster::Endpoint, peers::set};

/// What a rule says about one protocol.
#[derive(Debug, Default)]
struct Wanted<'a> {
    /// All ports.
    any: bool,
    /// First and last of each range.
    ranges: Vec<(u16, u16)>,
    /// Names that each target resolves for itself.
    names: BTreeSet<&'a str>,
}

/// Matches for the ports of a rule, of which any one will do; an empty text matches everything. Names are those of
/// the targets' containers. Without ports everything is meant; with names only that no target has, nothing.
pub fn matches(ports: &[NetworkPolicyPort], targets: &[&Endpoint<'_>]) -> Vec<String> {
    if ports.is_empty() {
        return vec![String::new()];
    }
    let mut wanted: BTreeMap<&str, Wanted<'_>> = BTreeMap::new();
    for port in ports {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        add(port, wanted.entry(protocol).or_default());
    }
    wanted
        .into_iter()
        .flat_map(|(protocol, wanted)| of_protocol(protocol, wanted, targets))
        .collect()
}

fn add<'a>(port: &'a NetworkPolicyPort, wanted: &mut Wanted<'a>) {
    match &port.port {
        None => wanted.any = true,
        Some(IntOrString::String(name)) => {
            wanted.names.insert(name);
        }
        Some(IntOrString::Int(first)) => {
            let last = port.end_port.unwrap_or(*first);
            if let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(last))
                && first <= last
            {
                wanted.ranges.push((first, last));
            }
        }
    }
}

fn of_protocol(protocol: &str, wanted: Wanted<'_>, targets: &[&Endpoint<'_>]) -> Vec<String> {
    let word = match protocol {
        "TCP" => "tcp",
        "UDP" => "udp",
        "SCTP" => "sctp",
        // There is no other; one that is not known must not become a wider match.
        _ => return Vec::new(),
    };
    if wanted.any {
        return vec![format!("meta l4proto {word} ")];
    }
    let mut all = Vec::new();
    if !wanted.ranges.is_empty() {
        let ranges = merged(wanted.ranges).into_iter().map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        });
        all.push(format!("{word} dport {} ", set(ranges)));
    }
    let named: BTreeSet<_> = targets
        .iter()
        .flat_map(|target| {
            let ports = target.ports.iter();
            let ours =
                ports.filter(|port| port.protocol == protocol && wanted.names.contains(port.name));
            ours.map(|port| (target.address, port.number))
        })
        .collect();
    if !named.is_empty() {
        let pairs = named
            .iter()
            .map(|(address, number)| format!("{address} . {number}"));
        all.push(format!("ip daddr . {word} dport {} ", set(pairs)));
    }
    all
}

/// Ranges that touch or overlap become one: a set must not hold anything twice.
fn merged(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut all: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ranges {
        match all.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => all.push((first, last)),
        }
    }
    all
}
