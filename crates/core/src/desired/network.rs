//! Who may reach the pod and what it may reach (networking.k8s.io/v1).
//!
//! Not in it, because no policy can forbid them: the kubelet's probes (a node reaches its own pods) and `port-forward`,
//! which enters the pod from inside, after the API server has asked whether one may.

use std::collections::BTreeMap;

use devserver_api::{SshMode, cidr::Cidr, group};
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

use super::{
    meta::{label_selector, object_meta},
    sidecar,
};
use crate::{
    Environment,
    environment::{Block, Network},
};

/// Label that the API server gives every namespace; nobody can claim another's.
const LABEL_NAMESPACE: &str = "kubernetes.io/metadata.name";
/// Components of the platform that people come through.
const WAYS_IN: [&str; 2] = ["gateway", CONSOLE];
const CONSOLE: &str = "console";
/// Asks the agents for their reports.
const OPERATOR: &str = "operator";
/// Ports of the API server.
const API_SERVER_PORTS: [i32; 2] = [443, 6443];

pub(super) fn policy(env: &Environment) -> Option<NetworkPolicy> {
    let network = env.network.as_ref()?;
    Some(NetworkPolicy {
        metadata: object_meta(env, env.name.network_policy()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(env)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(env, network)).filter(|rules| !rules.is_empty()),
            egress: Some(egress(env, network)),
        }),
    })
}

fn ingress(env: &Environment, network: &Network) -> Vec<NetworkPolicyIngressRule> {
    ssh(env, network)
        .into_iter()
        .chain(editor(env, network))
        .chain(ports(env, network))
        .chain(activity(env, network))
        .collect()
}

/// The agents' reports of use: for the operator alone, which has to present a token as well.
fn activity(env: &Environment, network: &Network) -> Option<NetworkPolicyIngressRule> {
    env.activity.as_ref()?;
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(namespace(&network.platform_namespace)),
        pod_selector: Some(labelled("app.kubernetes.io/component", OPERATOR)),
        ..NetworkPolicyPeer::default()
    };
    let ports =
        sidecar::health_ports(env).map(|port| at("TCP", IntOrString::String(port.to_owned())));
    Some(NetworkPolicyIngressRule {
        from: Some(vec![operator]),
        ports: Some(ports.collect()),
    })
}

/// The editor asks nobody who they are: the console has done so, and nobody else is let in.
fn editor(env: &Environment, network: &Network) -> Option<NetworkPolicyIngressRule> {
    env.features.editor.as_ref()?;
    let port = IntOrString::String(group::EDITOR_PORT_NAME.to_owned());
    Some(NetworkPolicyIngressRule {
        from: Some(vec![console(network)]),
        ports: Some(vec![at("TCP", port)]),
    })
}

/// Declared ports. By number: the pod need not know of them, so they open and close without a restart.
fn ports(env: &Environment, network: &Network) -> Option<NetworkPolicyIngressRule> {
    let numbers = env.features.ports.iter();
    let ports: Vec<_> = numbers
        .map(|port| at("TCP", IntOrString::Int(i32::from(*port))))
        .collect();
    // No ports at all would mean: all of them.
    (!ports.is_empty()).then(|| NetworkPolicyIngressRule {
        from: Some(vec![console(network)]),
        ports: Some(ports),
    })
}

fn console(network: &Network) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(namespace(&network.platform_namespace)),
        pod_selector: Some(labelled("app.kubernetes.io/component", CONSOLE)),
        ..NetworkPolicyPeer::default()
    }
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

fn egress(env: &Environment, network: &Network) -> Vec<NetworkPolicyEgressRule> {
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
    // Only that server, and only for those that have rights there.
    let servers = env
        .features
        .kube_access
        .as_ref()
        .map(|access| &access.api_servers);
    if let Some(servers) = servers.filter(|servers| !servers.is_empty()) {
        let server = |cidr: &Cidr| {
            block(&Block {
                cidr: *cidr,
                except: Vec::new(),
            })
        };
        let ports = API_SERVER_PORTS.map(|port| at("TCP", IntOrString::Int(port)));
        rules.push(NetworkPolicyEgressRule {
            to: Some(servers.iter().map(server).collect()),
            ports: Some(ports.to_vec()),
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
