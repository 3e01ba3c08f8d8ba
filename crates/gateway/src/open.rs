//! One channel to an environment: from what a client asked for to the bytes that went through.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use russh::{Channel, ChannelOpenFailure, server::ChannelOpenHandle, server::Msg};
use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{timeout, timeout_at},
};

use crate::{
    access::{Grant, Role},
    audit::{Line, Mode},
    command::{PATIENCE, Terminal},
    dial::prepare_pod,
    gateway::Gateway,
    machine::Denial,
    relay::relay,
    route::{self, Refusal, Route},
    table::Table,
    target::{ServerId, Target},
    visit::Visit,
    wake::{self, Intent},
};

/// What a client asked for, as it was written.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u32,
    /// By which way.
    pub mode: Mode,
}

/// Why a channel was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// The answer is no.
    Refused(Refusal),
    /// The pod does not answer.
    Silent(ServerId),
    /// The pod says no.
    Unreachable(ServerId),
    /// Its sshd is reached, and there is no session: direct mode only.
    Denied(ServerId, Denial),
}

impl Unopened {
    /// Bounded word for metrics and the audit.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Silent(_) => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Denied(_, why) => why.reason(),
        }
    }
}

/// What the client is told.
impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Silent(id) => write!(
                f,
                "{id} does not answer; its node may be gone, `devctl describe {}` says more",
                id.name
            ),
            Self::Unreachable(id) => {
                write!(
                    f,
                    "{id} takes no connection just now; it may be restarting, try again"
                )
            }
            Self::Denied(id, why) => write!(f, "{id} {why}"),
        }
    }
}

/// A line of the audit about a wish.
pub fn line(visit: &Visit, event: &'static str, wish: &Wish) -> Line {
    let user = visit.grant().map(|grant| grant.user).unwrap_or_default();
    visit
        .line(event)
        .user(&user)
        .mode(wish.mode)
        .target(&wish.host, Some(wish.port))
}

/// Opens the channel and carries its bytes. In a task of its own: whatever is slow here must not hold up the connection.
pub async fn open(
    visit: Arc<Visit>,
    wish: Wish,
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    permit: OwnedSemaphorePermit,
) {
    let asked = Instant::now();
    let found = tokio::select! {
        found = reach(&visit, &wish, None) => found,
        () = visit.gone.cancelled() => return,
    };
    let metrics = &visit.gateway.metrics;
    let line = |event| line(&visit, event, &wish);
    let (route, pod) = match found {
        Ok(found) => found,
        Err(unopened) => {
            metrics.asked(wish.mode, unopened.reason());
            visit.tell(line("refuse").reason(unopened.reason())).await;
            reply.reject(refusal(&unopened)).await;
            return;
        }
    };
    metrics.asked(wish.mode, "opened");
    metrics.open_channels.inc();
    visit
        .tell(line("open").route(&route).lasted(asked.elapsed()))
        .await;
    reply.accept().await;
    let carried = relay(channel, pod, &visit.gone).await;
    // Counted until here, so that the next one can be opened only when this one has ended.
    drop(permit);
    metrics.open_channels.dec();
    metrics.carried(carried.up, carried.down);
    let line = line("close").route(&route).bytes(carried.up, carried.down);
    visit
        .tell(line.lasted(carried.lasted).reason(carried.end.reason()))
        .await;
}

fn refusal(unopened: &Unopened) -> ChannelOpenFailure {
    let code = match unopened {
        Unopened::Refused(
            Refusal::NotFound | Refusal::Ambiguous(_) | Refusal::Port(_) | Refusal::Network(_),
        ) => 1,
        _ => 2,
    };
    ChannelOpenFailure::Other {
        code,
        reason: unopened.to_string(),
    }
}

/// The pod, within the time a client may be kept waiting; who has a terminal is told how it goes.
pub async fn reach(
    visit: &Visit,
    wish: &Wish,
    terminal: Option<&Terminal>,
) -> Result<(Route, TcpStream), Unopened> {
    let gateway = &visit.gateway;
    let mut limit = tokio::time::Instant::now() + gateway.settings.open_timeout;
    let grant = visit.grant().ok_or(Unopened::Refused(Refusal::NotFound))?;
    let (route, open) = way(visit, &grant, wish, &mut limit, terminal)
        .await
        .map_err(Unopened::Refused)?;
    if let Some(pod) = open {
        return Ok((route, pod));
    }
    let started = Instant::now();
    let left = limit.saturating_duration_since(tokio::time::Instant::now());
    let patience = gateway
        .settings
        .dial_timeout
        .min(left)
        .max(Duration::from_millis(500));
    let pod = timeout(patience, gateway.edges.dial.dial(route.address))
        .await
        .map_err(|_| Unopened::Silent(route.id.clone()))?
        .and_then(|pod| prepare_pod(&pod).map(|()| pod))
        .map_err(|_| Unopened::Unreachable(route.id.clone()))?;
    gateway.metrics.dialled(started.elapsed());
    Ok((route, pod))
}

