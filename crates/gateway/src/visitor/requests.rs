//! What a client may ask for on its connection. Everything that is not here is refused by default.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect, Sig,
    keys::Certificate,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};

use super::{Visitor, too_many};
use crate::{
    access::Proof,
    algorithms,
    audit::Mode,
    certificate,
    command::{self, SESSIONS_ONLY},
    connection::WINDOW,
    fingerprint::Fingerprint,
    inbox::{Event, PATIENCE, Size, Start},
    login::Login,
    open::{self, Wish},
};

/// What a user is told who has too many connections.
const TOO_MANY_CONNECTIONS: &str = "too many connections of this user; close some";
/// What a client is told that goes on sending to an environment that takes nothing.
const TOO_MUCH: &str = "the environment does not take what is sent to it";

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
            Ok((login, proof)) => Ok(self.let_in(login, proof, true).await),
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
            Ok(()) => {
                let may_have_terminal = certificate::permits_terminal(certificate);
                let proof = Proof::Trusted(key);
                Ok(self.let_in(login, proof, may_have_terminal).await)
            }
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
        if self.direct.is_some() {
            visit.gateway.metrics.asked(Mode::Direct, "sessions_only");
            let reason = SESSIONS_ONLY.to_owned();
            // 1: administratively prohibited (RFC 4254 §5.1).
            let no = ChannelOpenFailure::Other { code: 1, reason };
            reply.reject(no).await;
            return Ok(());
        }
        let Some(permit) = self.take_channel() else {
            too_many(&visit, Mode::Jump, reply).await;
            return Ok(());
        };
        let (host, mode) = (host.to_owned(), Mode::Jump);
        let wish = Wish { host, port, mode };
        let tasks = visit.gateway.tasks.clone();
        tasks.spawn(open::open(visit, wish, channel, reply, permit));
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let is_direct = self.direct.is_some();
        let mode = if is_direct { Mode::Direct } else { Mode::Jump };
        let Some(permit) = self.take_channel() else {
            too_many(&self.visit, mode, reply).await;
            return Ok(());
        };
        if is_direct {
            self.open_direct(channel, reply, permit, session.handle())
                .await;
            return Ok(());
        }
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
        if let Some(direct) = &mut self.direct {
            direct.close(channel);
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let data_of = Event::Data(Bytes::copy_from_slice(data));
        let Some(direct) = self.direct.as_ref().filter(|d| d.put(channel, data_of)) else {
            return Ok(());
        };
        let gateway = &self.visit.gateway;
        let has_room = direct
            .held()
            .has_room(data.len(), PATIENCE, || gateway.is_low_on_memory());
        if !has_room.await {
            session.disconnect(Disconnect::ByApplication, TOO_MUCH, "en")?;
            self.visit.leaves.cancel();
        }
        Ok(())
    }

    fn adjust_window(&mut self, _: ChannelId, current: u32) -> u32 {
        let direct = self.direct.as_ref();
        direct.map_or(current, |direct| direct.held().window(WINDOW))
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.put(channel, Event::Eof);
        Ok(())
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.put(channel, Event::Signal(signal));
        Ok(())
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.put(channel, Event::Resize(Size(columns, rows, width, height)));
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.direct.as_ref().is_some_and(|d| !d.may_have_terminal()) {
            return session.channel_failure(channel);
        }
        let size = Size(columns, rows, width, height);
        self.put(channel, Event::Pty(term.to_owned(), size, modes.to_vec()));
        // Agreed to, because a client that is refused says so, and that would hide what is said instead of a shell.
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, Start::Shell, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let target = command::wake_target(command).filter(|_| !self.named_server);
        let (Some(target), Some(permit)) = (target, self.sessions.remove(&channel)) else {
            return self.start(channel, Start::Exec(command.to_vec()), session);
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
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, Start::Subsystem(name.to_owned()), session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.put(channel, Event::Env(name.to_owned(), value.to_owned())) {
            session.channel_success(channel)
        } else {
            session.channel_failure(channel)
        }
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
