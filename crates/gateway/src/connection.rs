//! One connection from its first byte to its last.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use russh::{
    Disconnect, MethodKind, MethodSet, SshId,
    keys::PrivateKey,
    server::{self, RunningSession},
};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    address::holds,
    algorithms,
    dial::prepare_client,
    gateway::Gateway,
    limits::Guard,
    penalty::{Offence, Source},
    proxy::{self, Header},
    settings::Settings,
    stream::Cuttable,
    visit::Visit,
    visitor::Visitor,
};

/// Longest wait for a PROXY header, which a load balancer sends at once.
const HEADER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a session that was told to end may take to do so.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes that clients may send on a channel before they are told to go on. OpenSSH's is 2 MiB, which is what bounds it over
/// long distances.
pub const WINDOW: u32 = 8 << 20;
/// What clients are told when the gateway ends.
const RESTARTS: &str = "the gateway is being restarted; connect again";

/// The protocol's settings, the same for all connections.
pub fn protocol(settings: &Settings, host_keys: Vec<PrivateKey>) -> server::Config {
    server::Config {
        // No version: it would help those who look for old ones, and nobody else.
        server_id: SshId::Standard("SSH-2.0-devserver-gateway".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: settings.rejection_time,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: host_keys,
        window_size: WINDOW,
        maximum_packet_size: 65_535,
        // Messages that wait for a pod: what a client that is faster than its pod makes us hold.
        channel_buffer_size: 64,
        event_buffer_size: 32,
        preferred: algorithms::preferred(),
        max_auth_attempts: settings.max_auth_tries,
        inactivity_timeout: None,
        keepalive_interval: Some(settings.keepalive),
        // Asked once; silence for as long again is an answer.
        keepalive_max: 1,
        nodelay: true,
        ..server::Config::default()
    }
}

/// Serves one connection to its end.
pub async fn serve(
    gateway: Arc<Gateway>,
    protocol: Arc<server::Config>,
    mut socket: TcpStream,
    peer: SocketAddr,
) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let Ok(counted) = gateway.connections.enter(()) else {
        gateway.metrics.arrived("connections");
        return;
    };
    let is_proxy = gateway
        .settings
        .proxies
        .iter()
        .any(|n| holds(*n, peer.ip()));
    let (client, first) = if is_proxy {
        match header(&mut socket).await {
            Ok((Header::Client(client), rest)) => (client, rest),
            Ok((Header::Local, _)) => return gateway.metrics.arrived("proxy_look"),
            Err(()) => return gateway.metrics.arrived("proxy_header"),
        }
    } else {
        (peer, Vec::new())
    };
    let stranger = match gateway.admit(client.ip()) {
        Ok(stranger) => stranger,
        Err(reason) => return gateway.metrics.arrived(reason),
    };
    let silence = gateway.settings.keepalive * 2;
    if prepare_client(&socket, silence).is_err() {
        return gateway.metrics.arrived("gone");
    }
    gateway.metrics.arrived("accepted");
    gateway.metrics.connections.inc();
    let visit = Visit::new(Arc::clone(&gateway), client);
    visit.tell(visit.line("connect")).await;
    let reason = attend(&visit, protocol, socket, first, stranger).await;
    visit.gone.cancel();
    drop(counted);
    gateway.metrics.connections.dec();
    account(&visit, reason).await;
}

/// The header of a load balancer, and what came after it.
async fn header(socket: &mut TcpStream) -> Result<(Header, Vec<u8>), ()> {
    let read = async {
        let mut bytes = Vec::new();
        loop {
            match proxy::parse(&bytes) {
                Ok(Some((header, used))) => return Ok((header, bytes.split_off(used))),
                Ok(None) if bytes.len() < proxy::MAX => {}
                Ok(None) | Err(proxy::Malformed) => return Err(()),
            }
            match socket.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return Err(()),
                Ok(_) => {}
            }
        }
    };
    timeout(HEADER_TIMEOUT, read).await.unwrap_or(Err(()))
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// By the client.
    Client,
    /// By an error of the protocol.
    Protocol,
    /// The connection failed.
    Lost,
    /// No answer to a question whether somebody is there.
    Silent,
    /// Did not log in in time.
    TooSlow,
    /// The user has too many connections.
    TooMany,
    /// The gateway ends.
    Drained,
}

