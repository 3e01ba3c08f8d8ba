//! Who may reach an environment, what it may reach, what it is called: the objects, for each way to ask.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod fixtures;

use devserver_api::{Expose, SshMode, cidr::Cidr};
use devserver_core::{Environment, Kind, Platform, desired, resolve};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A DevServer with these networks and this exposure, resolved.
fn asked(networks: Option<&[&str]>, expose: Expose, platform: &str) -> Result<Environment, String> {
    let (_, mut server) = fixtures::server("document-002");
    server.spec.ssh.allowed_cidrs = networks.map(|n| n.iter().map(|w| (*w).to_owned()).collect());
    server.spec.ssh.expose = Some(expose);
    let platform = Platform::parse(platform).unwrap();
    resolve(&server, &fixtures::references(), &platform)
        .map_err(|invalid| format!("{}: {invalid}", invalid.reason()))
}

fn object(env: &Environment, kind: Kind, name: &str) -> Value {
    let objects = desired(env);
    let found = objects
        .iter()
        .find(|o| o.kind() == kind && o.name() == name);
    found.map_or(Value::Null, devserver_core::Object::to_value)
}

fn policy(env: &Environment) -> Value {
    object(env, Kind::NetworkPolicy, "devserver-my-dev-server")["spec"].clone()
}

fn service(env: &Environment) -> Value {
    object(env, Kind::Service, "my-dev-server-ssh")
}

/// The address blocks of the first rule.
fn blocks(rules: &Value) -> Vec<Value> {
    let peers = |rule: &Value, key: &str| rule[key].as_array().cloned().unwrap_or_default();
    let rules = rules.as_array().unwrap();
    let all = rules
        .iter()
        .flat_map(|r| [peers(r, "from"), peers(r, "to")].concat());
    all.map(|peer| peer["ipBlock"].clone())
        .filter(|b| !b.is_null())
        .collect()
}

#[test]
fn only_ssh_comes_in_and_only_from_the_platform_and_the_networks_named() {
    let env = asked(Some(&["203.0.113.0/24"]), Expose::NodePort, "").unwrap();
    let policy = policy(&env);
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        policy["podSelector"]["matchLabels"]["devserver.io/uid"],
        json!(env.uid)
    );
    assert_eq!(
        policy["ingress"],
        json!([{
            "ports": [{"protocol": "TCP", "port": "ssh"}],
            "from": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "devserver-system"}},
                 "podSelector": {"matchExpressions": [
                    {"key": "app.kubernetes.io/component", "operator": "In", "values": ["gateway", "console"]}]}},
                {"ipBlock": {"cidr": "203.0.113.0/24"}},
            ],
        }])
    );
}

#[test]
fn the_way_out_leads_to_names_and_everywhere_but_what_is_blocked() {
    let platform = "networkPolicy: {blockedCIDRs: [169.254.0.0/16, 10.0.0.0/24, 'fd00:ec2::254/128'], podCIDRs: [10.244.0.0/16, 'fd00:10::/56'], serviceCIDRs: [10.96.0.0/12]}";
    let env = asked(None, Expose::NodePort, platform).unwrap();
    let egress = &policy(&env)["egress"];
    let names = json!({
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        "to": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
             "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}},
            {"ipBlock": {"cidr": "169.254.20.10/32"}},
        ],
    });
    let out = json!({"to": [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/24", "10.96.0.0/12", "10.244.0.0/16", "169.254.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00:10::/56", "fd00:ec2::254/128"]}},
    ]});
    assert_eq!(*egress, json!([names, out]));
}

#[test]
fn where_everything_is_blocked_only_names_remain() {
    let platform = "networkPolicy: {blockedCIDRs: [0.0.0.0/0, '::/0']}";
    let egress = &policy(&asked(None, Expose::NodePort, platform).unwrap())["egress"];
    assert_eq!(egress.as_array().unwrap().len(), 1);
    assert!(egress[0]["ports"].is_array());
}

#[test]
fn an_empty_list_lets_in_the_platform_alone_and_no_sshd_nobody() {
    let env = asked(Some(&[]), Expose::NodePort, "").unwrap();
    assert!(blocks(&policy(&env)["ingress"]).is_empty());
    assert_eq!(
        policy(&env)["ingress"][0]["from"].as_array().unwrap().len(),
        1
    );
    let mut disabled = env;
    disabled.ssh.mode = SshMode::Disabled;
    assert_eq!(policy(&disabled)["ingress"], Value::Null);
}

