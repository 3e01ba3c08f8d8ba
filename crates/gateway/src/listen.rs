//! Taking connections, and ending well.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use russh::server;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{connection, gateway::Gateway, workers::Workers};

/// Connections that the kernel keeps until they are taken.
const BACKLOG: u32 = 4096;
/// Pause after the system had nothing left for a new connection.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How long connections may take to end after they were told to.
const LAST: Duration = Duration::from_secs(5);

/// Listens; both families where the address is that of both.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted container finds its port at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections until told to close, and shares them out to the workers.
pub async fn accept(
    gateway: Arc<Gateway>,
    protocol: Arc<server::Config>,
    listener: TcpListener,
    workers: &Workers,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = gateway.closing.cancelled() => return,
        };
        // Whoever reads from a socket must belong to the thread that is told of its bytes.
        match accepted.and_then(|(socket, peer)| Ok((socket.into_std()?, peer))) {
            Ok((socket, peer)) => {
                let (gateway, protocol) = (Arc::clone(&gateway), Arc::clone(&protocol));
                let tasks = gateway.tasks.clone();
                let served = async move {
                    match TcpStream::from_std(socket) {
                        Ok(socket) => connection::serve(gateway, protocol, socket, peer).await,
                        Err(error) => tracing::warn!(%error, "failed to serve a connection"),
                    }
                };
                tasks.spawn_on(served, workers.next());
            }
            // Most of the time: no more file descriptors. Those who are here go on.
            Err(error) => {
                tracing::warn!(%error, "failed to take a connection");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

/// Ends: first nobody is sent here any more, then nobody is let in, then whoever is still here is told and ended.
pub async fn drain(gateway: &Gateway, told: CancellationToken) {
    told.cancelled().await;
    gateway.ready.store(false, Ordering::Relaxed);
    let settings = &gateway.settings;
    tracing::info!(
        connections = gateway.connections.sum(),
        seconds = settings.drain_delay.as_secs(),
        "ends: still takes connections for a while"
    );
    sleep(settings.drain_delay).await;
    gateway.closing.cancel();
    gateway.tasks.close();
    let spread = settings.spread();
    let patience = settings.drain_timeout.saturating_sub(spread);
    if timeout(patience, gateway.tasks.wait()).await.is_ok() {
        return;
    }
    tracing::info!(
        connections = gateway.connections.sum(),
        "ends open sessions"
    );
    gateway.ending.cancel();
    let _ = timeout(spread + LAST, gateway.tasks.wait()).await;
}
