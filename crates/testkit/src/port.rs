//! Addresses for programs that are told where to listen.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

use anyhow::bail;

/// Below the ports that the kernel gives to connections: one of those may be taken between this answer and its use.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// One at which nothing listens. Whoever is told it twice at the same moment is unlucky once in thousands of times.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..100 {
        let chance = RandomState::new().build_hasher().finish() % u64::from(COUNT);
        let port = FIRST + u16::try_from(chance)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!(
        "100 ports of this machine were tried, and something listens at each; end what else runs here"
    )
}

/// Our own address as the lab sees it.
pub fn address_towards(node: IpAddr) -> anyhow::Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Sends nothing: it asks the kernel for the way.
    socket.connect((node, 6443))?;
    Ok(socket.local_addr()?.ip())
}
