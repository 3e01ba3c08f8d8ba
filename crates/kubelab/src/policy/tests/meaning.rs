//! The rules mean what the API's documentation says, for clusters and policies of all kinds: each packet is judged
//! twice, by the rules and by that text read literally.

use std::{net::Ipv4Addr, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::Pod,
        networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    super::cluster::Cluster,
    namespace,
    packets::{Packet, Rules},
    pod, policy, rules,
};
use crate::address::Range;

const NODE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const TEAMS: [(&str, &str); 3] = [("a", "red"), ("b", "blue"), ("c", "red")];

/// Selectors over the labels that there are; the last selects nobody.
fn selectors(key: &'static str, values: [&'static str; 2]) -> impl Strategy<Value = String> {
    let [one, two] = values;
    select(vec![
        "{}".to_owned(),
        format!("{{matchLabels: {{{key}: {one}}}}}"),
        format!("{{matchExpressions: [{{key: {key}, operator: NotIn, values: [{two}]}}]}}"),
        format!("{{matchExpressions: [{{key: {key}, operator: In, values: [{one}, {two}]}}]}}"),
        format!("{{matchExpressions: [{{key: {key}, operator: DoesNotExist}}]}}"),
    ])
}

fn peers() -> impl Strategy<Value = String> {
    let pods = || selectors("app", ["web", "db"]);
    let namespaces = || selectors("team", ["red", "blue"]);
    let block = select(vec![
        "{ipBlock: {cidr: 0.0.0.0/0}}",
        "{ipBlock: {cidr: 0.0.0.0/0, except: [198.19.0.0/21, 198.18.0.2/32, 198.19.0.0/30]}}",
        "{ipBlock: {cidr: 192.0.2.0/24}}",
        "{ipBlock: {cidr: 198.19.0.0/30}}",
        "{ipBlock: {cidr: 198.18.0.0/15, except: [198.19.0.4/32]}}",
        "{ipBlock: {cidr: '2001:db8::/32'}}",
    ]);
    let peer = prop_oneof![
        pods().prop_map(|pods| format!("{{podSelector: {pods}}}")),
        namespaces().prop_map(|them| format!("{{namespaceSelector: {them}}}")),
        (pods(), namespaces())
            .prop_map(|(pods, them)| format!("{{podSelector: {pods}, namespaceSelector: {them}}}")),
        block.prop_map(str::to_owned),
    ];
    vec(peer, 0..3).prop_map(|all| format!("[{}]", all.join(", ")))
}

fn ports() -> impl Strategy<Value = String> {
    let port = select(vec![
        "{port: 22}",
        "{port: 80, endPort: 8080}",
        "{port: 8080, endPort: 8081}",
        "{port: http}",
        "{port: dns, protocol: UDP}",
        "{port: 53, protocol: UDP}",
        "{protocol: UDP}",
        "{protocol: SCTP}",
        "{}",
    ]);
    vec(port, 0..3).prop_map(|all| format!("[{}]", all.join(", ")))
}

fn policies() -> impl Strategy<Value = (String, String)> {
    let rules = |side: &'static str| {
        let rule = (peers(), ports())
            .prop_map(move |(peers, ports)| format!("{{{side}: {peers}, ports: {ports}}}"));
        vec(rule, 0..3).prop_map(|all| format!("[{}]", all.join(", ")))
    };
    let types = select(vec!["[]", "[Ingress]", "[Egress]", "[Ingress, Egress]"]);
    let spec = (selectors("app", ["web", "db"]), types, rules("from"), rules("to")).prop_map(
        |(pods, types, ingress, egress)| {
            format!("{{podSelector: {pods}, policyTypes: {types}, ingress: {ingress}, egress: {egress}}}")
        },
    );
    (select(vec!["a", "b"]).prop_map(str::to_owned), spec)
}

fn clusters() -> impl Strategy<Value = Cluster> {
    let ports = "{name: http, containerPort: 8080}, {name: dns, protocol: UDP, containerPort: 53}";
    let kinds = select(vec![
        ("web", ports),
        ("db", "{name: http, containerPort: 22}"),
        ("db", ""),
    ]);
    let pods = vec((select(vec!["a", "b", "c"]), kinds), 1..6);
    (pods, vec(policies(), 0..5)).prop_map(|(pods, policies)| Cluster {
        pods: pods
            .into_iter()
            .zip(2..)
            .map(|((namespace, (app, ports)), last)| {
                let address = format!("198.19.0.{last}");
                Arc::new(pod(namespace, &format!("p{last}"), app, &address, ports))
            })
            .collect(),
        namespaces: TEAMS.map(|(name, team)| namespace(name, team)).to_vec(),
        policies: policies
            .into_iter()
            .enumerate()
            .map(|(number, (namespace, spec))| policy(&namespace, &format!("n{number}"), &spec))
            .collect(),
        ..Cluster::default()
    })
}

fn labelled(selector: Option<&LabelSelector>, key: &str, value: &str) -> bool {
    let Some(selector) = selector else {
        return true;
    };
    let equal = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    equal
        .into_iter()
        .all(|(k, v)| (k.as_str(), v.as_str()) == (key, value))
        && expressions.into_iter().all(|it| {
            let listed = it.values.iter().flatten().any(|v| v == value);
            match it.operator.as_str() {
                "In" => it.key == key && listed,
                "NotIn" => it.key != key || !listed,
                "Exists" => it.key == key,
                "DoesNotExist" => it.key != key,
                other => panic!("{other}"),
            }
        })
}

fn space(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap()
}

