//! A long way, for where the kernel has no `netem`: carries connections to an address and holds every byte back for half of
//! the round trip. It bounds no bandwidth: what is on its way waits in memory, so that only what speaks ssh sets a pace.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Most bytes that are read at once.
const CHUNK: usize = 256 * 1024;
/// KiB on the way in one direction: at 150 ms more than 400 MB/s, far above what any of the ways carries.
const ROOM: usize = 64 * 1024;

/// A long way to an address; ends when dropped.
pub struct Delay {
    /// Where it begins.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Delay {
    /// A way to the target with that round trip.
    pub async fn start(target: SocketAddr, round_trip: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, round_trip));
            }
        });
        Ok(Self { address, task })
    }
}

/// Bytes on their way.
struct Chunk {
    due: Instant,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

async fn carry(client: TcpStream, target: SocketAddr, round_trip: Duration) -> io::Result<()> {
    let (met, half) = (Instant::now(), round_trip / 2);
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (up, upwards) = channel(ROOM);
    // The kernel has answered the client at once. Over a real distance it could have sent its first byte a round trip
    // later, and its target would have had the connection after half of another.
    let reads = tokio::spawn(take(from_client, up, half, met + round_trip));
    sleep_until(met + round_trip + half).await;
    let server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    let (from_server, to_server) = server.into_split();
    let (down, downwards) = channel(ROOM);
    let _ = tokio::join!(
        reads,
        take(from_server, down, half, met),
        give(upwards, to_server),
        give(downwards, to_client),
    );
    Ok(())
}

/// Reads until the end; nothing sets off before the moment given.
async fn take(
    mut from: OwnedReadHalf,
    way: Sender<Chunk>,
    half: Duration,
    earliest: Instant,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(ROOM));
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        if from.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let due = Instant::now().max(earliest) + half;
        let bytes = buffer.split().freeze();
        let size = u32::try_from(bytes.len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&room).acquire_many_owned(size).await;
        let Ok(room) = room else { return Ok(()) };
        let chunk = Chunk {
            due,
            bytes,
            _room: room,
        };
        if way.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

async fn give(mut way: Receiver<Chunk>, mut to: OwnedWriteHalf) -> io::Result<()> {
    while let Some(chunk) = way.recv().await {
        sleep_until(chunk.due).await;
        to.write_all(&chunk.bytes).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_takes_a_round_trip_and_nothing_is_lost() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = echo.accept().await.unwrap();
            let (mut read, mut write) = socket.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let way = Delay::start(target, Duration::from_millis(40))
            .await
            .unwrap();
        let begun = Instant::now();
        let mut client = TcpStream::connect(way.address).await.unwrap();
        client.write_all(b"a").await.unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        // One to connect, one for the byte.
        assert!(begun.elapsed() >= Duration::from_millis(80));
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let (mut read, mut write) = client.split();
        let mut came = Vec::new();
        let sends = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let ((), got) = tokio::join!(sends, read.read_to_end(&mut came));
        got.unwrap();
        assert!(came == sent, "{} of {} bytes", came.len(), sent.len());
    }
}
