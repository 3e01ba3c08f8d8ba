//! A gateway in this process, the people it knows, and what it says.

use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use devserver_api::Phase;
use devserver_gateway::{
    audit::Audit,
    authority::Authority,
    connection::protocol,
    fingerprint::Fingerprint,
    gateway::{Edges, Gateway},
    key_files::Trusted,
    listen,
    settings::Settings,
    table::{Person, Pod, Server},
    target::ServerId,
    wake::Wake,
    workers::Workers,
};
use russh::keys::{Algorithm, PrivateKey};
use tokio_util::sync::CancellationToken;

use crate::pods::Streets;

/// Longest wait for anything that has to happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for the condition, or says what there was instead.
pub async fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < limit, "not seen in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What must not take long.
pub async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(DEADLINE, happens).await;
    ended.unwrap_or_else(|_| panic!("took too long: {what}"))
}

pub fn new_key() -> Arc<PrivateKey> {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
    Arc::new(key.unwrap())
}

/// Where the audit goes.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A running gateway, and Alice, Bob and Mallory with a box each in their own namespaces.
pub struct Rig {
    pub gateway: Arc<Gateway>,
    pub address: SocketAddr,
    pub host_key: Arc<PrivateKey>,
    pub alice: Arc<PrivateKey>,
    pub bob: Arc<PrivateKey>,
    pub mallory: Arc<PrivateKey>,
    pub streets: Arc<Streets>,
    told: CancellationToken,
    paper: Paper,
    _workers: Arc<Workers>,
}

/// What a rig is made of.
#[derive(Default)]
pub struct Parts {
    pub settings: Settings,
    pub trusted: Trusted,
    pub wake: Option<Arc<dyn Wake>>,
    pub authority: Option<PrivateKey>,
}

impl Rig {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Parts::default();
        parts.settings.rejection_time = Duration::from_millis(20);
        parts.settings.drain_delay = Duration::ZERO;
        // Every test comes from this machine, and not all of them behave.
        parts.settings.rules.threshold = 0.0;
        change(&mut parts);
        let paper = Paper::default();
        let streets = Arc::new(Streets::default());
        let edges = Edges {
            dial: Arc::clone(&streets) as _,
            wake: parts.wake,
            audit: Audit::to(paper.clone()).unwrap(),
            authority: parts.authority.map(Authority::new).map(Arc::new),
        };
        let host_key = new_key();
        let protocol = Arc::new(protocol(&parts.settings, vec![(*host_key).clone()]));
        let gateway = Gateway::new(parts.settings, parts.trusted, edges);
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        gateway
            .ready
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let workers = Arc::new(Workers::start().unwrap());
        let (serving, shared) = (Arc::clone(&gateway), Arc::clone(&workers));
        tokio::spawn(async move { listen::accept(serving, protocol, listener, &shared).await });
        let told = CancellationToken::new();
        let (drained, tell) = (Arc::clone(&gateway), told.clone());
        tokio::spawn(async move { listen::drain(&drained, tell).await });
        let rig = Self {
            gateway,
            address,
            host_key,
            alice: new_key(),
            bob: new_key(),
            mallory: new_key(),
            streets,
            told,
            paper,
            _workers: workers,
        };
        for (name, key) in [
            ("alice", &rig.alice),
            ("bob", &rig.bob),
            ("mallory", &rig.mallory),
        ] {
            rig.settle(name, key);
        }
        rig
    }

    /// A person, a box in their namespace, and its pod at `10.244.0.<number>`.
    fn settle(&self, name: &str, key: &PrivateKey) {
        let fingerprint = Fingerprint::of(key.public_key().key_data());
        let person = Person {
            username: name.to_owned(),
            namespace: Some(format!("dev-{name}")),
            keys: HashSet::new(),
            refused: false,
        };
        let server = Server {
            uid: format!("uid-{name}"),
            owner: Some(name.to_owned()),
            keys: HashSet::from([fingerprint]),
            phase: Some(Phase::Running),
            ..Server::default()
        };
        let id = id("box", &format!("dev-{name}"));
        self.gateway.change(|table| {
            table.put_person(name.to_owned(), person);
            table.put_server(id.clone(), server);
            table.put_pod(id, pod(name));
        });
    }

    /// Changes the row of a box.
    pub fn change(&self, owner: &str, change: impl FnOnce(&mut Server, &mut Pod)) {
        let id = id("box", &format!("dev-{owner}"));
        self.gateway.change(|table| {
            let mut server = table.server(&id).cloned().unwrap();
            let mut pod = table.pod(&id, &server).cloned().unwrap();
            change(&mut server, &mut pod);
            table.put_server(id.clone(), server);
            table.put_pod(id, pod);
        });
    }

    /// SIGTERM.
    pub fn end(&self) {
        self.told.cancel();
    }

    /// Lines of the audit about an event.
    pub fn audit(&self, event: &str) -> Vec<serde_json::Value> {
        let bytes = self.paper.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|line| line["event"] == event)
            .collect()
    }

    /// The first line of the audit about an event for which the field has that value.
    pub async fn audited(&self, event: &str, field: &str, value: &str) -> serde_json::Value {
        let what = format!("audit of {event} with {field} = {value}");
        eventually(&what, || {
            self.audit(event)
                .into_iter()
                .find(|line| line[field] == value)
        })
        .await
    }
}

pub fn id(name: &str, namespace: &str) -> ServerId {
    ServerId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// Address of the pod of somebody's box.
pub fn pod_address(owner: &str) -> SocketAddr {
    let number = owner.as_bytes()[0];
    SocketAddr::from(([10, 244, 0, number], 22))
}

fn pod(owner: &str) -> Pod {
    Pod {
        server_uid: format!("uid-{owner}"),
        address: Some(pod_address(owner).ip()),
        ready: true,
        ports: BTreeMap::from([("ssh".to_owned(), 22)]),
        ..Pod::default()
    }
}
