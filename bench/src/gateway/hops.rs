//! What is in the middle: the gateway, the jump host, or nothing; and how ssh is told of the ways, near and far.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::{
    delay::Delay,
    environments::BOX,
    site::{Server, Site, USER, free_port},
    ways::Way,
};
use crate::{operator::program, page};

/// What the image sets; measured is what is deployed.
const IMAGE: &str = include_str!("../../../images/gateway/image.json");

/// Owner of the environments, and so the user at the gateway.
pub const OWNER: &str = "bench@example.com";

/// All ends of all ways.
pub struct Hops {
    /// The program under test.
    pub gateway: Server,
    /// An OpenSSH server on the same machine.
    pub jump: Server,
    /// The environment's sshd.
    pub target: Server,
    /// Where the environments are.
    pub namespace: String,
}

impl Hops {
    /// Starts all; the pods of the namespace have ssh on that port.
    pub async fn start(site: &Site, namespace: &str, port: u16) -> Result<Self> {
        Ok(Self {
            target: site.target(port).await?,
            jump: site.jump().await?,
            gateway: gateway(site, namespace).await?,
            namespace: namespace.to_owned(),
        })
    }

    /// The process in the middle and all of its own.
    pub fn pid(&self, way: Way) -> Result<Option<u32>> {
        match way {
            Way::Gateway => self.gateway.pid().map(Some),
            Way::ProxyJump => self.jump.pid().map(Some),
            Way::Direct => Ok(None),
        }
    }

    /// Where a client connects to.
    pub fn first(&self, way: Way) -> SocketAddr {
        match way {
            Way::Gateway => self.gateway.address,
            Way::ProxyJump => self.jump.address,
            Way::Direct => self.target.address,
        }
    }

    /// Who enters there.
    pub fn user(way: Way) -> &'static str {
        match way {
            Way::Gateway => OWNER,
            Way::ProxyJump | Way::Direct => USER,
        }
    }

    /// What the hop is asked for: the environment's name, or the address of its pod.
    pub fn wish(&self, way: Way) -> (String, u16) {
        match way {
            Way::Gateway => (format!("{BOX}.{}", self.namespace), 22),
            Way::ProxyJump | Way::Direct => (
                self.target.address.ip().to_string(),
                self.target.address.port(),
            ),
        }
    }
}

/// The gateway; bounds that keep one person from taking everything are raised, because here one person is everybody.
async fn gateway(site: &Site, namespace: &str) -> Result<Server> {
    let (ssh, pages) = (free_port()?, free_port()?);
    let mut command = Command::new(program("devserver-gateway", "DEVSERVER_GATEWAY")?);
    command
        .envs(tunables()?)
        .args(["run", "--watch-namespace", namespace])
        .args(["--ssh", &ssh.to_string(), "--listen", &pages.to_string()])
        .arg("--host-keys")
        .arg(site.path("host-keys"))
        .arg("--audit-file")
        .arg(site.path("audit.jsonl"))
        .args(["--max-unauthenticated", "10000"])
        .args(["--max-unauthenticated-per-source", "10000"])
        .args(["--max-connections-per-user", "10000"])
        .args(["--penalty-exempt", "127.0.0.0/8"])
        .stderr(fs::File::create(site.path("gateway.log"))?);
    let server = Server::start(command, ssh)
        .await
        .context("failed to start the gateway")?;
    for _ in 0..100 {
        let found = page::get(&pages.to_string(), "/readyz").await;
        if found.is_ok_and(|text| {
            text.lines()
                .next()
                .is_some_and(|line| line.contains(" 200 "))
        }) {
            return Ok(server);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the gateway was not ready after 10 s")
}

/// The variables for its memory, as in the image.
fn tunables() -> Result<Option<(String, String)>> {
    let image: serde_json::Value = serde_json::from_str(IMAGE)?;
    let lines = image["Env"].as_array().into_iter().flatten();
    let pairs = lines.filter_map(|line| line.as_str()?.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .find(|(name, _)| name == "GLIBC_TUNABLES"))
}

/// The end of what the servers have said, for who has to find out why a measurement failed.
pub fn last_words(site: &Site) -> String {
    let mut words = String::from("failed to measure");
    for name in ["gateway", "jump", "target"] {
        let text = fs::read_to_string(site.path(&format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        for line in lines.iter().rev() {
            words.extend(["\n", name, ": ", line]);
        }
    }
    words
}

/// The configuration of ssh for a distance.
pub struct Distance {
    /// The file for `ssh -F`.
    pub config: PathBuf,
    /// The same with one key exchange that all servers know.
    pub same_key_exchange: PathBuf,
    _delays: Vec<Delay>,
}

impl Distance {
    /// Writes the configuration. Without a round trip there is nothing between client and hop.
    pub async fn new(site: &Site, hops: &Hops, round_trip: Duration) -> Result<Self> {
        let mut delays = Vec::new();
        let mut text = common(site);
        known_hosts(site)?;
        for way in Way::ALL {
            let mut first = hops.first(way);
            if !round_trip.is_zero() {
                let delay = Delay::start(first, round_trip).await?;
                first = delay.address;
                delays.push(delay);
            }
            text += &entry(hops, way, first);
        }
        let config = site.path(&format!("config-{}", round_trip.as_millis()));
        fs::write(&config, &text)?;
        let same_key_exchange = config.with_extension("same");
        fs::write(
            &same_key_exchange,
            text + "Host *\n  KexAlgorithms curve25519-sha256\n",
        )?;
        Ok(Self {
            config,
            same_key_exchange,
            _delays: delays,
        })
    }
}

fn common(site: &Site) -> String {
    format!(
        "Host *\n  IdentityFile {id}\n  IdentitiesOnly yes\n  IdentityAgent none\n  BatchMode yes\n  ControlMaster no\n  \
         CheckHostIP no\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  \
         LogLevel ERROR\n",
        id = site.path("id").display(),
        known = site.path("known_hosts").display()
    )
}

fn known_hosts(site: &Site) -> Result<()> {
    let mut text = String::new();
    for (name, key) in [
        ("gateway", "host-keys/gateway"),
        ("proxy_jump", "jump"),
        ("target", "target"),
    ] {
        text.extend([name, " ", &site.public_key(key)?, "\n"]);
    }
    Ok(fs::write(site.path("known_hosts"), text)?)
}

/// `ssh gateway`, `ssh proxy_jump` and `ssh direct` lead to the same environment.
fn entry(hops: &Hops, way: Way, first: SocketAddr) -> String {
    let (name, user) = (way.name(), Hops::user(way));
    let (ip, port) = (first.ip(), first.port());
    if way == Way::Direct {
        return format!(
            "Host {name}\n  HostName {ip}\n  Port {port}\n  User {user}\n  HostKeyAlias target\n"
        );
    }
    let (host, host_port) = hops.wish(way);
    format!(
        "Host {name}\n  HostName {host}\n  Port {host_port}\n  User {USER}\n  HostKeyAlias target\n  ProxyJump hop-{name}\n\
         Host hop-{name}\n  HostName {ip}\n  Port {port}\n  User {user}\n  HostKeyAlias {name}\n"
    )
}
