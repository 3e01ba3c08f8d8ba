//! The gateway's own ssh connection to an environment, in direct mode. The environment shows a host key that its DevServer
//! tells, or nothing is said to it; the gateway shows a certificate of its authority.

use std::{borrow::Cow, collections::HashSet, fmt, sync::Arc, time::Duration};

use devserver_api::group;
use russh::{
    Channel, ChannelId, Disconnect, Preferred, SshId,
    client::{self, AuthResult, ChannelOpenHandle, Msg, Session},
    kex,
    keys::{Algorithm, EcdsaCurve, PublicKeyOrCertificate},
};
use tokio::{net::TcpStream, time::timeout};

use crate::{algorithms, authority::Pass, fingerprint::Fingerprint};

/// Longest time from the first byte to a session.
const ENTER: Duration = Duration::from_secs(10);
/// How long a good-bye may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Silence after which the environment is asked whether it is there; three times, and it is gone.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Its DevServer tells no host keys: nobody could know that it is the right one.
    NoHostKeys,
    /// It shows another host key.
    HostKey,
    /// It does not take the certificate.
    Certificate,
    /// It does not speak as an ssh server should, or not in time.
    Protocol,
}

impl Denial {
    /// Bounded word for metrics and the audit.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoHostKeys => "no_host_keys",
            Self::HostKey => "host_key",
            Self::Certificate => "certificate",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHostKeys => "has not told its host keys yet; try again in a moment",
            Self::HostKey => {
                "shows a host key that is not its own, so nothing was said to it; tell an administrator"
            }
            Self::Certificate => {
                "does not let the gateway in; it may not have learnt of direct mode yet: try again in some minutes, or jump: \
                 ssh -J <user>@<this host> dev@<environment>"
            }
            Self::Protocol => "does not answer as it should; it may be restarting, try again",
        })
    }
}

/// A session in an environment.
pub struct Machine {
    handle: client::Handle<Warden>,
    /// The session.
    pub channel: Channel<Msg>,
}

impl Machine {
    /// Logs in over a connection to the pod, and opens a session.
    pub async fn enter(
        pod: TcpStream,
        host_keys: HashSet<Fingerprint>,
        user: Option<&str>,
        pass: Pass,
    ) -> Result<Self, Denial> {
        if host_keys.is_empty() {
            return Err(Denial::NoHostKeys);
        }
        let entered = timeout(
            ENTER,
            enter(pod, host_keys, user.unwrap_or(group::LOGIN_USER), pass),
        )
        .await;
        entered.unwrap_or(Err(Denial::Protocol))
    }

    /// Says good-bye.
    pub async fn leave(handle: client::Handle<Warden>) {
        let told = handle.disconnect(Disconnect::ByApplication, "", "en");
        let _ = timeout(FAREWELL, told).await;
    }

    /// The session, and what it hangs on.
    pub fn into_parts(self) -> (Channel<Msg>, client::Handle<Warden>) {
        (self.channel, self.handle)
    }
}

async fn enter(
    pod: TcpStream,
    host_keys: HashSet<Fingerprint>,
    user: &str,
    pass: Pass,
) -> Result<Machine, Denial> {
    let warden = Warden { host_keys };
    let mut handle = client::connect_stream(Arc::new(config()), pod, warden)
        .await
        .map_err(|error| match error {
            russh::Error::UnknownKey => Denial::HostKey,
            error => failed(&error),
        })?;
    match handle
        .authenticate_openssh_cert(user, pass.key, pass.certificate)
        .await
    {
        Ok(AuthResult::Success) => {}
        Ok(AuthResult::Failure { .. }) => return Err(Denial::Certificate),
        Err(error) => return Err(failed(&error)),
    }
    match handle.channel_open_session().await {
        Ok(channel) => Ok(Machine { handle, channel }),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &russh::Error) -> Denial {
    tracing::debug!(%error, "failed to enter an environment");
    Denial::Protocol
}

fn config() -> client::Config {
    client::Config {
        client_id: SshId::Standard("SSH-2.0-devserver-gateway".into()),
        window_size: 2 << 20,
        maximum_packet_size: 32_768,
        // Messages that wait for the client: what an environment that is faster than its client makes us hold.
        channel_buffer_size: 64,
        preferred: Preferred {
            kex: Cow::Borrowed(&[
                kex::MLKEM768X25519_SHA256,
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]),
            key: Cow::Borrowed(&[
                Algorithm::Ed25519,
                Algorithm::Ecdsa {
                    curve: EcdsaCurve::NistP256,
                },
            ]),
            ..algorithms::preferred()
        },
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Watches what an environment says to the gateway. Its owner may make it say anything: whatever is not here is refused.
pub struct Warden {
    host_keys: HashSet<Fingerprint>,
}

/// Refuses a channel: the handle that would accept it is dropped.
macro_rules! refuse {
    ($($name:ident($($argument:ty),*);)*) => {$(
        async fn $name(
            &mut self,
            _: Channel<Msg>,
            $(_: $argument,)*
            _: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), Self::Error> {
            Ok(())
        }
    )*};
}

impl client::Handler for Warden {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.host_keys.contains(&Fingerprint::of(key.key_data()))
            }
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, _: &str) -> bool {
        false
    }

    refuse! {
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_agent_forward();
        server_channel_open_unknown();
        server_channel_open_session();
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_streamlocal(&str);
        server_channel_open_x11(&str, u32);
    }
}
