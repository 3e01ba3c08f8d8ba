//! Puts the parts together and keeps them together: if one ends, the process ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use devserver_api::{DevServer, DevServerUser};
use devserver_core::{Platform, activity};
use devserver_process::pages::{self, Pages};
use futures::{StreamExt, stream};
use kube::{
    Client, Config,
    runtime::{
        applier, controller,
        events::Recorder,
        reflector::{ObjectRef, Store},
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    args::Options,
    backoff::Backoff,
    believed::Believed,
    caches::{Caches, Watches},
    clock::Clock,
    context::{Context, reporter},
    flavor,
    gateway::Gateway,
    idle,
    lease::{Elector, Leadership},
    metrics::{ENVIRONMENTS_PATH, Metrics},
    notify::Notifier,
    server,
    team::Places,
    trash,
    usage::{self, Ledger, Spendings, Tariff},
    user,
    written::Written,
};

/// DevServers that wait to be looked at; a watch that is faster than the looks waits.
const QUEUE: usize = 4096;
/// Name of the Lease.
const LEASE: &str = "devserver-operator";

/// What the parts share from the start of the process.
struct Process {
    options: Options,
    platform: Platform,
    clock: Arc<Clock>,
    client: Client,
    identity: String,
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    ledger: Option<Arc<Ledger>>,
}

/// Runs until SIGTERM or until a part ends.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let clock = Clock::new();
    let cluster = Config::infer()
        .await
        .context("failed to find a cluster to work for")?;
    let platform = platform(&options)?;
    let process = Process {
        ledger: Ledger::new(&platform),
        platform,
        client: clock
            .client(cluster)
            .context("failed to set up the connection")?,
        clock,
        identity: options
            .identity
            .clone()
            .unwrap_or_else(|| format!("pid-{}", std::process::id())),
        metrics: Arc::new(Metrics::new()),
        // A replica that waits for the Lease does its part.
        ready: Arc::new(AtomicBool::new(options.leader_elect)),
        options,
    };
    let metrics = process.metrics.clone();
    let environments = metrics.environments.clone();
    let pages = Pages {
        ready: process.ready.clone(),
        why_not: "the caches are not filled yet",
        metrics: Arc::new(move || metrics.text()),
        further: vec![(ENVIRONMENTS_PATH, Arc::new(move || environments.text()))],
    };
    let mut pages = tokio::spawn(pages::serve(process.options.listen, pages));
    let mut stop = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut elector = process.options.leader_elect.then(|| {
        let namespace = &process.options.lease_namespace;
        Elector::new(process.client.clone(), namespace, LEASE, &process.identity)
    });
    let result = tokio::select! {
        ended = process.lead(elector.as_mut()) => ended,
        served = &mut pages => match served {
            Ok(Err(error)) => Err(error),
            _ => bail!("the health server ended"),
        },
        ended = process.reports() => ended,
        _ = stop.recv() => { tracing::info!("SIGTERM: ends"); Ok(()) }
        _ = interrupt.recv() => { tracing::info!("SIGINT: ends"); Ok(()) }
    };
    if let (Ok(()), Some(elector)) = (&result, &mut elector) {
        elector.release().await;
    }
    result
}

/// What the looks share and what is made anew by each leader.
struct Parts {
    caches: Caches,
    written: Arc<Written>,
    leadership: Leadership,
    gateway: Arc<Gateway>,
    spendings: Option<Arc<Spendings>>,
}

/// What the ledger tells those who decide.
struct Counting {
    spendings: Arc<Spendings>,
    tariff: Arc<Tariff>,
}

impl Counting {
    fn new(news: flavor::News) -> Self {
        Self {
            spendings: Arc::default(),
            tariff: Arc::new(Tariff::new(news)),
        }
    }
}

