//! A gateway that is replaced while people work: nobody is cut before the time to drain is over, and new ones come in at once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use devserver_api::group;
use devserver_testkit::wait::{Seen, until};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Service},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::visitor::{Running, Visitor};

/// Seconds that the gateway of this test waits before it closes its port, and then for its sessions.
const DELAY: u64 = 5;
const DRAIN: u64 = 45;
/// The last twentieth of that is for saying good-bye.
const CUT_AFTER: Duration = Duration::from_secs(DELAY + DRAIN - DRAIN / 20);
/// Longest wait for a new connection, two logins on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A gateway beside the installed one and like it, because others are at work with that.
struct Gateway {
    name: String,
    deployments: Api<Deployment>,
    services: Api<Service>,
    pods: Api<Pod>,
}

impl Gateway {
    async fn new(client: &Client) -> anyhow::Result<(Self, u16)> {
        let name = format!("drill-{}", std::process::id());
        let of = |client: &Client| client.clone();
        let namespace = group::PLATFORM_NAMESPACE;
        let this = Self {
            deployments: Api::namespaced(of(client), namespace),
            services: Api::namespaced(of(client), namespace),
            pods: Api::namespaced(of(client), namespace),
            name,
        };
        let installed = this.deployments.get("devserver-gateway").await?;
        let params = PostParams::default();
        this.deployments
            .create(&params, &this.copy_of(installed)?)
            .await?;
        let service = json!({
            "metadata": {"name": this.name},
            "spec": {
                "type": "NodePort", "externalTrafficPolicy": "Local", "selector": this.labels(),
                "ports": [{"name": "ssh", "port": 22, "targetPort": "ssh"}],
            },
        });
        let service = this
            .services
            .create(&params, &serde_json::from_value(service)?)
            .await?;
        let port = service
            .spec
            .and_then(|spec| spec.ports?.first()?.node_port)
            .context("no node port")?;
        this.rolled_out().await?;
        Ok((this, u16::try_from(port)?))
    }

    /// The component opens the machines' network policies; the instance keeps the pods apart from those of the installed one.
    fn labels(&self) -> BTreeMap<String, String> {
        let label = |key: &str, value: &str| (format!("app.kubernetes.io/{key}"), value.to_owned());
        BTreeMap::from([label("component", "gateway"), label("instance", &self.name)])
    }

    fn copy_of(&self, installed: Deployment) -> anyhow::Result<Deployment> {
        let mut spec = installed.spec.context("no spec")?;
        spec.replicas = Some(2);
        spec.selector.match_labels = Some(self.labels());
        let meta = spec.template.metadata.get_or_insert_default();
        meta.labels = Some(self.labels());
        let pod = spec.template.spec.as_mut().context("no pod")?;
        pod.topology_spread_constraints = None;
        let container = pod.containers.first_mut().context("no container")?;
        let args = container.args.get_or_insert_default();
        args.retain(|word| !word.starts_with("--drain-"));
        args.push(format!("--drain-delay={DELAY}"));
        args.push(format!("--drain-timeout={DRAIN}"));
        Ok(Deployment {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
            status: None,
        })
    }

    async fn rolled_out(&self) -> anyhow::Result<()> {
        until("all replicas", Duration::from_mins(3), async || {
            let found = self.deployments.get(&self.name).await?;
            let status = found.status.unwrap_or_default();
            let is_new = status.observed_generation == found.metadata.generation;
            let is_done = [
                status.replicas,
                status.updated_replicas,
                status.available_replicas,
            ]
            .iter()
            .all(|n| *n == Some(2));
            Ok(Seen::when(is_new && is_done, format!("{status:?}")))
        })
        .await
    }

    /// Has all pods replaced, one after the other.
    async fn restart(&self) -> anyhow::Result<()> {
        let at = Timestamp::now().to_string();
        let patch =
            json!({"spec": {"template": {"metadata": {"annotations": {"restarted-at": at}}}}});
        let params = PatchParams::default();
        self.deployments
            .patch(&self.name, &params, &Patch::Merge(&patch))
            .await?;
        Ok(())
    }

    /// When each pod that is ending was told to, by its name.
    async fn ending(&self) -> anyhow::Result<BTreeMap<String, Timestamp>> {
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        let pods = self
            .pods
            .list(&ListParams::default().labels(&selector))
            .await?;
        let told = |pod: &Pod| {
            let grace = pod.metadata.deletion_grace_period_seconds?;
            let end = pod.metadata.deletion_timestamp.as_ref()?.0;
            let name = pod.metadata.name.clone()?;
            Some((name, end - jiff::SignedDuration::from_secs(grace)))
        };
        Ok(pods.items.iter().filter_map(told).collect())
    }

    async fn remove(&self) -> anyhow::Result<()> {
        let params = DeleteParams::background();
        self.deployments.delete(&self.name, &params).await?;
        self.services.delete(&self.name, &params).await?;
        Ok(())
    }
}

/// Sessions that answer what they are told.
struct Crowd(Vec<Running>);