impl Ended {
    fn reason(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Protocol => "protocol",
            Self::Lost => "lost",
            Self::Silent => "keepalive",
            Self::TooSlow => "login_grace",
            Self::TooMany => "too_many",
            Self::Drained => "drained",
        }
    }

    fn of(result: &Result<(), russh::Error>) -> Self {
        match result {
            Ok(()) | Err(russh::Error::HUP | russh::Error::Disconnect) => Self::Client,
            Err(russh::Error::KeepaliveTimeout) => Self::Silent,
            Err(russh::Error::IO(_)) => Self::Lost,
            Err(_) => Self::Protocol,
        }
    }
}

async fn attend(
    visit: &Arc<Visit>,
    protocol: Arc<server::Config>,
    socket: TcpStream,
    first: Vec<u8>,
    stranger: Guard<Source>,
) -> Ended {
    let cut = CancellationToken::new();
    let _cut_at_the_end = cut.clone().drop_guard();
    let stream = Cuttable::new(socket, &first, cut.clone());
    let visitor = Visitor::new(Arc::clone(visit), stranger);
    let gateway = &visit.gateway;
    let grace = sleep(gateway.settings.login_grace);
    tokio::pin!(grace);
    let begun = tokio::select! {
        begun = server::run_stream(protocol, stream, visitor) => begun,
        () = &mut grace => return Ended::TooSlow,
    };
    let mut session = match begun {
        Ok(session) => session,
        Err(error) => return Ended::of(&Err(error)),
    };
    let mut in_grace = true;
    loop {
        tokio::select! {
            result = &mut session => return Ended::of(&result),
            () = &mut grace, if in_grace => {
                in_grace = false;
                if !visit.is_known() {
                    return Ended::TooSlow;
                }
            }
            // russh would wait for the client to close, for ever.
            () = visit.leaves.cancelled() => {
                let _ = timeout(FAREWELL, &mut session).await;
                return Ended::TooMany;
            }
            () = gateway.ending.cancelled() => {
                if visit.is_known() {
                    say_farewell(gateway, session).await;
                }
                return Ended::Drained;
            }
        }
    }
}

/// Tells the client why and gives it a moment to close.
async fn say_farewell(gateway: &Gateway, mut session: RunningSession<Visitor>) {
    let moment = gateway.settings.spread().mul_f64(rand::random::<f64>());
    if timeout(moment, &mut session).await.is_ok() {
        return;
    }
    let handle = session.handle();
    let farewell = async {
        let told = handle
            .disconnect(
                Disconnect::ByApplication,
                RESTARTS.to_owned(),
                "en".to_owned(),
            )
            .await;
        if told.is_ok() {
            let _ = session.await;
        }
    };
    let _ = timeout(FAREWELL, farewell).await;
}

/// Tells the audit how it ended and lets the source pay for what it did wrong.
async fn account(visit: &Visit, ended: Ended) {
    let gateway = &visit.gateway;
    let (known, tries) = (visit.grant(), visit.tries());
    if known.is_none() {
        let offence = match (ended, &tries) {
            (Ended::TooSlow, _) => Offence::TooSlow,
            (Ended::Protocol, _) => Offence::Protocol,
            (_, Some(_)) => Offence::Failed,
            (_, None) => Offence::NoTry,
        };
        gateway.punish(visit.client.ip(), offence);
        if let Some(tries) = tries {
            gateway.metrics.tried("failed");
            let line = visit
                .line("auth_failure")
                .user(&tries.user)
                .keys(tries.keys);
            visit.tell(line.reason(tries.reason)).await;
        }
    }
    let mut line = visit.line("disconnect").lasted(visit.since.elapsed());
    if let Some(grant) = known {
        line = line.user(&grant.user);
    }
    visit.tell(line.reason(ended.reason())).await;
}