impl Process {
    /// Waits for the Lease, works while holding it, and ends when it is lost: another replica works by then.
    async fn lead(&self, mut elector: Option<&mut Elector>) -> anyhow::Result<()> {
        let leadership = match &mut elector {
            Some(elector) => {
                tracing::info!(identity = self.identity, "waits for the lease");
                elector.acquire().await;
                tracing::info!(identity = self.identity, "holds the lease");
                elector.leadership()
            }
            None => Leadership::always(),
        };
        self.metrics.leads(true);
        self.ready.store(false, Ordering::Relaxed);
        let lost = async {
            match elector {
                Some(elector) => elector.hold().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.control(leadership) => ended,
            // No draining: not one more write.
            () = lost => bail!("the lease is lost"),
        }
    }

    async fn control(&self, leadership: Leadership) -> anyhow::Result<()> {
        let (queue, waiting) = mpsc::channel::<ObjectRef<DevServer>>(QUEUE);
        let written = Arc::new(Written::default());
        let news = flavor::News::default();
        let watches = Watches::new(
            self.client.clone(),
            self.options.watch_namespace.clone(),
            queue.clone(),
            written.clone(),
            self.metrics.clone(),
            news.clone(),
        );
        // The first lists wake everybody; who does not fit into the queue waits in its watch, behind the filled cache.
        let waiting = stream::unfold(waiting, |mut waiting| async {
            let next = waiting.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(next), waiting))
        });
        let (caches, tasks) = watches.start().await?;
        let (servers, workloads) = (caches.servers.clone(), caches.workloads.clone());
        self.metrics.environments.lead(servers, workloads);
        self.ready.store(true, Ordering::Relaxed);
        tracing::info!(devservers = caches.servers.len(), "caches are filled");
        let servers = caches.servers.clone();
        let users = self.users(caches.users.clone(), leadership.clone());
        let counting = self.ledger.is_some().then(|| Counting::new(news.clone()));
        let flavors = self.flavors(&caches, leadership.clone(), news, counting.as_ref())?;
        let namespace = &self.options.lease_namespace;
        let address = self.platform.gateway.as_ref();
        let gateway = Gateway::start(self.client.clone(), namespace, address).await;
        let usage = self.usage(&caches, leadership.clone(), counting.as_ref());
        let context = Parts {
            caches,
            written,
            leadership,
            gateway: gateway.clone(),
            spendings: counting.map(|counting| counting.spendings),
        };
        let context = self.context(context, queue.clone())?;
        let polls = idle::poll(context.clone(), queue);
        let sweeps = trash::sweep(context.clone());
        let looks = applier(
            |server, context| Box::pin(server::reconcile(server, context)),
            server::on_error,
            context,
            servers,
            waiting,
            controller::Config::default().concurrency(self.platform.concurrency),
        )
        .for_each(|_| std::future::ready(()));
        tokio::select! {
            () = looks => bail!("the work queue ended"),
            what = first_to_end(tasks) => bail!("the watch of {what} ended"),
            ended = users => ended,
            () = polls => bail!("the questions to agents ended"),
            () = sweeps => bail!("the look at the trash ended"),
            ended = flavors => ended,
            ended = usage => ended,
            () = gateway.follow(self.client.clone(), namespace, address) =>
                bail!("the look at the gateway ended"),
        }
    }

    /// What every look needs.
    fn context(
        &self,
        parts: Parts,
        queue: mpsc::Sender<ObjectRef<DevServer>>,
    ) -> anyhow::Result<Arc<Context>> {
        let notifier = Notifier::new(&self.platform.notifications, queue, self.metrics.clone())?;
        Ok(Arc::new(Context {
            client: self.client.clone(),
            platform: self.platform.clone(),
            caches: parts.caches,
            written: parts.written,
            believed: Believed::default(),
            leadership: parts.leadership,
            places: Places::default(),
            backoff: Backoff::default(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            turns: server::Turns::default(),
            idle_turns: server::Turns::default(),
            trash_turns: server::Turns::default(),
            agents: idle::Agents::new(self.platform.activity_key.clone())?,
            reports: idle::Reports::default(),
            notifier: Arc::new(notifier),
            identity: self.identity.clone(),
            gateway: parts.gateway,
            spendings: parts.spendings,
            recorder: Recorder::new(self.client.clone(), reporter(&self.identity)),
            resync: Duration::from_secs(self.options.resync),
        }))
    }

    /// Serves reports of usage, where there is a ledger: also while another replica leads. Never ends by itself.
    async fn reports(&self) -> anyhow::Result<()> {
        let Some(ledger) = &self.ledger else {
            return std::future::pending().await;
        };
        let (client, clock) = (self.client.clone(), self.clock.clone());
        let namespace = &self.options.lease_namespace;
        usage::serve(
            self.options.usage_listen,
            client,
            ledger.clone(),
            self.platform.clone(),
            clock,
            namespace,
        )
        .await
    }

    /// Counts usage, where there is a ledger. Never ends by itself.
    fn usage(
        &self,
        caches: &Caches,
        leadership: Leadership,
        counting: Option<&Counting>,
    ) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let ledger = self.ledger.clone().zip(counting);
        let context = ledger.map(|(ledger, counting)| usage::Context {
            client: self.client.clone(),
            platform: self.platform.clone(),
            ledger,
            caches: caches.clone(),
            leadership,
            clock: self.clock.clone(),
            metrics: self.metrics.usage.clone(),
            spendings: counting.spendings.clone(),
            tariff: counting.tariff.clone(),
        });
        async {
            match context {
                Some(context) => usage::control(context).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Looks after flavors, where that was asked for. Never ends by itself.
    fn flavors(
        &self,
        caches: &Caches,
        leadership: Leadership,
        news: flavor::News,
        counting: Option<&Counting>,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
        let selector = match &self.options.flavor_selector {
            Some(selector) => Some(selector.as_str()),
            None => self.options.watch_namespace.is_none().then_some(""),
        };
        let context = selector
            .map(flavor::labels)
            .transpose()?
            .map(|labels| flavor::Context {
                client: self.client.clone(),
                platform: self.platform.clone(),
                flavors: caches.flavors.clone(),
                nodes: caches.nodes.clone(),
                leadership,
                backoff: Backoff::default(),
                metrics: self.metrics.clone(),
                clock: self.clock.clone(),
                tariff: counting.map(|counting| counting.tariff.clone()),
                news,
                labels,
            });
        Ok(async {
            match context {
                Some(context) => flavor::control(context).await,
                None => std::future::pending().await,
            }
        })
    }

    /// Looks after users, where that was asked for. Never ends by itself.
    async fn users(&self, all: Store<DevServerUser>, leadership: Leadership) -> anyhow::Result<()> {
        let selector = self.options.user_selector.clone();
        if self.options.watch_namespace.is_some() && selector.is_none() {
            tracing::info!(
                "does not look after users: that needs the whole cluster, and --watch-namespace is given"
            );
            return std::future::pending().await;
        }
        let context = user::Context {
            client: self.client.clone(),
            platform: self.platform.clone(),
            all,
            leadership,
            backoff: Backoff::default(),
            metrics: self.metrics.clone(),
            recorder: Recorder::new(self.client.clone(), reporter(&self.identity)),
            resync: Duration::from_secs(self.options.resync),
        };
        user::control(context, selector).await
    }
}

fn platform(options: &Options) -> anyhow::Result<Platform> {
    let text = match &options.config {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("failed to read the configuration {}", path.display()))?,
    };
    let key = match &options.activity_key_file {
        None => None,
        Some(path) => {
            let text = std::fs::read(path)
                .with_context(|| format!("failed to read the key {}", path.display()))?;
            let key = activity::Key::new(&text)
                .with_context(|| format!("failed to use the key {}", path.display()))?;
            Some(key)
        }
    };
    Ok(Platform::parse(&text)?.with_activity_key(key)?)
}

async fn first_to_end(mut tasks: JoinSet<&'static str>) -> String {
    match tasks.join_next().await {
        Some(Ok(what)) => what.to_owned(),
        Some(Err(error)) => error.to_string(),
        None => "nothing".to_owned(),
    }
}