#[test]
fn pods_are_taken_out_of_networks_that_contain_them() {
    let platform = "networkPolicy: {podCIDRs: [10.244.0.0/16]}";
    let env = asked(None, Expose::NodePort, platform).unwrap();
    assert_eq!(
        blocks(&policy(&env)["ingress"]),
        [
            json!({"cidr": "0.0.0.0/0", "except": ["10.244.0.0/16"]}),
            json!({"cidr": "::/0"})
        ]
    );
    let said = asked(Some(&["10.244.7.0/24"]), Expose::NodePort, platform).unwrap_err();
    assert!(
        said.starts_with("InvalidAllowedCIDRs: spec.ssh.allowedCIDRs[0]"),
        "{said}"
    );
}

#[test]
fn a_wrong_network_is_named_with_its_place_and_the_remedy() {
    for (networks, word) in [
        (["203.0.113.0/24", "corp"], "allowedCIDRs[1] \"corp\""),
        (["203.0.113.0/24", "203.0.113.7/24"], "203.0.113.7/32"),
        (["10.0.0.0", "::/0"], "allowedCIDRs[0]"),
    ] {
        let said = asked(Some(&networks), Expose::NodePort, "").unwrap_err();
        assert!(
            said.starts_with("InvalidAllowedCIDRs") && said.contains(word),
            "{said}"
        );
    }
}

#[test]
fn clients_keep_their_address_where_it_decides() {
    let policy_of = |networks, expose, platform| {
        let service = service(&asked(networks, expose, platform).unwrap());
        service["spec"]["externalTrafficPolicy"].clone()
    };
    let corp: Option<&[&str]> = Some(&["203.0.113.0/24"]);
    assert_eq!(policy_of(corp, Expose::NodePort, ""), json!("Local"));
    assert_eq!(policy_of(corp, Expose::LoadBalancer, ""), json!("Local"));
    // The API server refuses it elsewhere.
    assert_eq!(policy_of(corp, Expose::ClusterIP, ""), Value::Null);
    assert_eq!(policy_of(None, Expose::NodePort, ""), Value::Null);
    let pods = "networkPolicy: {podCIDRs: [10.244.0.0/16]}";
    assert_eq!(policy_of(None, Expose::NodePort, pods), json!("Local"));
}

#[test]
fn a_load_balancer_lets_through_whom_the_policy_lets_in() {
    let ranges = |networks, platform| {
        let service = service(&asked(networks, Expose::LoadBalancer, platform).unwrap());
        service["spec"]["loadBalancerSourceRanges"].clone()
    };
    let off = "networkPolicy: {enabled: false}";
    let corp: Option<&[&str]> = Some(&["203.0.113.0/24", "2001:db8::/32"]);
    assert_eq!(ranges(corp, ""), json!(["203.0.113.0/24", "2001:db8::/32"]));
    assert_eq!(
        ranges(corp, off),
        json!(["203.0.113.0/24", "2001:db8::/32"])
    );
    assert_eq!(ranges(None, ""), Value::Null);
    let said = asked(Some(&[]), Expose::LoadBalancer, "").unwrap_err();
    assert!(said.contains("let nobody in"), "{said}");
}

#[test]
fn without_policies_a_list_that_nothing_would_keep_is_refused() {
    let off = "networkPolicy: {enabled: false}";
    let env = asked(None, Expose::NodePort, off).unwrap();
    assert_eq!(policy(&env), Value::Null);
    let superfluous = devserver_core::desired::superfluous(&env, &desired(&env));
    assert!(superfluous.contains(&(Kind::NetworkPolicy, "devserver-my-dev-server".to_owned())));
    let said = asked(Some(&["203.0.113.0/24"]), Expose::NodePort, off).unwrap_err();
    assert!(said.contains("without NetworkPolicies"), "{said}");
}