fn app(pod: &Pod) -> &str {
    &pod.metadata.labels.as_ref().unwrap()["app"]
}

fn at(cluster: &Cluster, address: Ipv4Addr) -> Option<&Pod> {
    let text = address.to_string();
    let mut pods = cluster.pods.iter().map(AsRef::as_ref);
    pods.find(|pod: &&Pod| pod.status.as_ref().unwrap().pod_ip.as_deref() == Some(&text))
}

fn peer_is(cluster: &Cluster, home: &str, peer: &NetworkPolicyPeer, address: Ipv4Addr) -> bool {
    if let Some(block) = &peer.ip_block {
        let holds = |range: &String| {
            Range::parse(range).is_some_and(|range| range.contains(Range::new(address, 32)))
        };
        return holds(&block.cidr) && !block.except.iter().flatten().any(holds);
    }
    let Some(pod) = at(cluster, address) else {
        return false;
    };
    let team = TEAMS
        .iter()
        .find(|(name, _)| *name == space(pod))
        .unwrap()
        .1;
    let in_namespace = match &peer.namespace_selector {
        None => space(pod) == home,
        wanted => labelled(wanted.as_ref(), "team", team),
    };
    in_namespace && labelled(peer.pod_selector.as_ref(), "app", app(pod))
}

fn port_is(cluster: &Cluster, port: &NetworkPolicyPort, packet: Packet) -> bool {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    protocol.eq_ignore_ascii_case(packet.protocol)
        && match &port.port {
            None => true,
            Some(IntOrString::Int(first)) => {
                (*first..=port.end_port.unwrap_or(*first)).contains(&i32::from(packet.port))
            }
            Some(IntOrString::String(name)) => {
                let containers = at(cluster, packet.target)
                    .into_iter()
                    .flat_map(|pod| &pod.spec.as_ref().unwrap().containers);
                let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
                ports.any(|it| {
                    it.name.as_ref() == Some(name)
                        && it.protocol.as_deref().unwrap_or("TCP") == protocol
                        && it.container_port == i32::from(packet.port)
                })
            }
        }
}

/// Whether the policies that select `pod` in this direction, if any, admit the packet; `peer` is its other end.
fn side_admits(
    cluster: &Cluster,
    ingress: bool,
    pod: &Pod,
    peer: Ipv4Addr,
    packet: Packet,
) -> bool {
    let selecting: Vec<&NetworkPolicy> = cluster
        .policies
        .iter()
        .map(AsRef::as_ref)
        .filter(|policy: &&NetworkPolicy| {
            let spec = policy.spec.as_ref().unwrap();
            let types = spec.policy_types.clone().unwrap_or_default();
            let word = if ingress { "Ingress" } else { "Egress" };
            let of_direction = if types.is_empty() {
                ingress || !spec.egress.as_ref().unwrap().is_empty()
            } else {
                types.iter().any(|it| it == word)
            };
            of_direction
                && policy.metadata.namespace.as_deref() == Some(space(pod))
                && labelled(spec.pod_selector.as_ref(), "app", app(pod))
        })
        .collect();
    selecting.is_empty()
        || selecting.iter().any(|policy| {
            let spec = policy.spec.as_ref().unwrap();
            let rules: Vec<_> = if ingress {
                let rules = spec.ingress.iter().flatten();
                rules
                    .map(|rule| (rule.from.as_ref().unwrap(), rule.ports.as_ref().unwrap()))
                    .collect()
            } else {
                let rules = spec.egress.iter().flatten();
                rules
                    .map(|rule| (rule.to.as_ref().unwrap(), rule.ports.as_ref().unwrap()))
                    .collect()
            };
            rules.into_iter().any(|(peers, ports)| {
                let known = peers
                    .iter()
                    .any(|it| peer_is(cluster, space(pod), it, peer));
                let open = ports.iter().any(|it| port_is(cluster, it, packet));
                (peers.is_empty() || known) && (ports.is_empty() || open)
            })
        })
}

fn should_admit(cluster: &Cluster, packet: Packet) -> bool {
    if packet.source == packet.target {
        return true;
    }
    let out = at(cluster, packet.source)
        .is_none_or(|pod| side_admits(cluster, false, pod, packet.target, packet));
    let into = at(cluster, packet.target)
        .is_none_or(|pod| side_admits(cluster, true, pod, packet.source, packet));
    out && into
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_admit_what_the_policies_admit_and_nothing_else(cluster in clusters()) {
        let text = rules(&cluster).text;
        let read = Rules::read(&text);
        let pods = cluster.pods.len();
        let addresses = (0..pods).map(|place| Ipv4Addr::new(198, 19, 0, u8::try_from(place + 2).unwrap()));
        let ends: Vec<Ipv4Addr> = addresses.chain([NODE, CLIENT]).collect();
        for source in &ends[..] {
            for target in &ends[..] {
                for (protocol, port) in [("tcp", 22), ("tcp", 8080), ("tcp", 9), ("udp", 53), ("sctp", 22)] {
                    // The node's own packets are in no hook.
                    if *source == NODE { continue; }
                    let packet = Packet { source: *source, target: *target, protocol, port, to_node: *target == NODE };
                    prop_assert_eq!(read.admit(packet), should_admit(&cluster, packet), "{:?}\n{}", packet, text);
                }
            }
        }
    }

    #[test]
    fn without_policies_nothing_is_dropped(mut cluster in clusters()) {
        cluster.policies.clear();
        let set = rules(&cluster);
        prop_assert!(!set.text.contains("drop"));
        prop_assert_eq!(set.isolated, 0);
    }
}
