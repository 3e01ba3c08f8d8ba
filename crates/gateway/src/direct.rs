//! Direct mode: `ssh <user>+<server>@gateway`. The client's ssh ends here, and another one of the gateway's own goes on to
//! the environment's sshd; what passes from one to the other is a session and nothing else.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use russh::{Channel, ChannelId, ChannelWriteHalf, server::Msg};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use crate::{
    audit::Mode,
    authority::{Authority, Purpose},
    command::Terminal,
    inbox::{Event, Held, Inbox, Outbox, inbox},
    machine::Machine,
    open::{self, Unopened, Wish},
    relay::Carried,
    route::{Refusal, Route},
    session,
    target::Target,
    visit::Visit,
};

/// Sessions of one connection at the same time, as OpenSSH's `MaxSessions`.
const MOST_SESSIONS: usize = 10;
/// Status of a session that was never one: what `ssh` says itself when it gets nowhere.
const NOWHERE: u32 = 255;

/// What a connection that leads into one environment has.
pub struct Direct {
    target: Target,
    may_have_terminal: bool,
    held: Held,
    sessions: HashMap<ChannelId, Outbox>,
}

impl Direct {
    /// No session yet.
    pub fn new(target: Target, may_have_terminal: bool) -> Self {
        Self {
            target,
            may_have_terminal,
            held: Held::default(),
            sessions: HashMap::new(),
        }
    }

    /// Whether there may be one session more.
    pub fn has_place(&self) -> bool {
        self.sessions.len() < MOST_SESSIONS
    }

    /// Whether the proof of the user allows a terminal.
    pub fn may_have_terminal(&self) -> bool {
        self.may_have_terminal
    }

    /// Bytes on their way to the environment.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Begins a session; its bytes are served by the task that this makes.
    pub fn begin(
        &mut self,
        visit: Arc<Visit>,
        authority: Arc<Authority>,
        channel: Channel<Msg>,
        handle: russh::server::Handle,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + use<> {
        let id = channel.id();
        let (outbox, inbox) = inbox(&self.held);
        self.sessions.insert(id, outbox);
        // What comes is put into the inbox by the visitor; nobody reads it here, and nothing waits for that.
        let (_, channel) = channel.split();
        let session = Session {
            visit,
            authority,
            target: self.target.clone(),
            terminal: Terminal::new(handle, id),
            channel,
        };
        session.serve(inbox, permit)
    }

    /// Something came on a session; `false`: there is no such session.
    pub fn put(&self, channel: ChannelId, event: Event) -> bool {
        let outbox = self.sessions.get(&channel);
        outbox.inspect(|outbox| outbox.put(event)).is_some()
    }

    /// The client has closed it.
    pub fn close(&mut self, channel: ChannelId) {
        self.sessions.remove(&channel);
    }
}

struct Session {
    visit: Arc<Visit>,
    authority: Arc<Authority>,
    target: Target,
    terminal: Terminal,
    channel: ChannelWriteHalf<Msg>,
}

impl Session {
    async fn serve(self, mut inbox: Inbox, permit: OwnedSemaphorePermit) {
        let asked = Instant::now();
        let wish = Wish {
            host: self.target.to_string(),
            port: 22,
            mode: Mode::Direct,
        };
        let closed = inbox.closed.clone();
        let found = tokio::select! {
            found = self.enter(&wish) => found,
            () = self.visit.gone.cancelled() => return,
            () = closed.cancelled() => return,
        };
        let metrics = &self.visit.gateway.metrics;
        let line = |event| open::line(&self.visit, event, &wish);
        let (route, machine) = match found {
            Ok(found) => found,
            Err(unopened) => {
                metrics.asked(wish.mode, unopened.reason());
                let line = line("refuse").reason(unopened.reason());
                self.visit.tell(line).await;
                self.terminal.say(&unopened.to_string()).await;
                self.terminal.end(NOWHERE).await;
                return;
            }
        };
        metrics.asked(wish.mode, "opened");
        metrics.open_channels.inc();
        let opened = line("open").route(&route).lasted(asked.elapsed());
        self.visit.tell(opened).await;
        let carried = self.carry(&mut inbox, &route, machine).await;
        drop(permit);
        metrics.open_channels.dec();
        metrics.carried(carried.up, carried.down);
        let line = line("close").route(&route);
        let line = line.bytes(carried.up, carried.down).lasted(carried.lasted);
        self.visit.tell(line.reason(carried.end.reason())).await;
    }

    /// The way into the environment. What is told of it is told to who waits.
    async fn enter(&self, wish: &Wish) -> Result<(Route, Machine), Unopened> {
        let (route, pod) = open::reach(&self.visit, wish, Some(&self.terminal)).await?;
        let machine = self.log_in(&route, pod).await?;
        Ok((route, machine))
    }

    async fn log_in(&self, route: &Route, pod: TcpStream) -> Result<Machine, Unopened> {
        let grant = self.visit.grant();
        let grant = grant.ok_or(Unopened::Refused(Refusal::NotFound))?;
        let unreachable = || Unopened::Unreachable(route.id.clone());
        let from = pod.local_addr().map_err(|_| unreachable())?.ip();
        let told = self.visit.gateway.ask(|table| {
            let server = table.server(&route.id).filter(|s| s.uid == route.uid);
            server.map(|server| (server.host_keys.clone(), server.login_user.clone()))
        });
        let (host_keys, user) = told.unwrap_or_default();
        let purpose = Purpose {
            user: &grant.user,
            connection: self.visit.number,
            uid: &route.uid,
            from,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let pass = self.authority.pass(purpose, now).map_err(|error| {
            tracing::error!(%error, "failed to sign a certificate");
            unreachable()
        })?;
        let entered = Machine::enter(pod, host_keys, user.as_deref(), pass).await;
        entered.map_err(|why| Unopened::Denied(route.id.clone(), why))
    }

    async fn carry(&self, inbox: &mut Inbox, route: &Route, machine: Machine) -> Carried {
        let (machine, handle) = machine.into_parts();
        let gone = &self.visit.gone;
        let carried = session::carry(inbox, machine, &self.channel, &self.terminal, gone).await;
        if carried.end == crate::relay::End::Broken {
            let id = &route.id;
            let lost = format!(
                "the connection to {id} was lost; `devctl why {}` may say more",
                id.name
            );
            self.terminal.say(&lost).await;
            self.terminal.end(NOWHERE).await;
        }
        // Fails only when the connection is gone, and the channel with it.
        let _ = self.channel.close().await;
        Machine::leave(handle).await;
        carried
    }
}