#[test]
fn names_are_unique_by_construction() {
    let zone = "{dnsDomain: dev.example.com, dnsFlatNamespace: swish}";
    let host = |name: &str, namespace: &str, expose| {
        let (_, mut server) = fixtures::server("document-002");
        server.metadata.name = Some(name.to_owned());
        server.metadata.namespace = Some(namespace.to_owned());
        server.spec.ssh.expose = Some(expose);
        let platform = Platform::parse(zone).unwrap();
        let env = resolve(&server, &fixtures::references(), &platform)
            .map_err(|invalid| invalid.reason())?;
        let service = object(&env, Kind::Service, &format!("{name}-ssh"));
        let read = |key: &str| {
            let key = format!("external-dns.alpha.kubernetes.io/{key}");
            service["metadata"]["annotations"][key]
                .as_str()
                .map(str::to_owned)
        };
        assert_eq!(read("ttl").is_some(), read("hostname").is_some());
        assert!(read("ttl").is_none_or(|ttl| ttl == "60"));
        Ok::<_, &str>(read("hostname"))
    };
    let balanced = |name, namespace| host(name, namespace, Expose::LoadBalancer);
    assert_eq!(
        balanced("box", "dev-alice").unwrap().unwrap(),
        "box.dev-alice.dev.example.com"
    );
    assert_eq!(
        balanced("box", "swish").unwrap().unwrap(),
        "box.dev.example.com"
    );
    assert_eq!(
        host("box", "swish", Expose::NodePort).unwrap().unwrap(),
        "box.dev.example.com"
    );
    for expose in [Expose::ClusterIP, Expose::None] {
        assert_eq!(host("box", "swish", expose).unwrap(), None);
    }
    assert_eq!(balanced("xn--bcher-kva", "swish"), Err("InvalidDnsName"));
    let longest = balanced(&"a".repeat(52), &"b".repeat(63)).unwrap().unwrap();
    assert!(longest.len() <= 253 && longest.split('.').all(|label| label.len() <= 63));
}

fn network() -> impl Strategy<Value = String> {
    prop_oneof![
        (any::<u32>(), 0_u8..=32).prop_map(|(bits, prefix)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv4Addr::from(bits & mask))
        }),
        (any::<u64>(), 0_u8..=64).prop_map(|(bits, prefix)| {
            let bits = u128::from(bits) << 64;
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv6Addr::from(bits & mask))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What validation of networking.k8s.io/v1 demands: an exception lies in its block and is smaller.
    #[test]
    fn every_exception_lies_strictly_inside_its_block(
        allowed in prop::collection::vec(network(), 0..6),
        pods in prop::collection::vec(network(), 0..3),
        blocked in prop::collection::vec(network(), 0..6),
    ) {
        let platform = json!({"networkPolicy": {"podCIDRs": pods, "blockedCIDRs": blocked}}).to_string();
        let Ok(platform) = Platform::parse(&platform) else { return Ok(()) };
        let (_, mut server) = fixtures::server("document-002");
        server.spec.ssh.allowed_cidrs = Some(allowed);
        let Ok(env) = resolve(&server, &fixtures::references(), &platform) else { return Ok(()) };
        let policy = policy(&env);
        let text = |value: &Value| Cidr::parse(value.as_str().unwrap()).unwrap();
        for block in [blocks(&policy["ingress"]), blocks(&policy["egress"])].concat() {
            for except in block["except"].as_array().into_iter().flatten() {
                let (outer, inner) = (text(&block["cidr"]), text(except));
                prop_assert!(outer.contains(inner) && outer != inner, "{outer} {inner}");
            }
        }
    }

    /// Words of few letters, so that pieces of one come together as pieces of the other.
    #[test]
    fn g7_no_two_environments_have_one_name(
        one in ("[ab](-?[ab]){0,3}", "[ab](-?[ab]){0,3}"),
        other in ("[ab](-?[ab]){0,3}", "[ab](-?[ab]){0,3}"),
    ) {
        prop_assume!(one != other);
        let hosts = [one, other].map(|(name, namespace)| {
            let (_, mut server) = fixtures::server("document-002");
            server.metadata.name = Some(name);
            server.metadata.namespace = Some(namespace);
            server.spec.ssh.expose = Some(Expose::LoadBalancer);
            let platform = Platform::parse("{dnsDomain: b.a, dnsFlatNamespace: a}").unwrap();
            let env = resolve(&server, &fixtures::references(), &platform).unwrap();
            env.dns.unwrap().host
        });
        prop_assert_ne!(&hosts[0], &hosts[1]);
        prop_assert!(hosts.iter().all(|host| host.ends_with(".b.a")));
    }
}
