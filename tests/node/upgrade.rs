//! The platform is upgraded, taken back and removed while people work. Run when nobody else is at work on the node, with the platform of
//! hack/upgrade.sh installed; `DEVSERVER_UPGRADE_TAG` is the tag of the images to upgrade to.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition, group::PLATFORM_NAMESPACE};
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{Api, api::ListParams};

use crate::{
    access::node_address,
    administrator,
    machine::{User, succeeded},
    visitor::{Running, Visitor},
    writes::Writes,
};

const RELEASE: &str = "devserver";
/// Tag of the images that are upgraded to.
const TAG: &str = "DEVSERVER_UPGRADE_TAG";
/// Environments: one that is entered through the gateway, and one with an editor that is entered by its node port.
const NAMES: [&str; 2] = ["box", "port"];
/// Most writes to one object by an upgrade: a new template, its revision in the status, a condition, and one to spare.
const EACH: usize = 4;
const REST: Duration = Duration::from_secs(10);

/// helm or kubectl as an administrator in the checkout; what it printed.
fn administrate(name: &str, words: &[&str]) -> anyhow::Result<String> {
    administrator::run(name, PLATFORM_NAMESPACE, words)
}

/// What an upgrade must not change: pods and their containers, with how often these began.
async fn pods(user: &User) -> anyhow::Result<BTreeMap<String, String>> {
    let list = user.api::<Pod>().list(&ListParams::default()).await?;
    let told = list.items.into_iter().map(|pod| {
        let status = pod.status.unwrap_or_default();
        let each = status.container_statuses.into_iter().flatten();
        let each = each.chain(status.init_container_statuses.into_iter().flatten());
        let containers: Vec<String> = each
            .map(|c| format!("{} {:?} {}", c.name, c.container_id, c.restart_count))
            .collect();
        let uid = pod.metadata.uid.unwrap_or_default();
        let name = pod.metadata.name.unwrap_or_default();
        (name, format!("{uid} {}", containers.join(", ")))
    });
    Ok(told.collect())
}

/// Waits until the operator tells whether a change of that environment waits for a restart.
async fn waits_for_restart(user: &User, name: &str, expected: bool) -> anyhow::Result<()> {
    let servers: Api<DevServer> = user.api();
    until("RestartPending", Duration::from_mins(2), async || {
        let status = servers.get(name).await?.status.unwrap_or_default();
        let told = condition::find(&status.conditions, condition::RESTART_PENDING);
        Ok(Seen::when(
            told.is_some_and(|c| c.status == "True") == expected,
            format!("{name} should have {expected}: {told:?}"),
        ))
    })
    .await
}

/// Adds the environment `port` to the visitor's configuration, by its node port.
async fn add_node_port(visitor: &Visitor) -> anyhow::Result<()> {
    let user = &visitor.user;
    user.create("port", &["--expose", "NodePort", "--editor"])?;
    let server: DevServer = user.api().get("port").await?;
    let ssh = server.status.and_then(|s| s.ssh).context("no ssh")?;
    let mut known = std::fs::read_to_string(user.file("known"))?;
    for key in &ssh.host_keys {
        writeln!(known, "port {key}")?;
    }
    std::fs::write(user.file("known"), known)?;
    let mut config = std::fs::read_to_string(&visitor.config)?;
    writeln!(
        config,
        "Host port\n HostName {}\n Port {}\n User dev\n HostKeyAlias port",
        node_address(user).await?,
        ssh.node_port.context("no node port")?,
    )?;
    std::fs::write(&visitor.config, config)?;
    // kube-proxy learns of a ready pod a moment after everybody else.
    until("the node port", Duration::from_mins(1), async || {
        let output = visitor.ssh(&["port", "true"])?;
        Ok(Seen::when(output.status.success(), format!("{output:?}")))
    })
    .await
}

/// People who stay: through the gateway, in its direct mode, and by the node port.
struct People<'a> {
    visitor: &'a Visitor,
    sessions: Vec<(&'static str, Running)>,
}

impl<'a> People<'a> {
    async fn new(visitor: &'a Visitor) -> anyhow::Result<Self> {
        let direct = format!("User={}+box.{}", visitor.owner, visitor.user.namespace);
        let mut sessions = Vec::new();
        for (log, words) in [
            ("jump", vec!["box", "exec cat"]),
            ("direct", vec!["-o", &direct, "gw", "exec cat"]),
            ("node-port", vec!["port", "exec cat"]),
        ] {
            sessions.push((log, visitor.starts(&words, log)?));
        }
        let mut people = Self { visitor, sessions };
        people.work("at the beginning").await?;
        Ok(people)
    }

    /// All sessions answer.
    async fn work(&mut self, when: &str) -> anyhow::Result<()> {
        for (_, session) in &mut self.sessions {
            session.types(when)?;
        }
        for (log, session) in &mut self.sessions {
            let said = session.says(when).await;
            said.with_context(|| format!("the session {log} {when}"))?;
        }
        Ok(())
    }

    /// Somebody who comes now is let in as well.
    fn newcomer(&self) -> anyhow::Result<()> {
        for name in NAMES {
            let said = self.visitor.says(&[name, "hostname"])?;
            ensure!(said == format!("{name}-0"), "{name}: {said}");
        }
        Ok(())
    }

