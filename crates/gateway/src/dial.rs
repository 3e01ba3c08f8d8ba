//! The way to a pod.

use std::{io, net::SocketAddr, time::Duration};

use futures::future::BoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Silence after which the other side is asked by the kernel whether it is there, and between further questions.
const PROBE: Duration = Duration::from_secs(15);
/// Questions without an answer after which it is gone.
const PROBES: u32 = 3;

/// Reaches an address. The network in production; in tests, something that leads pod addresses to this machine.
pub trait Dial: Send + Sync {
    /// Connects; the caller bounds the time.
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>>;
}

/// The pod network.
#[derive(Clone, Copy, Debug, Default)]
pub struct PodNetwork;

impl Dial for PodNetwork {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(address))
    }
}

/// Sets what a connection to a pod needs: no delay for keystrokes, and a node that is gone is noticed.
pub fn prepare_pod(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_keepalive(&keepalive())
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(PROBE)
        .with_interval(PROBE)
        .with_retries(PROBES)
}

/// Sets what a connection of a client needs. While bytes for a client wait in the kernel, nothing of ours asks whether it
/// is still there; the kernel then gives up after `silence`.
pub fn prepare_client(socket: &TcpStream, silence: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    // For who said good-bye and never closed: no question of the protocol is asked any more then.
    socket.set_tcp_keepalive(&keepalive())?;
    socket.set_tcp_user_timeout(Some(silence))
}
