//! From a name and a port to the address of a pod, or to the reason why not.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use devserver_api::{Phase, cidr::Cidr, group, suspension::SuspendedBy};

use crate::{
    access::{self, Grant, Role},
    address,
    audit::Mode,
    escape::escape,
    table::{Pod, Server, Table},
    target::{ServerId, Target},
};

/// Ports that a client may ask for, and the named port of the pod that each leads to.
const DECLARED: [(u16, &str); 2] = [(22, "ssh"), (80, "http")];

/// Where a channel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The server.
    pub id: ServerId,
    /// Its UID.
    pub uid: String,
    /// Its pod.
    pub address: SocketAddr,
}

/// Why a channel leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such server, or it is none of theirs. One answer for both, or names could be guessed.
    NotFound,
    /// More than one server of theirs has that name.
    Ambiguous(Vec<ServerId>),
    /// Not a port that the server declares.
    Port(u32),
    /// Stopped; only a wish starts it.
    Suspended {
        /// The server.
        id: ServerId,
        /// Who or what stopped it.
        by: SuspendedBy,
    },
    /// On its way; later it may answer.
    Starting(ServerId),
    /// Being deleted.
    Ends(ServerId),
    /// Tried and failed; its status says why.
    Failed(ServerId),
    /// Its pod has an address that is none of a pod.
    Address(ServerId),
    /// Its owner allows other networks than the one the client is in.
    Network(ServerId),
}

impl Refusal {
    /// Bounded word for metrics and the audit.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Ambiguous(_) => "ambiguous",
            Self::Port(_) => "port",
            Self::Suspended { .. } => "suspended",
            Self::Starting(_) => "starting",
            Self::Ends(_) => "ends",
            Self::Failed(_) => "failed",
            Self::Address(_) => "address",
            Self::Network(_) => "network",
        }
    }
}

/// What the client is told: what is the matter and what to do.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str(
                "no such environment, or none you may reach with this key; `devctl list` shows yours",
            ),
            Self::Ambiguous(ids) => {
                let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
                write!(f, "several environments have that name; write one of {}", names.join(", "))
            }
            Self::Port(port) => write!(f, "port {port} is not one an environment has here; use 22"),
            Self::Suspended { id, by } => {
                match by {
                    SuspendedBy::User(name) => write!(f, "{id} was suspended by {}", escape(name)),
                    SuspendedBy::Somebody => write!(f, "{id} was suspended on request"),
                    SuspendedBy::Policy(_) => {
                        write!(f, "{id} is suspended because nobody used it")
                    }
                }?;
                write!(f, "; start it with `devctl resume {}`", id.name)
            }
            Self::Starting(id) => write!(f, "{id} is starting; try again in a moment"),
            Self::Ends(id) => write!(f, "{id} is being deleted"),
            Self::Failed(id) => {
                write!(f, "{id} could not start; `devctl describe {}` says why", id.name)
            }
            Self::Network(id) => write!(
                f,
                "{id} may not be reached from your network; spec.ssh.allowedCIDRs names those it may be reached from"
            ),
            Self::Address(id) => write!(
                f,
                "{id} has an address that may not be reached from here; tell an administrator"
            ),
        }
    }
}

/// The server that a target means for somebody. Only servers they may reach are looked at, so what others have changes
/// neither the answer nor its time.
pub fn find(
    table: &Table,
    grant: &Grant,
    target: &Target,
    mode: Mode,
) -> Result<(ServerId, Role), Refusal> {
    let may = match mode {
        Mode::Jump => access::may_reach,
        Mode::Direct => access::may_enter,
    };
    let wanted = target.server.as_str();
    let in_namespace = |id: &ServerId| match &target.namespace {
        Some(namespace) => id.namespace == *namespace,
        None => true,
    };
    let mut found: Vec<(ServerId, Role)> = table
        .servers_of(&grant.user)
        .into_iter()
        .filter(|(id, _)| id.name == wanted && in_namespace(id))
        .filter_map(|(id, server)| {
            let role = may(table, grant, id, server)?;
            Some((id.clone(), role))
        })
        .collect();
    let own: Vec<usize> = found
        .iter()
        .enumerate()
        .filter(|(_, (id, _))| table.namespaces(&grant.user).any(|own| own == id.namespace))
        .map(|(index, _)| index)
        .collect();
    match (found.len(), own.as_slice()) {
        (0, _) => Err(Refusal::NotFound),
        (1, _) => found.pop().ok_or(Refusal::NotFound),
        (_, [index]) => Ok(found.swap_remove(*index)),
        _ => Err(Refusal::Ambiguous(
            found.into_iter().map(|(id, _)| id).collect(),
        )),
    }
}

/// The address behind a server that was found, for a client with that address.
pub fn locate(
    table: &Table,
    id: &ServerId,
    port: u32,
    client: IpAddr,
    pod_networks: &[Cidr],
) -> Result<Route, Refusal> {
    at(table, id, port, client, pod_networks, |pod| pod.ready)
}

/// The same for one whose containers run for the first time: sshd may answer a moment before a probe has noticed.
pub fn early(
    table: &Table,
    id: &ServerId,
    port: u32,
    client: IpAddr,
    pod_networks: &[Cidr],
) -> Option<Route> {
    at(table, id, port, client, pod_networks, |pod| pod.starts).ok()
}

fn at(
    table: &Table,
    id: &ServerId,
    port: u32,
    client: IpAddr,
    pod_networks: &[Cidr],
    may: fn(&Pod) -> bool,
) -> Result<Route, Refusal> {
    let server = table.server(id).ok_or(Refusal::NotFound)?;
    let allowed = server.allowed_networks.as_ref();
    if allowed.is_some_and(|all| !all.iter().any(|n| address::holds(*n, client))) {
        return Err(Refusal::Network(id.clone()));
    }
    let name = declared(port).ok_or(Refusal::Port(port))?;
    if server.ends {
        return Err(Refusal::Ends(id.clone()));
    }
    if server.suspended {
        return Err(Refusal::Suspended {
            id: id.clone(),
            by: server.suspended_by.clone(),
        });
    }
    let Some((pod, ip)) = addressed(table, id, server, may) else {
        return Err(match server.phase {
            Some(Phase::Failed) => Refusal::Failed(id.clone()),
            _ => Refusal::Starting(id.clone()),
        });
    };
    let number = pod.ports.get(name).copied().ok_or(Refusal::Port(port))?;
    let shares_node = pod.host_network || pod.host_addresses.contains(&ip) || table.is_node(ip);
    if shares_node || !address::is_dialable(ip, pod_networks) {
        return Err(Refusal::Address(id.clone()));
    }
    Ok(Route {
        id: id.clone(),
        uid: server.uid.clone(),
        address: SocketAddr::new(ip, number),
    })
}

/// The port of the sidecar's sshd is a way to say `ssh`, because that is where it listens.
fn declared(port: u32) -> Option<&'static str> {
    let port = u16::try_from(port).ok()?;
    if i32::from(port) == group::SIDECAR_SSH_PORT {
        return Some("ssh");
    }
    DECLARED
        .iter()
        .find(|(number, _)| *number == port)
        .map(|(_, name)| *name)
}

fn addressed<'a>(
    table: &'a Table,
    id: &ServerId,
    server: &Server,
    may: fn(&Pod) -> bool,
) -> Option<(&'a Pod, IpAddr)> {
    let pod = table.pod(id, server).filter(|pod| may(pod) && !pod.ends)?;
    Some((pod, pod.address?))
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
