//! An environment that takes connections and says nothing, for idle sessions by the thousand: as many processes of sshd
//! would measure this machine's memory.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::{io::AsyncReadExt, net::TcpSocket};

/// Connections that wait to be taken.
const BACKLOG: u32 = 1024;

/// Keeps every connection until the other side ends it.
pub async fn serve(address: SocketAddr) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket
        .listen(BACKLOG)
        .with_context(|| format!("failed to listen on {address}"))?;
    loop {
        let (mut connection, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            while matches!(connection.read(&mut buffer).await, Ok(count) if count > 0) {}
        });
    }
}
