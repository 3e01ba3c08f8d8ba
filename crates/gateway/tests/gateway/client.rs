//! An ssh client in this process.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use russh::{
    ChannelId, ChannelMsg, ChannelOpenFailure,
    client::{self, AuthResult, DisconnectReason, Handle, Msg, Session},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::{Rig, eventually, soon};

/// What a client was told.
#[derive(Clone, Default)]
pub struct Told {
    /// Code and words of each channel that was not opened.
    pub refusals: Arc<Mutex<Vec<(u32, String)>>>,
    /// Words at the end.
    pub farewell: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Told {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let refusal = (reason.code(), description.to_owned());
        self.refusals.lock().unwrap().push(refusal);
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        if let DisconnectReason::ReceivedDisconnect(info) = reason {
            *self.farewell.lock().unwrap() = Some(info.message);
            return Ok(());
        }
        Ok(())
    }
}

/// A connection to the gateway.
pub struct Client {
    pub handle: Handle<Told>,
    pub told: Told,
}

impl Client {
    /// Connects over a socket.
    pub async fn over(socket: TcpStream) -> Result<Self, russh::Error> {
        let told = Told::default();
        let config = Arc::new(client::Config::default());
        let handle = soon(
            "the key exchange",
            client::connect_stream(config, socket, told.clone()),
        );
        Ok(Self {
            handle: handle.await?,
            told,
        })
    }

    pub async fn connect(rig: &Rig) -> Self {
        let socket = TcpStream::connect(rig.address).await.unwrap();
        Self::over(socket).await.unwrap()
    }

    /// Connects and logs in.
    pub async fn login(rig: &Rig, user: &str, key: &Arc<PrivateKey>) -> Self {
        let mut client = Self::connect(rig).await;
        assert!(client.enters(user, key).await, "{user} may not enter");
        client
    }

    /// Whether the key makes one the user.
    pub async fn enters(&mut self, user: &str, key: &Arc<PrivateKey>) -> bool {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
        let result = soon("login", self.handle.authenticate_publickey(user, key)).await;
        result.is_ok_and(|result| matches!(result, AuthResult::Success))
    }

    /// A channel to a server.
    pub async fn open(&self, host: &str, port: u32) -> Result<russh::Channel<Msg>, (u32, String)> {
        let opened = self
            .handle
            .channel_open_direct_tcpip(host, port, "127.0.0.1", 1);
        match soon("a channel", opened).await {
            Ok(channel) => Ok(channel),
            // The words come by another way, and may come later.
            Err(russh::Error::ChannelOpenFailure(_)) => {
                Err(eventually("words", || self.told.refusals.lock().unwrap().pop()).await)
            }
            Err(error) => panic!("no answer at all: {error}"),
        }
    }

    /// What a command says on standard error, and its status.
    pub async fn exec(&self, command: &str) -> (String, u32) {
        let mut channel = soon("a session", self.handle.channel_open_session())
            .await
            .unwrap();
        channel.exec(true, command).await.unwrap();
        let (mut said, mut status) = (Vec::new(), None);
        while let Some(message) = soon("the end of a command", channel.wait()).await {
            match message {
                ChannelMsg::ExtendedData { data, ext: 1 } => said.extend_from_slice(&data),
                ChannelMsg::Data { data } => panic!("on standard output: {data:?}"),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        (String::from_utf8(said).unwrap(), status.unwrap())
    }
}

/// A socket from another address of this machine: all of 127.0.0.0/8 is it.
pub async fn socket_from(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    socket.connect(to).await.unwrap()
}
