//! The client of one connection: who it is, which channels it has.

mod requests;

use std::{collections::HashMap, sync::Arc};

use russh::{
    Channel, ChannelId, ChannelOpenFailure,
    server::{Auth, ChannelOpenHandle, Handle, Msg, Session},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    access::{Grant, Proof},
    audit::Mode,
    command::{NO_DIRECT, NO_SHELL, STDERR},
    direct::Direct,
    fingerprint::Fingerprint,
    inbox::{Event, Start},
    limits::Guard,
    login::Login,
    penalty::Source,
    visit::Visit,
};

/// What a channel is refused with when there are too many.
const TOO_MANY_CHANNELS: &str =
    "too many channels on this connection; close some, or open another connection";

/// The client of one connection.
pub struct Visitor {
    visit: Arc<Visit>,
    /// Held until the user is known.
    stranger: Option<Guard<Source>>,
    /// Held from then on.
    user: Option<Guard<String>>,
    /// Asked for a server in the user name.
    named_server: bool,
    /// Is led there, because direct mode is switched on.
    direct: Option<Direct>,
    channels: Arc<Semaphore>,
    /// Session channels, which lead nowhere, and what counts them.
    sessions: HashMap<ChannelId, OwnedSemaphorePermit>,
}

impl Visitor {
    /// Of a connection whose user is not known yet.
    pub fn new(visit: Arc<Visit>, stranger: Guard<Source>) -> Self {
        let most = visit
            .gateway
            .settings
            .max_channels
            .min(Semaphore::MAX_PERMITS);
        Self {
            visit,
            stranger: Some(stranger),
            user: None,
            named_server: false,
            direct: None,
            channels: Arc::new(Semaphore::new(most)),
            sessions: HashMap::new(),
        }
    }

    /// Whether the key makes somebody the user. Never changes what is known: only a signature does.
    fn prove(&self, user: &str, key: Fingerprint) -> Result<(Login, Proof), &'static str> {
        let login = Login::parse(user).ok_or("user_name")?;
        let proof = self.visit.gateway.prove(&login.user, key).ok_or("key")?;
        Ok((login, proof))
    }

    fn refuse(&self, user: &str, key: Option<Fingerprint>, reason: &'static str) -> Auth {
        self.visit.tried(user, key, reason);
        Auth::reject()
    }

    async fn let_in(&mut self, login: Login, proof: Proof, may_have_terminal: bool) -> Auth {
        self.named_server = login.direct.is_some();
        let target = login
            .direct
            .filter(|_| self.visit.gateway.edges.authority.is_some());
        self.direct = target.map(|target| Direct::new(target, may_have_terminal));
        let line = self.visit.line("auth").user(&login.user);
        self.visit.tell(line.keys([proof.fingerprint()])).await;
        self.visit.gateway.metrics.tried("accepted");
        self.user = self.visit.gateway.users.enter(login.user.clone()).ok();
        self.visit.let_in(Grant {
            user: login.user,
            proof,
        });
        self.stranger = None;
        Auth::Accept
    }

    /// One more channel, unless there are too many.
    fn take_channel(&self) -> Option<OwnedSemaphorePermit> {
        let is_low = self.visit.gateway.is_low_on_memory();
        let permit = Arc::clone(&self.channels).try_acquire_owned().ok();
        permit.filter(|_| !is_low)
    }

    /// Says something on a session channel and ends it.
    fn end(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let text = if self.named_server {
            NO_DIRECT
        } else {
            NO_SHELL
        };
        session.channel_success(channel)?;
        session.extended_data(channel, STDERR, text)?;
        session.exit_status_request(channel, 1)?;
        session.eof(channel)?;
        session.close(channel)?;
        self.sessions.remove(&channel);
        Ok(())
    }

    /// Puts it on the way to the environment, if this is a session that leads to one. Agreed to before the environment has
    /// been asked: the library answers a request at once or never.
    fn put(&self, channel: ChannelId, event: Event) -> bool {
        let direct = self.direct.as_ref();
        direct.is_some_and(|direct| direct.put(channel, event))
    }

    /// The same for what makes a session begin; without such a session it is ended.
    fn start(
        &mut self,
        channel: ChannelId,
        start: Start,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.put(channel, Event::Start(start)) {
            session.channel_success(channel)
        } else {
            self.end(channel, session)
        }
    }

    /// A session that leads into an environment.
    async fn open_direct(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        permit: OwnedSemaphorePermit,
        handle: Handle,
    ) {
        let visit = Arc::clone(&self.visit);
        let authority = visit.gateway.edges.authority.clone();
        let (Some(direct), Some(authority)) = (&mut self.direct, authority) else {
            return;
        };
        if !direct.has_place() {
            return too_many(&visit, Mode::Direct, reply).await;
        }
        let tasks = visit.gateway.tasks.clone();
        reply.accept().await;
        tasks.spawn(direct.begin(visit, authority, channel, handle, permit));
    }
}

async fn too_many(visit: &Visit, mode: Mode, reply: ChannelOpenHandle) {
    visit.gateway.metrics.asked(mode, "too_many");
    let reason = TOO_MANY_CHANNELS.to_owned();
    // 4: resource shortage (RFC 4254 §5.1).
    reply
        .reject(ChannelOpenFailure::Other { code: 4, reason })
        .await;
}
