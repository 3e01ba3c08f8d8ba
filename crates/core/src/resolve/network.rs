//! Who may reach the environment, what it may reach, and its name in the DNS.

use devserver_api::{Expose, SshMode, SshSpec, cidr::Cidr, names::ServerName};

use crate::{
    Platform,
    environment::{Block, Clients, Dns, Network, Ssh},
    invalid::NetworkError,
};

/// Seconds a resolver may keep an address (decision of document 003): how long a name can outlive its machine.
const TTL_SECONDS: u32 = 60;

/// Networks that may reach sshd, of the DevServer or else of the platform.
pub(super) fn ssh_from(spec: &SshSpec, platform: &Platform) -> Result<Vec<Cidr>, NetworkError> {
    let settings = &platform.network_policy;
    let Some(asked) = &spec.allowed_cidrs else {
        return Ok(settings.default_allowed_cidrs.clone());
    };
    let mut networks = Vec::new();
    for (index, text) in asked.iter().enumerate() {
        let network = Cidr::parse(text).map_err(|error| NetworkError::Cidr {
            index,
            text: text.clone(),
            error,
        })?;
        if let Some(pods) = settings.pod_cidrs.iter().find(|p| p.contains(network)) {
            return Err(NetworkError::OfPods {
                index,
                network: network.to_string(),
                pods: pods.to_string(),
            });
        }
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    Ok(networks)
}

/// The NetworkPolicy, when the platform has them.
pub(super) fn network(ssh_from: &[Cidr], platform: &Platform) -> Option<Network> {
    let settings = &platform.network_policy;
    if !settings.enabled {
        return None;
    }
    let closed: Vec<Cidr> = [
        &settings.blocked_cidrs,
        &settings.pod_cidrs,
        &settings.service_cidrs,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect();
    let everywhere = ["0.0.0.0/0", "::/0"]
        .into_iter()
        .filter_map(|text| text.parse().ok());
    Some(Network {
        ssh_from: ssh_from
            .iter()
            .filter_map(|network| without(*network, &settings.pod_cidrs))
            .collect(),
        reaches: everywhere.filter_map(|all| without(all, &closed)).collect(),
        name_servers: settings.dns_cidrs.clone(),
        platform_namespace: settings.platform_namespace.clone(),
    })
}

/// The network without those; nothing when nothing is left. An exception must lie in its network and be smaller.
fn without(cidr: Cidr, closed: &[Cidr]) -> Option<Block> {
    if closed.iter().any(|c| c.contains(cidr)) {
        return None;
    }
    let mut except: Vec<Cidr> = closed
        .iter()
        .copied()
        .filter(|c| cidr.contains(*c))
        .collect();
    except.sort_unstable();
    except.dedup();
    Some(Block { cidr, except })
}

/// What clients from outside of the cluster meet before they meet the NetworkPolicy.
pub(super) fn clients(
    ssh_from: &[Cidr],
    ssh: &Ssh,
    spec: &SshSpec,
    platform: &Platform,
) -> Result<Clients, NetworkError> {
    let settings = &platform.network_policy;
    let balanced = ssh.expose == Expose::LoadBalancer;
    if !settings.enabled && !balanced && spec.allowed_cidrs.is_some() {
        return Err(NetworkError::NotKept);
    }
    // An empty list of source ranges means everybody: the opposite of what an empty list of networks means here.
    if balanced && ssh_from.is_empty() && ssh.mode != SshMode::Disabled {
        return Err(NetworkError::NobodyAllowed);
    }
    let everybody = [true, false].into_iter().all(|v4| {
        ssh_from
            .iter()
            .any(|n| n.is_everything() && n.is_v4() == v4)
    });
    Ok(Clients {
        source_ranges: if balanced && !everybody {
            ssh_from.to_vec()
        } else {
            Vec::new()
        },
        // A node that passes a connection on puts its own address into it, in many clusters one of the pods'.
        keep_address: settings.enabled && (!everybody || !settings.pod_cidrs.is_empty()),
    })
}

/// The name in the DNS of what is reached from outside of the cluster.
pub(super) fn dns(
    name: &ServerName,
    namespace: &str,
    ssh: &Ssh,
    platform: &Platform,
) -> Result<Option<Dns>, NetworkError> {
    let Some(domain) = &platform.dns_domain else {
        return Ok(None);
    };
    let reachable = matches!(ssh.expose, Expose::LoadBalancer | Expose::NodePort);
    if !reachable || ssh.mode == SshMode::Disabled {
        return Ok(None);
    }
    // Two hyphens there say that the name stands for another (RFC 5890), which may look like somebody else's.
    if name.as_str().get(2..4) == Some("--") {
        return Err(NetworkError::DnsName);
    }
    // Unique by construction: labels hold no dots, and names in the flat namespace have one label less than all others.
    let host = if platform.dns_flat_namespace.as_deref() == Some(namespace) {
        format!("{name}.{domain}")
    } else {
        format!("{name}.{namespace}.{domain}")
    };
    Ok(Some(Dns {
        host,
        ttl_seconds: TTL_SECONDS,
    }))
}
