//! What is known of servers, their pods and people: an index fed by watches and asked at each request.
//!
//! It decides which environment a host means and who may enter its editor. What pages show is asked of the API server in
//! the user's own name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::{IpAddr, SocketAddr},
};

use devserver_api::{Phase, Share, address, cidr::Cidr, port};

use crate::label;

/// A DevServer by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A DevServer, reduced to what the console goes by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// UID: names are not identity.
    pub uid: String,
    /// `spec.owner`; absent: the user whose namespace it is in.
    pub owner: Option<String>,
    /// `spec.collaborators`.
    pub collaborators: BTreeSet<String>,
    /// `spec.suspend`.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub ends: bool,
    /// `spec.ports`, those that may be shown.
    pub ports: BTreeMap<u16, port::Port>,
    /// `status.phase`.
    pub phase: Option<Phase>,
    /// Version of the object: tells a change from none.
    pub version: String,
}

/// A pod that says it belongs to a DevServer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// UID of the DevServer in its label.
    pub server_uid: String,
    /// `status.podIP`.
    pub address: Option<IpAddr>,
    /// `status.hostIP`s: never dialled.
    pub host_addresses: Vec<IpAddr>,
    /// Whether it shares the network of its node: never dialled.
    pub host_network: bool,
    /// Whether it is being deleted.
    pub ends: bool,
    /// Port of its editor.
    pub editor: Option<u16>,
    /// Every port that its containers have by their definition: the platform's programs listen there.
    pub taken: BTreeSet<u16>,
}

/// A DevServerUser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// `spec.username`.
    pub username: String,
    /// `status.namespace`: the operator confirms that the namespace is theirs.
    pub namespace: Option<String>,
}

/// What a host leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The server.
    pub id: ServerId,
    /// Which of its ports.
    pub port: Target,
}

/// What a server offers by a host of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The editor.
    Editor,
    /// A declared port.
    Port(u16),
}

/// What somebody is to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is theirs.
    Owner,
    /// Its owner named them.
    Collaborator,
    /// The port is for everybody who is logged in.
    Guest,
}

/// Why an editor or a port cannot be reached now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// Stopped; only a wish starts it.
    Suspended,
    /// On its way.
    Starting,
    /// Being deleted.
    Ends,
    /// Tried and failed; its status says why.
    Failed,
    /// It runs and has no editor.
    NoEditor,
    /// The port is not declared, or a program of the platform has it.
    NoPort,
    /// It runs, and nothing answers at the port.
    Silent,
    /// Its pod has an address that is none of a pod.
    Address,
}

/// The index.
#[derive(Debug, Default)]
pub struct Table {
    allow_shared_ports: bool,
    servers: HashMap<ServerId, Server>,
    pods: HashMap<ServerId, Pod>,
    people: HashMap<String, Person>,
    labels: HashMap<String, Place>,
}

/// The hosts of a server: the editor's, and one for each declared port.
fn labels(id: &ServerId, server: &Server) -> Vec<(String, Place)> {
    let place = |port| Place {
        id: id.clone(),
        port,
    };
    let port = |number: &u16| (label::of_port(*number, id), place(Target::Port(*number)));
    std::iter::once((label::of(id), place(Target::Editor)))
        .chain(server.ports.keys().map(port))
        .collect()
}

impl Table {
    /// Nothing known yet. Without `allow_shared_ports` nobody is a guest, whatever a server says of its ports.
    pub fn new(allow_shared_ports: bool) -> Self {
        Self {
            allow_shared_ports,
            ..Self::default()
        }
    }

    /// A server was created or changed.
    pub fn put_server(&mut self, id: ServerId, server: Server) {
        self.remove_server(&id);
        self.labels.extend(labels(&id, &server));
        self.servers.insert(id, server);
    }

    /// A server is gone.
    pub fn remove_server(&mut self, id: &ServerId) {
        if let Some(server) = self.servers.remove(id) {
            for (label, _) in labels(id, &server) {
                self.labels.remove(&label);
            }
        }
    }

    /// The pod of a server was created or changed.
    pub fn put_pod(&mut self, id: ServerId, pod: Pod) {
        self.pods.insert(id, pod);
    }