impl Crowd {
    /// So many connections through the gateway, each with so many sessions.
    async fn new(visitor: &Visitor, connections: usize, each: usize) -> anyhow::Result<Self> {
        let mut crowd = Self(Vec::new());
        for connection in 0..connections {
            let path = visitor.user.file(&format!("way-{connection}"));
            let path = format!("ControlPath={}", path.display());
            for session in 0..each {
                let role = if session == 0 {
                    "ControlMaster=yes"
                } else {
                    "ControlMaster=no"
                };
                let log = format!("session-{connection}-{session}.log");
                let words = ["-o", role, "-o", &path, "box", "exec cat"];
                let mut one = visitor.starts(&words, &log)?;
                one.types("begins")?;
                // The others need the first, and sshd takes a few at a time.
                if session == 0 {
                    one.says("begins").await?;
                }
                crowd.0.push(one);
            }
        }
        crowd.answers("begins").await?;
        Ok(crowd)
    }

    fn told(&mut self, words: &str) -> anyhow::Result<()> {
        self.0
            .iter_mut()
            .try_for_each(|session| session.types(words))
    }

    async fn answers(&mut self, words: &str) -> anyhow::Result<()> {
        for session in &mut self.0 {
            session.says(words).await?;
        }
        Ok(())
    }
}

/// Connects again and again until nothing is ending any more; how often, and the longest it took.
async fn newcomers(
    visitor: &Visitor,
    gateway: &Gateway,
    crowd: &mut Crowd,
) -> anyhow::Result<(u32, Duration)> {
    let (mut count, mut longest) = (0, Duration::ZERO);
    let (mut seen, mut has_answered) = (BTreeMap::new(), false);
    let limit = Instant::now() + Duration::from_mins(5);
    loop {
        ensure!(Instant::now() < limit, "the old pods are still there");
        let begun = Instant::now();
        ensure!(visitor.says(&["box", "echo in"])? == "in");
        count += 1;
        longest = longest.max(begun.elapsed());
        let told = gateway.ending().await?;
        let is_over = told.is_empty();
        seen.extend(told);
        // Of the one that was told first, also when it has gone and the other has not.
        let first = seen.values().min();
        let since = first.map(|first| Timestamp::now().duration_since(*first));
        let since = since.and_then(|since| Duration::try_from(since).ok());
        match since {
            _ if is_over && seen.len() == 2 => break,
            // The first one is ending and has closed its port; whoever is in may stay. Whether the other one is ending, too, is
            // up to how soon a new one starts.
            Some(since) if since < CUT_AFTER => {
                for session in &mut crowd.0 {
                    let ended = session.child.try_wait()?;
                    ensure!(
                        ended.is_none(),
                        "{ended:?} after {since:?}: {}",
                        session.heard()
                    );
                }
                if since > Duration::from_secs(DELAY + DRAIN / 2) && !has_answered {
                    crowd.told("still here")?;
                    crowd.answers("still here").await?;
                    let after = begun.elapsed() + since;
                    println!("all sessions answer {after:?} after the first pod was told to end");
                    has_answered = true;
                }
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ensure!(
        has_answered,
        "the sessions were not asked before the first pod's time was over"
    );
    Ok((count, longest))
}

async fn story(visitor: &Visitor, gateway: &Gateway, crowd: [usize; 2]) -> anyhow::Result<()> {
    let mut crowd = Crowd::new(visitor, crowd[0], crowd[1]).await?;
    gateway.restart().await?;
    let (count, longest) = newcomers(visitor, gateway, &mut crowd).await?;
    println!(
        "{} sessions; {count} new ones came in, in {longest:?} at most",
        crowd.0.len()
    );
    ensure!(longest < AT_ONCE, "a new one took {longest:?}");
    gateway.rolled_out().await?;
    // Each connection's own client was told why.
    for session in &mut crowd.0 {
        until("its end", Duration::from_secs(30), async || {
            Ok(Seen::when(session.child.try_wait()?.is_some(), "it lives"))
        })
        .await?;
    }
    let told = crowd
        .0
        .iter()
        .filter(|one| one.heard().contains("connect again"));
    ensure!(
        told.count() > 0,
        "nobody was told: {:?}",
        crowd.0.first().map(Running::heard)
    );
    Ok(())
}

async fn nobody_is_cut(stem: &str, crowd: [usize; 2]) -> anyhow::Result<()> {
    let mut visitor = Visitor::new(stem).await?;
    let (gateway, port) = Gateway::new(&visitor.user.client).await?;
    let text = std::fs::read_to_string(&visitor.config)?;
    let old = format!(" Port {}\n", visitor.gateway.port);
    ensure!(text.contains(&old), "{text}");
    visitor.config = visitor.user.file("drill-config").display().to_string();
    std::fs::write(
        &visitor.config,
        text.replace(&old, &format!(" Port {port}\n")),
    )?;
    until(
        "the new port leads there",
        Duration::from_mins(1),
        async || {
            let output = visitor.ssh(&["box", "true"])?;
            Ok(Seen::when(output.status.success(), format!("{output:?}")))
        },
    )
    .await?;
    let result = story(&visitor, &gateway, crowd).await;
    // Whatever it was: others should not find it.
    gateway.remove().await?;
    visitor.user.leave().await;
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_cuts_no_session_before_its_time_and_new_ones_come_in_at_once()
-> anyhow::Result<()> {
    nobody_is_cut("drill", [5, 4]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: a hundred ssh processes"]
async fn a_rolling_restart_under_a_hundred_sessions_cuts_none_before_its_time() -> anyhow::Result<()>
{
    nobody_is_cut("drill", [25, 4]).await
}
