//! What stands behind pod addresses: sockets on this machine.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use devserver_gateway::dial::Dial;
use futures::future::BoxFuture;
use russh::{
    Channel, ChannelId,
    keys::PrivateKey,
    server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Where an address leads.
#[derive(Clone, Copy)]
enum End {
    Here(SocketAddr),
    /// Packets are lost.
    Nowhere,
}

/// The pod network: which address leads where, and which were dialled.
#[derive(Default)]
pub struct Streets {
    ends: Mutex<HashMap<SocketAddr, End>>,
    pub dialled: Mutex<Vec<SocketAddr>>,
    /// Cancelled when machines there lose their connections without a word.
    pub down: CancellationToken,
}

impl Dial for Streets {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        self.dialled.lock().unwrap().push(address);
        let end = self.ends.lock().unwrap().get(&address).copied();
        Box::pin(async move {
            match end {
                Some(End::Here(here)) => TcpStream::connect(here).await,
                Some(End::Nowhere) => std::future::pending().await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

impl Streets {
    /// Nothing answers there.
    pub fn lose(&self, address: SocketAddr) {
        self.ends.lock().unwrap().insert(address, End::Nowhere);
    }

    /// Each connection to the address is served so.
    pub async fn serve<F>(
        &self,
        address: SocketAddr,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        self.ends.lock().unwrap().insert(address, End::Here(here));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket));
            }
        });
    }

    /// Says back what it is told.
    pub async fn echo(&self, address: SocketAddr) {
        self.serve(address, |mut socket| async move {
            let (mut from, mut to) = socket.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        })
        .await;
    }

    /// Answers how many bytes there were, after the last of them.
    pub async fn count(&self, address: SocketAddr) {
        self.serve(address, |mut socket| async move {
            let mut all = Vec::new();
            let _ = socket.read_to_end(&mut all).await;
            let _ = socket.write_all(all.len().to_string().as_bytes()).await;
        })
        .await;
    }

    /// An ssh server for a key: `exit N` ends with that status, anything else is said back.
    pub async fn ssh(&self, address: SocketAddr, key: Arc<PrivateKey>, host_key: Arc<PrivateKey>) {
        let config = Arc::new(server::Config {
            keys: vec![(*host_key).clone()],
            auth_rejection_time: std::time::Duration::from_millis(10),
            ..server::Config::default()
        });
        self.serve(address, move |socket| {
            let (config, key) = (Arc::clone(&config), Arc::clone(&key));
            async move {
                if let Ok(session) = server::run_stream(config, socket, Machine { key }).await {
                    let _ = session.await;
                }
            }
        })
        .await;
    }
}

struct Machine {
    key: Arc<PrivateKey>,
}

impl server::Handler for Machine {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = key.public_key.key_data() == self.key.public_key().key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let text = String::from_utf8_lossy(command).into_owned();
        let status = text.strip_prefix("exit ").and_then(|n| n.parse().ok());
        session.channel_success(channel)?;
        if status.is_none() {
            session.data(channel, text)?;
        }
        session.exit_status_request(channel, status.unwrap_or(0))?;
        session.eof(channel)?;
        session.close(channel)
    }
}