    /// The pod of a server is gone.
    pub fn remove_pod(&mut self, id: &ServerId) {
        self.pods.remove(id);
    }

    /// A DevServerUser was created or changed.
    pub fn put_person(&mut self, name: String, person: Person) {
        self.people.insert(name, person);
    }

    /// A DevServerUser is gone.
    pub fn remove_person(&mut self, name: &str) {
        self.people.remove(name);
    }

    /// A server by its name.
    pub fn server(&self, id: &ServerId) -> Option<&Server> {
        self.servers.get(id)
    }

    /// What a host's first label leads to.
    pub fn place(&self, label: &str) -> Option<&Place> {
        self.labels.get(label)
    }

    /// The namespaces that are the user's own.
    pub fn namespaces<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a str> {
        let theirs = self.people.values().filter(move |p| p.username == user);
        theirs.filter_map(|p| p.namespace.as_deref())
    }

    /// What the user is to the server.
    pub fn role(&self, user: &str, id: &ServerId) -> Option<Role> {
        let server = self.servers.get(id)?;
        let is_owner = match &server.owner {
            Some(owner) => owner == user,
            None => self.namespaces(user).any(|own| own == id.namespace),
        };
        if is_owner {
            return Some(Role::Owner);
        }
        server
            .collaborators
            .contains(user)
            .then_some(Role::Collaborator)
    }

    /// As what the user may go there. Everybody has to be logged in; nothing is shown to strangers.
    pub fn may_enter(&self, user: &str, place: &Place) -> Option<Role> {
        if let Some(role) = self.role(user, &place.id) {
            return Some(role);
        }
        let Target::Port(number) = place.port else {
            return None;
        };
        let port = self.servers.get(&place.id)?.ports.get(&number)?;
        let is_shared = port.share == Share::Authenticated && self.allow_shared_ports;
        is_shared.then_some(Role::Guest)
    }

    /// Every server the user owns or is named in.
    pub fn servers_of(&self, user: &str) -> BTreeMap<&ServerId, (&Server, Role)> {
        let all = self.servers.iter();
        all.filter_map(|(id, server)| Some((id, (server, self.role(user, id)?))))
            .collect()
    }

    /// The address behind a place.
    pub fn locate(&self, place: &Place, pod_networks: &[Cidr]) -> Result<SocketAddr, Away> {
        let server = self.servers.get(&place.id).ok_or(Away::Ends)?;
        if server.ends {
            return Err(Away::Ends);
        }
        if server.suspended {
            return Err(Away::Suspended);
        }
        let pod = self.pods.get(&place.id);
        let pod = pod.filter(|pod| pod.server_uid == server.uid && !pod.ends);
        let Some((pod, ip)) = pod.and_then(|pod| Some((pod, pod.address?))) else {
            return Err(match server.phase {
                Some(Phase::Failed) => Away::Failed,
                _ => Away::Starting,
            });
        };
        let port = match place.port {
            Target::Editor => pod.editor.ok_or(Away::NoEditor)?,
            Target::Port(number) => {
                let is_declared = server.ports.contains_key(&number);
                // Whatever the spec says: sshd, the agent and the editor are not shown as pages.
                let may = is_declared && !pod.taken.contains(&number);
                may.then_some(number).ok_or(Away::NoPort)?
            }
        };
        let is_node = |pod: &Pod| pod.host_addresses.contains(&ip);
        let shares_node = pod.host_network || self.pods.values().any(is_node);
        if shares_node || !address::is_dialable(ip, pod_networks) {
            return Err(Away::Address);
        }
        Ok(SocketAddr::new(ip, port))
    }

    /// Whether the server's pod has an editor.
    pub fn has_editor(&self, id: &ServerId) -> bool {
        let pod = self.pods.get(id);
        pod.is_some_and(|pod| pod.editor.is_some())
    }

    /// Ids of all servers: what a new list is compared with.
    pub fn server_ids(&self) -> Vec<ServerId> {
        self.servers.keys().cloned().collect()
    }

    /// Ids of all pods.
    pub fn pod_ids(&self) -> Vec<ServerId> {
        self.pods.keys().cloned().collect()
    }

    /// Names of all DevServerUsers.
    pub fn person_names(&self) -> Vec<String> {
        self.people.keys().cloned().collect()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
