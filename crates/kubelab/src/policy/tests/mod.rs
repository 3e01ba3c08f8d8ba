//! What policies become, and what the rules then do with packets.

mod gate;
mod golden;
mod meaning;
mod packets;
mod shapes;

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    networking::v1::{NetworkPolicy, NetworkPolicySpec},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{cluster::Cluster, rules::rules};

fn parse<T: DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// A namespace with a label `team`.
fn namespace(name: &str, team: &str) -> Arc<Namespace> {
    Arc::new(parse(&format!(
        "{{metadata: {{name: {name}, labels: {{team: {team}}}}}}}"
    )))
}

/// A running pod with a label `app`, and the ports given as YAML.
fn pod(namespace: &str, name: &str, app: &str, address: &str, ports: &str) -> Pod {
    parse(&format!(
        "metadata: {{namespace: {namespace}, name: {name}, uid: uid-{name}, labels: {{app: {app}}}}}\n\
         spec: {{containers: [{{name: main, ports: [{ports}]}}]}}\n\
         status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}\n"
    ))
}

fn policy(namespace: &str, name: &str, spec: &str) -> Arc<NetworkPolicy> {
    let mut policy: NetworkPolicy = NetworkPolicy {
        spec: Some(parse::<NetworkPolicySpec>(spec)),
        ..NetworkPolicy::default()
    };
    policy.metadata.namespace = Some(namespace.to_owned());
    policy.metadata.name = Some(name.to_owned());
    Arc::new(policy)
}

/// Two namespaces with a web server each, a database, and pods that no rule may ever name.
fn cluster() -> Cluster {
    let web = "{name: http, containerPort: 8080}, {name: dns, protocol: UDP, containerPort: 5353}";
    let mut on_the_node = pod("a", "on-the-node", "web", "198.18.0.2", web);
    if let Some(spec) = on_the_node.spec.as_mut() {
        spec.host_network = Some(true);
    }
    let mut ended = pod("a", "ended", "web", "198.19.0.3", web);
    if let Some(status) = ended.status.as_mut() {
        status.phase = Some("Succeeded".to_owned());
    }
    let mut fresh = pod("a", "fresh", "web", "", web);
    fresh.status = None;
    let pods = [
        pod("a", "web", "web", "198.19.0.2", web),
        pod(
            "a",
            "db",
            "db",
            "198.19.0.3",
            "{name: http, containerPort: 9090}",
        ),
        pod("b", "web", "web", "198.19.0.4", ""),
        on_the_node,
        ended,
        fresh,
    ];
    Cluster {
        pods: pods.into_iter().map(Arc::new).collect(),
        namespaces: vec![namespace("a", "red"), namespace("b", "blue")],
        ..Cluster::default()
    }
}

fn with(policies: Vec<Arc<NetworkPolicy>>) -> Cluster {
    Cluster {
        policies,
        ..cluster()
    }
}

/// The rules of one chain, one per line.
fn chain(text: &str, name: &str) -> Option<String> {
    let head = format!("\tchain {name} {{\n");
    let (_, rest) = text.split_once(&head)?;
    let (rules, _) = rest.split_once("\t}\n")?;
    let lines: Vec<&str> = rules.lines().map(str::trim).collect();
    Some(lines.join("\n"))
}

#[test]
fn without_policies_there_is_no_rule() {
    let text = rules(&cluster()).text;
    assert_eq!(
        text,
        "add table inet network-policy\ndelete table inet network-policy\n"
    );
}

#[test]
fn a_policy_that_selects_no_pod_makes_no_rule() {
    for spec in [
        "podSelector: {matchLabels: {app: nobody}}",
        "{podSelector: {}, policyTypes: []}",
    ] {
        let empty = with(vec![policy("elsewhere", "deny", spec)]);
        assert_eq!(rules(&empty), rules(&cluster()), "{spec}");
    }
}

#[test]
fn the_order_of_objects_does_not_change_the_text() {
    let mut one = with(vec![
        policy("a", "deny", "podSelector: {}"),
        policy("a", "allow", "{podSelector: {}, ingress: [{}]}"),
        policy("b", "deny", "podSelector: {}"),
    ]);
    let text = rules(&one);
    one.pods.reverse();
    one.policies.reverse();
    one.namespaces.reverse();
    assert_eq!(rules(&one), text);
    assert_eq!(text.isolated, 3);
}

#[test]
fn the_address_of_an_ended_pod_belongs_to_the_one_that_runs() {
    let text = rules(&with(vec![policy("a", "deny", "podSelector: {}")])).text;
    assert!(
        text.contains("198.19.0.3 : goto pod-ingress/a/db"),
        "{text}"
    );
    assert!(!text.contains("ended"), "{text}");
}

#[test]
fn of_two_pods_with_one_address_the_one_that_is_not_being_deleted_has_it() {
    let mut twice = with(vec![policy("a", "deny", "podSelector: {}")]);
    let mut old = pod("a", "old", "web", "198.19.0.2", "");
    old.metadata = serde_json::from_value(json!({
        "namespace": "a", "name": "old", "uid": "zzz", "deletionTimestamp": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    twice.pods.insert(0, Arc::new(old));
    let text = rules(&twice).text;
    assert!(
        text.contains("198.19.0.2 : goto pod-ingress/a/web"),
        "{text}"
    );
    assert!(!text.contains("a/old"), "{text}");
}

#[test]
fn an_announced_address_counts_before_the_pods_status_shows_it_and_wins_over_an_older_one() {
    let mut early = with(vec![policy("a", "deny", "podSelector: {}")]);
    assert!(!rules(&early).text.contains("a/fresh"));
    early.announced = [("uid-fresh", [198, 19, 0, 9]), ("uid-db", [198, 19, 0, 8])]
        .map(|(uid, address)| (uid.to_owned(), address.into()))
        .into();
    let text = rules(&early).text;
    assert!(
        text.contains("198.19.0.9 : goto pod-ingress/a/fresh"),
        "{text}"
    );
    assert!(
        text.contains("198.19.0.8 : goto pod-ingress/a/db"),
        "{text}"
    );
    assert!(!text.contains("198.19.0.3"), "{text}");
}

#[test]
fn a_chain_of_the_longest_names_is_short_enough_for_the_kernel_and_still_its_own() {
    let (namespace, name) = ("n".repeat(63), "p".repeat(252));
    let mut long = Cluster {
        namespaces: vec![self::namespace(&namespace, "red")],
        policies: vec![
            policy(&namespace, &format!("{name}a"), "podSelector: {}"),
            policy(&namespace, &format!("{name}b"), "podSelector: {}"),
        ],
        ..Cluster::default()
    };
    long.pods = [("198.19.0.2", 'a'), ("198.19.0.3", 'b')]
        .map(|(address, last)| {
            Arc::new(pod(
                &namespace,
                &format!("{name}{last}"),
                "web",
                address,
                "",
            ))
        })
        .to_vec();
    let text = rules(&long).text;
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("\tchain ")?.strip_suffix(" {"))
        .collect();
    assert!(names.iter().all(|name| name.len() <= 255), "{names:?}");
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    // Two policies, two pods, and the base chain.
    assert_eq!(names.len(), 2 + 2 + 1);
}
