//! Clients that go without a word: the gateway notices, and so does the machine.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use devserver_api::group;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};
use serde_json::Value;

use crate::{
    machine::succeeded,
    visitor::{Running, Visitor},
};

/// Addresses for documentation (RFC 5737): on no network, so nobody misses one that is gone.
const NETWORK: &str = "198.51.100";

/// An address of this machine, until it is taken away: from then on nothing that is sent to or from it arrives anywhere.
struct Address(String);

impl Address {
    fn new() -> anyhow::Result<Self> {
        let address = format!("{NETWORK}.{}", std::process::id() % 254 + 1);
        let mut ip = Command::new("ip");
        ip.args(["address", "add", &format!("{address}/32"), "dev", "lo"]);
        succeeded(&ip.output()?)?;
        Ok(Self(address))
    }

    fn remove(&self) -> anyhow::Result<()> {
        let mut ip = Command::new("ip");
        ip.args(["address", "delete", &format!("{}/32", self.0), "dev", "lo"]);
        succeeded(&ip.output()?).map(|_| ())
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        // Gone already, when all went well.
        let _ = self.remove();
    }
}

/// Lines of the audit about a user, of all pods of the gateway.
async fn audit(visitor: &Visitor) -> anyhow::Result<Vec<Value>> {
    let client = visitor.user.client.clone();
    let pods: Api<Pod> = Api::namespaced(client, group::PLATFORM_NAMESPACE);
    let labels = "app.kubernetes.io/component=gateway,app.kubernetes.io/name=devserver-platform";
    let mut lines = Vec::new();
    for pod in pods.list(&ListParams::default().labels(labels)).await? {
        // One that has not started or is gone by now has nothing to say.
        let log = pods.logs(&pod.name_any(), &LogParams::default()).await;
        let values = log.unwrap_or_default();
        let values = values
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.extend(values.filter(|line: &Value| line["user"] == visitor.owner.as_str()));
    }
    Ok(lines)
}

/// Lines about an event, with that value of a field.
async fn told(
    visitor: &Visitor,
    event: &str,
    field: &str,
    value: &str,
) -> anyhow::Result<Option<Value>> {
    let mut lines = audit(visitor).await?.into_iter();
    Ok(lines.find(|line| line["event"] == event && line[field] == value))
}

/// What the installed gateway is told with `--keepalive`.
async fn keepalive(visitor: &Visitor) -> anyhow::Result<Duration> {
    let client = visitor.user.client.clone();
    let deployments: Api<Deployment> = Api::namespaced(client, group::PLATFORM_NAMESPACE);
    let gateway = deployments.get("devserver-gateway").await?;
    let spec = gateway.spec.and_then(|spec| spec.template.spec);
    let mut words = spec
        .into_iter()
        .flat_map(|spec| spec.containers)
        .flat_map(|container| container.args.unwrap_or_default());
    let seconds = words
        .find_map(|word| word.strip_prefix("--keepalive=")?.parse().ok())
        .context("no --keepalive")?;
    Ok(Duration::from_secs(seconds))
}

/// A session with a terminal, whose program is to be found by its number.
async fn session(
    visitor: &Visitor,
    config: &str,
    seconds: u32,
    log: &str,
) -> anyhow::Result<Running> {
    let script = format!("echo there; exec sleep {seconds}");
    let mut session = visitor.starts_by(config, &["-tt", "box", &script], log)?;
    session.says("there").await?;
    Ok(session)
}

async fn ends_in_the_machine(visitor: &Visitor, seconds: u32) -> anyhow::Result<()> {
    let script = format!("pgrep -f '^sleep {seconds}$' || echo none");
    until("its program ends", Duration::from_mins(1), async || {
        let said = visitor.says(&["box", &script])?;
        Ok(Seen::when(said == "none", said))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_is_noticed_within_two_keepalives_and_a_silent_one_stays()
-> anyhow::Result<()> {
    let visitor = Visitor::new("gone").await?;
    let keepalive = keepalive(&visitor).await?;
    let address = Address::new()?;
    let config = visitor
        .user
        .file("config-of-the-lost")
        .display()
        .to_string();
    let text = std::fs::read_to_string(&visitor.config)?;
    let bound = format!("Host gw\n BindAddress {}\n", address.0);
    std::fs::write(&config, text.replacen("Host gw\n", &bound, 1))?;
    let mut silent = session(&visitor, &visitor.config, 86_001, "silent.log").await?;
    let lost = session(&visitor, &config, 86_002, "lost.log").await?;
    ensure!(
        told(&visitor, "open", "source", &address.0)
            .await?
            .is_some()
    );

    address.remove()?;
    let begun = Instant::now();
    let line = until(
        "it is noticed",
        keepalive * 2 + Duration::from_secs(30),
        async || {
            Ok(
                match told(&visitor, "disconnect", "source", &address.0).await? {
                    Some(line) => Seen::Yes(line),
                    None => Seen::NotYet(format!("{:?}", begun.elapsed())),
                },
            )
        },
    )
    .await?;
    // The line has its own time; what it took to see it is another matter.
    let lasted = line["seconds"].as_f64().context("no seconds")?;
    println!(
        "noticed after {:?}, the connection lasted {lasted} s: {line}",
        begun.elapsed()
    );
    ensure!(
        begun.elapsed() < keepalive * 2 + Duration::from_secs(10),
        "it took {:?}: {line}",
        begun.elapsed()
    );
    ensure!(
        matches!(line["reason"].as_str(), Some("keepalive" | "lost")),
        "{line}"
    );
    let closed = told(&visitor, "close", "source", &address.0).await?;
    ensure!(closed.is_some(), "the channel is not closed");
    ends_in_the_machine(&visitor, 86_002).await?;
    drop(lost);
    // Silent for as long, and still there.
    ensure!(silent.child.try_wait()?.is_none(), "{}", silent.heard());
    ensure!(visitor.says(&["box", "pgrep -c -f '^sleep 86001$'"])? == "1");
    visitor.user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_is_noticed_at_once() -> anyhow::Result<()> {
    let visitor = Visitor::new("killed").await?;
    let keepalive = keepalive(&visitor).await?;
    let mut session = session(&visitor, &visitor.config, 86_003, "killed.log").await?;
    session.child.kill()?;
    let begun = Instant::now();
    until("it is noticed", keepalive * 2, async || {
        let line = told(&visitor, "disconnect", "reason", "client").await?;
        let lost = told(&visitor, "disconnect", "reason", "lost").await?;
        Ok(Seen::when(line.or(lost).is_some(), "no line"))
    })
    .await?;
    println!("noticed after {:?}", begun.elapsed());
    ends_in_the_machine(&visitor, 86_003).await?;
    visitor.user.leave().await;
    Ok(())
}
