//! The process: watches, decides, hands to the kernel, answers those who wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    caches::Caches,
    cluster::{Cluster, reported},
    gate::{self, Request},
    nft,
    rules::rules,
    socket,
};
use crate::{config::LabName, net, paths::LabDir};

/// Changes come in bursts: one is looked at together with those that follow it at once.
const TOGETHER: Duration = Duration::from_millis(20);
/// After the kernel has refused rules.
const AGAIN: Duration = Duration::from_secs(1);
/// A pod that runs is known to the API server for long; after this the runtime is told so, and tries again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Enforces the policies of a lab until it is killed. Must run in the lab's network namespace.
pub(crate) fn run(name: &LabName) -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        bail!("failed to install the TLS provider: another one is there already");
    }
    in_namespace_of(name)?;
    nft::filter_bridges()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(control(&LabDir::of(name)))
}

/// Elsewhere the rules would be about somebody else's packets.
fn in_namespace_of(name: &LabName) -> Result<()> {
    let (ours, labs) = (Path::new("/proc/self/ns/net"), net::namespace(name));
    let identity = |path: &Path| {
        let file =
            fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?;
        anyhow::Ok((file.dev(), file.ino()))
    };
    if identity(ours)? == identity(&labs)? {
        return Ok(());
    }
    bail!(
        "failed to enforce policies: this is not the network namespace {}; `kubelab up` starts this process in it",
        labs.display()
    )
}

async fn control(dir: &LabDir) -> Result<()> {
    // Before anything else, so that pods which start now wait and do not fail.
    let mut requests = gate::open(&socket(dir))?;
    let changed = Arc::new(Notify::new());
    let mut watches = JoinSet::new();
    let caches = Caches::watch(&client(dir).await?, &changed, &mut watches);
    caches.ready().await?;
    let mut controller = Controller::default();
    loop {
        let again = controller.step(&caches).await;
        tokio::select! {
            () = changed.notified() => sleep(TOGETHER).await,
            request = requests.recv() => match request {
                Some(request) => controller.take(request, &mut requests),
                None => bail!("the gate ended"),
            },
            () = sleep_until(again) => {}
            ended = watches.join_next() => bail!("a watch ended: {ended:?}"),
        }
    }
}

/// A client with the administrator's rights, as the lab's other helpers have them.
async fn client(dir: &LabDir) -> Result<Client> {
    let path = dir.admin_kubeconfig();
    let kubeconfig = Kubeconfig::read_from(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // The way out of this machine, if there is one, does not lead into the lab.
    config.proxy_url = None;
    Client::try_from(config).context("failed to make a client")
}

/// A request and until when it waits.
struct Waiting {
    request: Request,
    deadline: Instant,
}

impl Waiting {
    fn uid(&self) -> &str {
        &self.request.announcement.uid
    }
}

#[derive(Default)]
struct Controller {
    /// The text that the kernel has. None at first: what an earlier process left is not known.
    in_force: Option<String>,
    announced: BTreeMap<String, Ipv4Addr>,
    waiting: Vec<Waiting>,
}

impl Controller {
    /// Takes a request and those behind it.
    fn take(&mut self, request: Request, others: &mut mpsc::Receiver<Request>) {
        let mut next = Some(request);
        while let Some(request) = next {
            let announcement = &request.announcement;
            self.announced
                .insert(announcement.uid.clone(), announcement.address);
            self.waiting.push(Waiting {
                request,
                deadline: Instant::now() + PATIENCE,
            });
            next = others.try_recv().ok();
        }
    }

    /// Brings the kernel up to date and answers who waited for that. Gives when to look again without a cause.
    async fn step(&mut self, caches: &Caches) -> Instant {
        let cluster = caches.cluster(&self.announced);
        let far = Instant::now() + Duration::from_secs(3600);
        if let Err(error) = self.enforce(&cluster).await {
            tracing::error!(
                error = format!("{error:#}"),
                "the kernel refuses the rules; those before stay in force"
            );
            self.give_up();
            return Instant::now() + AGAIN;
        }
        self.answer(&cluster);
        self.give_up();
        self.forget(&cluster);
        let deadlines = self.waiting.iter().map(|waiting| waiting.deadline);
        deadlines.min().unwrap_or(far)
    }

    async fn enforce(&mut self, cluster: &Cluster) -> Result<()> {
        let ruleset = rules(cluster);
        if self.in_force.as_ref() == Some(&ruleset.text) {
            return Ok(());
        }
        let started = Instant::now();
        nft::apply(&ruleset.text).await?;
        tracing::info!(
            policies = cluster.policies.len(),
            pods = cluster.pods.len(),
            isolated = ruleset.isolated,
            milliseconds = started.elapsed().as_millis(),
            "rules in force"
        );
        self.in_force = Some(ruleset.text);
        Ok(())
    }

    /// Lets those pass whom the rules in force have taken into account.
    fn answer(&mut self, cluster: &Cluster) {
        let pods = cluster.pods.iter();
        let known: BTreeSet<&str> = pods.filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        let done = |waiting: &mut Waiting| known.contains(waiting.uid());
        for Waiting { request, .. } in self.waiting.extract_if(.., done) {
            // Who has stopped waiting will ask again.
            let _ = request.answer.send(Ok(()));
        }
    }

    /// Tells those who have waited too long.
    fn give_up(&mut self) {
        let now = Instant::now();
        let late = |waiting: &mut Waiting| waiting.deadline <= now;
        for Waiting { request, .. } in self.waiting.extract_if(.., late) {
            let why = format!(
                "failed to put the policies of pod {} into force in {} s: the pod is not known yet, or the kernel refuses \
                 the rules (see kubelab logs policy-controller)",
                request.announcement.pod,
                PATIENCE.as_secs()
            );
            let _ = request.answer.send(Err(why));
        }
    }

    /// Forgets addresses that the API server shows by now, and those of pods that are gone.
    fn forget(&mut self, cluster: &Cluster) {
        let known: BTreeMap<&str, Option<Ipv4Addr>> = cluster
            .pods
            .iter()
            .filter_map(|pod| Some((pod.metadata.uid.as_deref()?, reported(pod))))
            .collect();
        let waiting: BTreeSet<&str> = self.waiting.iter().map(Waiting::uid).collect();
        self.announced
            .retain(|uid, address| match known.get(uid.as_str()) {
                Some(shown) => *shown != Some(*address),
                None => waiting.contains(uid.as_str()),
            });
    }
}