/// The way to the pod, and the connection where one was made to find out; waits for one that starts, and starts one that may
/// be started so.
async fn way(
    visit: &Visit,
    grant: &Grant,
    wish: &Wish,
    limit: &mut tokio::time::Instant,
    terminal: Option<&Terminal>,
) -> Result<(Route, Option<TcpStream>), Refusal> {
    let gateway = &visit.gateway;
    let begun = tokio::time::Instant::now();
    let first_start = *limit + FIRST_START;
    let target = Target::parse(&wish.host).ok_or(Refusal::NotFound)?;
    let mut changes = gateway.changes();
    let mut woken = false;
    let mut progress = Progress::new(terminal);
    loop {
        changes.mark_unchanged();
        let (role, refusal) = match look(visit, grant, &target, wish) {
            Ok(route) => return Ok((route, None)),
            Err(told) => told,
        };
        match (&refusal, role) {
            (Refusal::Suspended { by, .. }, _) if woken && by.is_policy() => {}
            (Refusal::Suspended { id, by }, Some(role)) => {
                start(gateway, id, role, by.is_policy(), Intent::Connection)
                    .await
                    .map_err(|_| refusal.clone())?;
                woken = true;
                if terminal.is_some() {
                    // Who sees how it goes may wait until it runs.
                    *limit = tokio::time::Instant::now() + gateway.settings.wake_timeout;
                }
                progress
                    .say(&format!("{id} was suspended and is being started"))
                    .await;
                continue;
            }
            (Refusal::Starting(id), _) => {
                progress.say(&format!("{id} is starting")).await;
                if let Some(route) = early(visit, id, wish.port) {
                    if let Some(pod) = knock(gateway, &route).await {
                        return Ok((route, Some(pod)));
                    }
                    if tokio::time::Instant::now() > first_start.max(*limit) {
                        return Err(refusal);
                    }
                    // Either it is asked again, or something has changed: it may have ended.
                    let pause = if begun.elapsed() < KEEN {
                        KNOCK_SOON
                    } else {
                        KNOCK_AGAIN
                    };
                    let _ = timeout(pause, changes.changed()).await;
                    continue;
                }
            }
            _ => return Err(refusal),
        }
        let last = *limit - DIAL_RESERVE;
        let next = last.min(progress.next());
        let waited = timeout_at(next, changes.changed()).await;
        if waited.is_err() && next >= last {
            return Err(refusal);
        }
        progress.go_on().await;
    }
}

/// Lines for somebody who waits.
struct Progress<'a> {
    terminal: Option<&'a Terminal>,
    told: Option<String>,
    at: tokio::time::Instant,
}

impl<'a> Progress<'a> {
    fn new(terminal: Option<&'a Terminal>) -> Self {
        let at = tokio::time::Instant::now();
        Self {
            terminal,
            told: None,
            at,
        }
    }

    /// Tells it, once.
    async fn say(&mut self, text: &str) {
        if self.told.as_deref() != Some(text) {
            self.told = Some(text.to_owned());
            self.tell(text).await;
        }
    }

    /// Tells from time to time that it goes on.
    async fn go_on(&mut self) {
        if tokio::time::Instant::now() >= self.next() {
            self.tell("still starting").await;
        }
    }

    async fn tell(&mut self, text: &str) {
        self.at = tokio::time::Instant::now();
        if let Some(terminal) = self.terminal {
            terminal.say(text).await;
        }
    }

    fn next(&self) -> tokio::time::Instant {
        self.at + PATIENCE
    }
}

/// How much longer a first start is waited for than anything else: its user has just asked for it.
const FIRST_START: Duration = Duration::from_secs(50);
/// How long one question may take whether sshd answers, and how long to wait before the next: less at first, because most clients come
/// when it is about to.
const KNOCK: Duration = Duration::from_millis(500);
const KEEN: Duration = Duration::from_secs(2);
const KNOCK_SOON: Duration = Duration::from_millis(10);
const KNOCK_AGAIN: Duration = Duration::from_millis(50);

/// The connection, if sshd listens.
async fn knock(gateway: &Gateway, route: &Route) -> Option<TcpStream> {
    let dialled = timeout(KNOCK, gateway.edges.dial.dial(route.address)).await;
    let pod = dialled.ok()?.ok()?;
    prepare_pod(&pod).ok()?;
    Some(pod)
}

/// Kept of the time to answer for reaching the pod, after a start was waited for.
const DIAL_RESERVE: Duration = Duration::from_secs(1);

fn look(
    visit: &Visit,
    grant: &Grant,
    target: &Target,
    wish: &Wish,
) -> Result<Route, (Option<Role>, Refusal)> {
    let (client, networks) = (visit.client.ip(), &visit.gateway.settings.pod_networks);
    visit.gateway.ask(|table| {
        let (id, role) = route::find(table, grant, target, wish.mode).map_err(|no| (None, no))?;
        route::locate(table, &id, wish.port, client, networks).map_err(|no| (Some(role), no))
    })
}

fn early(visit: &Visit, id: &ServerId, port: u32) -> Option<Route> {
    let (client, networks) = (visit.client.ip(), &visit.gateway.settings.pod_networks);
    let look = |table: &Table| route::early(table, id, port, client, networks);
    visit.gateway.ask(look)
}

/// Starts what is suspended, if that is allowed; the word says what became of it.
pub async fn start(
    gateway: &Gateway,
    id: &ServerId,
    role: Role,
    by_policy: bool,
    intent: Intent,
) -> Result<(), String> {
    let Some(wake) = &gateway.edges.wake else {
        return Err("starting environments from here is switched off".to_owned());
    };
    if !wake::is_allowed(gateway.settings.wake, intent, role, by_policy) {
        return Err("only its owner may start it".to_owned());
    }
    let uid = gateway.ask(|table| table.server(id).map(|server| server.uid.clone()));
    let uid = uid.ok_or_else(|| "it is gone".to_owned())?;
    let only_by_policy = intent == Intent::Connection || role != Role::Owner;
    match wake.wake(id, &uid, only_by_policy).await {
        Ok(()) => {
            gateway.metrics.woke("woken");
            Ok(())
        }
        Err(error) => {
            gateway.metrics.woke("failed");
            tracing::warn!(server = %id, error = %error, "failed to wake");
            Err(error.to_string())
        }
    }
}
