//! Many clients in one process: starting thousands of `ssh` would measure this machine and not the hop.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use russh::{
    Channel, ChannelMsg,
    client::{self, AuthResult, Handle, Msg},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{hops::Hops, site::USER, ways::Way};

/// Longest wait for one step of a session while hundreds of others do the same.
const PATIENCE: Duration = Duration::from_mins(5);

/// Believes every host key: these clients talk to processes that the bench has started itself.
pub struct Believer;

impl client::Handler for Believer {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Logs in with the key of the site.
#[derive(Clone)]
pub struct Clients {
    key: Arc<PrivateKey>,
    config: Arc<client::Config>,
}

/// A connection that may have another in it.
pub struct Session {
    handle: Handle<Believer>,
    _outer: Option<Handle<Believer>>,
}

/// A connection to a hop with a channel to an environment, in which nothing was said but a greeting.
pub struct Idle {
    handle: Handle<Believer>,
    _channel: Option<Channel<Msg>>,
}

impl Clients {
    /// With a private key from a file.
    pub fn new(key: &Path) -> Result<Self> {
        let key = russh::keys::load_secret_key(key, None).context("failed to read the key")?;
        Ok(Self {
            key: Arc::new(key),
            config: Arc::default(),
        })
    }

    /// Connects and logs in.
    async fn enter(&self, address: SocketAddr, user: &str) -> Result<Handle<Believer>> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        self.enter_over(socket, user).await
    }

    async fn enter_over<S>(&self, stream: S, user: &str) -> Result<Handle<Believer>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = Arc::clone(&self.config);
        let connecting = client::connect_stream(config, stream, Believer);
        let mut handle = timeout(PATIENCE, connecting)
            .await
            .context("the key exchange took too long")??;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None);
        let login = timeout(PATIENCE, handle.authenticate_publickey(user, key));
        match login.await.context("logging in took too long")?? {
            AuthResult::Success => Ok(handle),
            AuthResult::Failure { .. } => bail!("{user} may not enter"),
        }
    }

    /// Logs in at the environment, through the hop if there is one.
    pub async fn log_in(&self, hops: &Hops, way: Way) -> Result<Session> {
        let first = self.enter(hops.first(way), Hops::user(way)).await?;
        if way == Way::Direct {
            return Ok(Session {
                handle: first,
                _outer: None,
            });
        }
        let (host, port) = hops.wish(way);
        let channel = open(&first, host, port).await?;
        let handle = self.enter_over(channel.into_stream(), USER).await?;
        Ok(Session {
            handle,
            _outer: Some(first),
        })
    }

    /// Logs in at the hop and stays there; with a wish, has a channel that leads on, too.
    pub async fn rest(
        &self,
        address: SocketAddr,
        user: &str,
        wish: Option<(String, u16)>,
        greeting: bool,
    ) -> Result<Idle> {
        let handle = self.enter(address, user).await?;
        let mut channel = None;
        if let Some((host, port)) = wish {
            let mut opened = open(&handle, host, port).await?;
            if greeting {
                greeted(&mut opened).await?;
            }
            channel = Some(opened);
        }
        Ok(Idle {
            handle,
            _channel: channel,
        })
    }
}

impl Idle {
    /// Whether the connection is still there.
    pub fn lives(&self) -> bool {
        !self.handle.is_closed()
    }
}

impl Session {
    /// Whether a command does what it should.
    pub async fn echoes(&self, word: &str) -> Result<()> {
        let mut channel = timeout(PATIENCE, self.handle.channel_open_session())
            .await
            .context("opening a session took too long")??;
        channel.exec(true, format!("echo {word}")).await?;
        let mut said = Vec::new();
        let listen = async {
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Data { data } => said.extend_from_slice(&data),
                    ChannelMsg::ExitStatus { exit_status: 0 } => {}
                    ChannelMsg::ExitStatus { exit_status } => bail!("it ended with {exit_status}"),
                    _ => {}
                }
            }
            Ok(())
        };
        timeout(PATIENCE, listen)
            .await
            .context("a command took too long")??;
        if said != format!("{word}\n").as_bytes() {
            bail!("the answer was something else");
        }
        Ok(())
    }
}

async fn open(handle: &Handle<Believer>, host: String, port: u16) -> Result<Channel<Msg>> {
    let opening = handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 1);
    timeout(PATIENCE, opening)
        .await
        .context("opening a channel took too long")?
        .context("a channel was refused")
}

/// The first byte of the environment's sshd.
async fn greeted(channel: &mut Channel<Msg>) -> Result<()> {
    let mut byte = [0];
    let mut reader = channel.make_reader();
    timeout(PATIENCE, reader.read_exact(&mut byte))
        .await
        .context("no greeting came")??;
    Ok(())
}