    /// Ends the session whose environment is going to be restarted.
    fn leave_port(&mut self) {
        self.sessions.retain(|(name, _)| *name != "node-port");
    }

    /// Ends the sessions through the gateway, which goes with the platform; another one that needs none begins.
    fn leave_gateway(&mut self) -> anyhow::Result<()> {
        let session = self.visitor.starts(&["port", "exec cat"], "no-gateway")?;
        self.sessions = vec![("no-gateway", session)];
        Ok(())
    }
}

/// The commands of docs/install.md, and then the same pods, sessions, few writes, and rest.
async fn upgrade(user: &User, tag: &str) -> anyhow::Result<()> {
    let crds = "charts/devserver-platform/crds";
    let apply = ["apply", "--server-side", "--force-conflicts", "--filename"];
    administrate("kubectl", &[&apply[..], &[crds]].concat())?;
    let image = format!("images.tag={tag}");
    administrate(
        "helm",
        &[
            "upgrade",
            RELEASE,
            "charts/devserver-platform",
            "--reset-then-reuse-values",
            "--set-string",
            &image,
        ],
    )?;
    rolled_out()?;
    for name in NAMES {
        waits_for_restart(user, name, true).await?;
    }
    Ok(())
}

fn rolled_out() -> anyhow::Result<()> {
    for name in [
        "deployment/devserver-operator",
        "deployment/devserver-gateway",
    ] {
        administrate("kubectl", &["rollout", "status", name, "--timeout", "3m"])?;
    }
    Ok(())
}

/// The new version's tools come with a restart, and no sooner.
async fn restart_brings(user: &User, name: &str, tag: &str) -> anyhow::Result<()> {
    succeeded(&user.devctl(["restart", name, "--wait"])?)?;
    let pod = user.api::<Pod>().get(&format!("{name}-0")).await?;
    let volumes = pod.spec.and_then(|s| s.volumes).unwrap_or_default();
    let images: Vec<String> = volumes
        .into_iter()
        .filter_map(|v| v.image?.reference)
        .collect();
    let is_new = images
        .iter()
        .all(|image| image.ends_with(&format!(":{tag}")));
    ensure!(is_new && !images.is_empty(), "{images:?}");
    waits_for_restart(user, name, false).await
}

async fn removal(user: &User, people: &mut People<'_>) -> anyhow::Result<()> {
    people.leave_gateway()?;
    people.work("before the removal").await?;
    let before = pods(user).await?;
    let said = administrate("helm", &["uninstall", RELEASE])?;
    ensure!(
        said.contains("devserver-homes-and-environments-stay"),
        "{said}"
    );
    let deployments: Api<Deployment> = Api::namespaced(user.client.clone(), PLATFORM_NAMESPACE);
    until("no operator", Duration::from_mins(1), async || {
        let found = deployments.get_opt("devserver-operator").await?;
        Ok(Seen::when(found.is_none(), "it is there"))
    })
    .await?;
    tokio::time::sleep(REST).await;
    people.work("after the removal").await?;
    ensure!(pods(user).await? == before, "an environment was touched");
    for name in NAMES {
        user.api::<DevServer>().get(name).await?;
        let home = format!("home-{name}-0");
        user.api::<PersistentVolumeClaim>().get(&home).await?;
    }
    Ok(())
}

async fn story(visitor: &Visitor, tag: &str) -> anyhow::Result<()> {
    let user = &visitor.user;
    add_node_port(visitor).await?;
    let mut people = People::new(visitor).await?;
    for name in NAMES {
        waits_for_restart(user, name, false).await?;
    }
    let writes = Writes::new(&user.client, &user.namespace).await?;
    let before = pods(user).await?;
    ensure!(before.len() == NAMES.len(), "{before:?}");

    upgrade(user, tag).await?;
    people.work("after the upgrade").await?;
    people.newcomer()?;
    let after = pods(user).await?;
    ensure!(after == before, "from {before:?} to {after:?}");
    println!("the upgrade: {} writes", writes.at_most(EACH)?);
    writes.none_for(REST).await?;

    people.leave_port();
    restart_brings(user, "port", tag).await?;
    let before = pods(user).await?;
    writes.take();
    administrate("helm", &["rollback", RELEASE])?;
    rolled_out()?;
    waits_for_restart(user, "box", false).await?;
    waits_for_restart(user, "port", true).await?;
    people.work("after going back").await?;
    people.newcomer()?;
    let after = pods(user).await?;
    ensure!(after == before, "from {before:?} to {after:?}");
    println!("going back: {} writes", writes.at_most(EACH)?);
    writes.none_for(REST).await?;

    removal(user, &mut people).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nobody else may be at work, and the platform is gone afterwards; hack/test.sh does it in a lab of hack/upgrade.sh"]
async fn an_upgrade_a_rollback_and_a_removal_restart_nothing_cut_nobody_and_write_little()
-> anyhow::Result<()> {
    let tag = std::env::var(TAG).context(TAG)?;
    let visitor = Visitor::new("upgrade").await?;
    story(&visitor, &tag).await?;
    visitor.user.leave().await;
    Ok(())
}
