//! What is known of servers, their pods and people: an index fed by watches and asked at each connection.
//!
//! No call to the API server is needed to decide anything, so the gateway goes on while the API server is away.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use devserver_api::{Phase, cidr::Cidr, suspension::SuspendedBy};

use crate::{fingerprint::Fingerprint, target::ServerId};

/// A DevServer, reduced to what the gateway goes by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// UID: names are not identity.
    pub uid: String,
    /// `spec.owner`; absent: the user whose namespace it is in.
    pub owner: Option<String>,
    /// `spec.collaborators`: who, and the keys by which they may enter this server.
    pub collaborators: BTreeMap<String, HashSet<Fingerprint>>,
    /// Keys of `spec.ssh`, and those of `authorizedKeysFrom` as the operator tells them.
    pub keys: HashSet<Fingerprint>,
    /// `status.ssh.hostKeys`: by what its sshd is known.
    pub host_keys: HashSet<Fingerprint>,
    /// `status.ssh.user`: who logs in there; absent: not told yet.
    pub login_user: Option<String>,
    /// `spec.ssh.allowedCIDRs` with something in it: the networks people may come from. An empty list leaves the gateway as
    /// the only way in, and so does not bound it.
    pub allowed_networks: Option<Vec<Cidr>>,
    /// `spec.suspend`.
    pub suspended: bool,
    /// Who or what did.
    pub suspended_by: SuspendedBy,
    /// Whether it is being deleted.
    pub ends: bool,
    /// `status.phase`.
    pub phase: Option<Phase>,
}

/// A pod that says it belongs to a DevServer.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the pod that holds or not by itself"
)]
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
    /// Whether it is Ready, which means that sshd has answered.
    pub ready: bool,
    /// Whether its containers run for the first time and it is not Ready yet: sshd is about to answer.
    pub starts: bool,
    /// Whether it is being deleted.
    pub ends: bool,
    /// Named ports of its containers: `ssh`, `http`.
    pub ports: BTreeMap<String, u16>,
}

/// A DevServerUser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// `spec.username`.
    pub username: String,
    /// `status.namespace`: the operator confirms that the namespace is theirs.
    pub namespace: Option<String>,
    /// `spec.sshPublicKeys`.
    pub keys: HashSet<Fingerprint>,
    /// Whether the operator has refused the name, because another DevServerUser has it: then nothing of it counts.
    pub refused: bool,
}

/// The index.
#[derive(Debug, Default)]
pub struct Table {
    servers: HashMap<ServerId, Server>,
    /// Servers by everybody named in them; whoever owns one by its namespace is found by `by_namespace`.
    by_user: HashMap<String, BTreeSet<ServerId>>,
    by_namespace: HashMap<String, BTreeSet<ServerId>>,
    pods: HashMap<ServerId, Pod>,
    people: HashMap<String, Person>,
    by_username: HashMap<String, BTreeSet<String>>,
}

impl Table {
    /// A server was created or changed.
    pub fn put_server(&mut self, id: ServerId, server: Server) {
        self.remove_server(&id);
        for user in named(&server) {
            self.by_user.entry(user).or_default().insert(id.clone());
        }
        let of_namespace = self.by_namespace.entry(id.namespace.clone());
        of_namespace.or_default().insert(id.clone());
        self.servers.insert(id, server);
    }

    /// A server is gone.
    pub fn remove_server(&mut self, id: &ServerId) {
        let Some(server) = self.servers.remove(id) else {
            return;
        };
        for user in named(&server) {
            forget(&mut self.by_user, &user, id);
        }
        forget(&mut self.by_namespace, &id.namespace, id);
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
        self.remove_person(&name);
        let of_username = self.by_username.entry(person.username.clone());
        of_username.or_default().insert(name.clone());
        self.people.insert(name, person);
    }

    /// A DevServerUser is gone.
    pub fn remove_person(&mut self, name: &str) {
        if let Some(person) = self.people.remove(name) {
            forget(&mut self.by_username, &person.username, name);
        }
    }

    /// A server by its name.
    pub fn server(&self, id: &ServerId) -> Option<&Server> {
        self.servers.get(id)
    }

    /// The pod of a server: the one that carries its UID.
    pub fn pod(&self, id: &ServerId, server: &Server) -> Option<&Pod> {
        self.pods.get(id).filter(|pod| pod.server_uid == server.uid)
    }

    /// Whether the address is one of a node that has an environment.
    pub fn is_node(&self, address: IpAddr) -> bool {
        let mut of_nodes = self.pods.values().flat_map(|pod| &pod.host_addresses);
        of_nodes.any(|host| *host == address)
    }

    /// The DevServerUsers of that name that can be believed: one. Where there are several, those without the namespace of the
    /// name are not it, also before the operator has said so.
    pub fn people(&self, username: &str) -> impl Iterator<Item = &Person> {
        let all = || {
            let names = self.by_username.get(username).into_iter().flatten();
            let people = names.filter_map(|name| self.people.get(name));
            people.filter(|person| !person.refused)
        };
        let is_settled = all().any(|person| person.namespace.is_some());
        all().filter(move |person| !is_settled || person.namespace.is_some())
    }

    /// The namespaces that are the user's own.
    pub fn namespaces(&self, username: &str) -> impl Iterator<Item = &str> {
        self.people(username).filter_map(|p| p.namespace.as_deref())
    }

    /// Every server the user owns or is named in.
    pub fn servers_of(&self, user: &str) -> BTreeMap<&ServerId, &Server> {
        let named = self.by_user.get(user).into_iter().flatten();
        let in_own = self
            .namespaces(user)
            .filter_map(|namespace| self.by_namespace.get(namespace))
            .flatten()
            .filter(|id| self.servers.get(id).is_some_and(|s| s.owner.is_none()));
        named
            .chain(in_own)
            .filter_map(|id| Some((id, self.servers.get(id)?)))
            .collect()
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

fn named(server: &Server) -> BTreeSet<String> {
    let others = server.collaborators.keys().cloned();
    server.owner.iter().cloned().chain(others).collect()
}

fn forget<Q, T>(index: &mut HashMap<String, BTreeSet<T>>, key: &str, value: &Q)
where
    T: Ord + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    if let Some(set) = index.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            index.remove(key);
        }
    }
}
