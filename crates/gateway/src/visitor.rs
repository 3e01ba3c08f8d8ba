//! What a client may do on its connection. Everything that is not here is refused by default.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect,
    keys::Certificate,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    access::{Grant, Proof},
    algorithms, certificate,
    command::{self, NO_DIRECT, NO_SHELL, STDERR},
    fingerprint::Fingerprint,
    limits::Guard,
    login::Login,
    open::{self, Wish},
    penalty::Source,
    visit::Visit,
};

/// What a channel is refused with when there are too many.
const TOO_MANY_CHANNELS: &str =
    "too many channels on this connection; close some, or open another connection";
/// What a user is told who has too many connections.
const TOO_MANY_CONNECTIONS: &str = "too many connections of this user; close some";

/// The client of one connection.
pub struct Visitor {
    visit: Arc<Visit>,
    /// Held until the user is known.
    stranger: Option<Guard<Source>>,
    /// Held from then on.
    user: Option<Guard<String>>,
    /// Asked for a server in the user name.
    direct: bool,
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
            direct: false,
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

    async fn let_in(&mut self, login: Login, proof: Proof) -> Auth {
        self.direct = login.direct.is_some();
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
        let text = if self.direct { NO_DIRECT } else { NO_SHELL };
        session.channel_success(channel)?;
        session.extended_data(channel, STDERR, text)?;
        session.exit_status_request(channel, 1)?;
        session.eof(channel)?;
        session.close(channel)?;
        self.sessions.remove(&channel);
        Ok(())
    }
}

async fn too_many(visit: &Visit, reply: ChannelOpenHandle) {
    visit.gateway.metrics.asked("too_many");
    let reason = TOO_MANY_CHANNELS.to_owned();
    // 4: resource shortage (RFC 4254 §5.1).
    reply
        .reject(ChannelOpenFailure::Other { code: 4, reason })
        .await;
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let key = Fingerprint::of(offer.public_key.key_data());
        if !algorithms::is_accepted(offer.algorithm) {
            return Ok(self.refuse(user, Some(key), "algorithm"));
        }
        // A certificate is shown here as its key alone: with authorities, every key has to be let through to its signature.
        if !self.visit.gateway.trusted().authorities.is_empty() {
            return Ok(Auth::Accept);
        }
        match self.prove(user, key) {
            Ok(_) => Ok(Auth::Accept),
            Err(reason) => Ok(self.refuse(user, Some(key), reason)),
        }
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let signed = Fingerprint::of(key.public_key.key_data());
        if !algorithms::is_accepted(key.algorithm) {
            return Ok(self.refuse(user, Some(signed), "algorithm"));
        }
        match self.prove(user, signed) {
            Ok((login, proof)) => Ok(self.let_in(login, proof).await),
            Err(reason) => Ok(self.refuse(user, Some(signed), reason)),
        }
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        let key = certificate::fingerprint(certificate);
        let trusted = self.visit.gateway.trusted();
        let authority = Fingerprint::of(certificate.signature_key());
        if trusted.revoked.contains(&key) || trusted.revoked.contains(&authority) {
            return Ok(self.refuse(user, Some(key), "revoked"));
        }
        let Some(login) = Login::parse(user) else {
            return Ok(self.refuse(user, Some(key), "user_name"));
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 makes every certificate one of the future.
        let now = now.map_or(0, |since| since.as_secs());
        let from = self.visit.client.ip();
        match certificate::check(certificate, &login.user, from, &trusted.authorities, now) {
            Ok(()) => Ok(self.let_in(login, Proof::Trusted(key)).await),
            Err(why) => {
                tracing::debug!(connection = self.visit.number, %why, "certificate refused");
                Ok(self.refuse(user, Some(key), "certificate"))
            }
        }
    }

    async fn auth_password(&mut self, user: &str, _: &str) -> Result<Auth, Self::Error> {
        Ok(self.refuse(user, None, "method"))
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        if self.user.is_none() {
            session.disconnect(Disconnect::TooManyConnections, TOO_MANY_CONNECTIONS, "en")?;
            self.visit.leaves.cancel();
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let visit = Arc::clone(&self.visit);
        let Some(permit) = self.take_channel() else {
            too_many(&visit, reply).await;
            return Ok(());
        };
        let host = host.to_owned();
        let wish = Wish { host, port };
        let tasks = visit.gateway.tasks.clone();
        tasks.spawn(open::open(visit, wish, channel, reply, permit));
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(permit) = self.take_channel() else {
            too_many(&self.visit, reply).await;
            return Ok(());
        };
        self.sessions.insert(channel.id(), permit);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.sessions.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Agreed to, because a client that is refused says so, and that would hide what is said instead of a shell.
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.end(channel, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let target = command::wake_target(command).filter(|_| !self.direct);
        let (Some(target), Some(permit)) = (target, self.sessions.remove(&channel)) else {
            return self.end(channel, session);
        };
        session.channel_success(channel)?;
        let visit = Arc::clone(&self.visit);
        let tasks = visit.gateway.tasks.clone();
        tasks.spawn(command::wake(
            visit,
            target,
            session.handle(),
            channel,
            permit,
        ));
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.end(channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
