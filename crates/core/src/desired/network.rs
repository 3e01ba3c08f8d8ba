//! Who may reach the pod and what it may reach (networking.k8s.io/v1).
//!
//! Not in it, because no policy can forbid them: the kubelet's probes (a node reaches its own pods) and `port-forward`,
//! which enters the pod from inside, after the API server has asked whether one may.

use std::collections::BTreeMap;

use devserver_api::{SshMode, cidr::Cidr};
use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule,
        NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
        util::intstr::IntOrString,
    },
};

use super::meta::{label_selector, object_meta};
use crate::{
    Environment,
    environment::{Block, Network},
};

/// Label that the API server gives every namespace; nobody can claim another's.
const LABEL_NAMESPACE: &str = "kubernetes.io/metadata.name";
/// Components of the platform that people come through.
const WAYS_IN: [&str; 2] = ["gateway", "console"];

pub(super) fn policy(env: &Environment) -> Option<NetworkPolicy> {
    let network = env.network.as_ref()?;
    Some(NetworkPolicy {
        metadata: object_meta(env, env.name.network_policy()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(env)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: ssh(env, network).map(|rule| vec![rule]),
            egress: Some(egress(network)),
        }),
    })
}

/// The way in; none without sshd.
fn ssh(env: &Environment, network: &Network) -> Option<NetworkPolicyIngressRule> {
    if env.ssh.mode == SshMode::Disabled {
        return None;
    }
    let platform = NetworkPolicyPeer {
        namespace_selector: Some(namespace(&network.platform_namespace)),
        pod_selector: Some(ways_in()),
        ..NetworkPolicyPeer::default()
    };
    let clients = network.ssh_from.iter().map(block);
    Some(NetworkPolicyIngressRule {
        from: Some(std::iter::once(platform).chain(clients).collect()),
        // By name: when the mode changes, a pod that waits for its restart still has the other number.
        ports: Some(vec![at("TCP", IntOrString::String("ssh".to_owned()))]),
    })
}

fn egress(network: &Network) -> Vec<NetworkPolicyEgressRule> {
    let cluster_dns = NetworkPolicyPeer {
        namespace_selector: Some(namespace("kube-system")),
        pod_selector: Some(labelled("k8s-app", "kube-dns")),
        ..NetworkPolicyPeer::default()
    };
    let name_servers = network.name_servers.iter().map(|server| {
        block(&Block {
            cidr: *server,
            except: Vec::new(),
        })
    });
    let names = NetworkPolicyEgressRule {
        to: Some(std::iter::once(cluster_dns).chain(name_servers).collect()),
        ports: Some(["UDP", "TCP"].map(|p| at(p, IntOrString::Int(53))).to_vec()),
    };
    let mut rules = vec![names];
    // No peers at all would mean: to everywhere.
    if !network.reaches.is_empty() {
        rules.push(NetworkPolicyEgressRule {
            to: Some(network.reaches.iter().map(block).collect()),
            ports: None,
        });
    }
    rules
}

fn block(block: &Block) -> NetworkPolicyPeer {
    let except: Vec<String> = block.except.iter().map(Cidr::to_string).collect();
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: block.cidr.to_string(),
            except: Some(except).filter(|list| !list.is_empty()),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn at(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(port),
        end_port: None,
    }
}

fn namespace(name: &str) -> LabelSelector {
    labelled(LABEL_NAMESPACE, name)
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    }
}

fn ways_in() -> LabelSelector {
    LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: "app.kubernetes.io/component".to_owned(),
            operator: "In".to_owned(),
            values: Some(WAYS_IN.map(str::to_owned).to_vec()),
        }]),
        ..LabelSelector::default()
    }
}
