//! Bytes between a channel and a pod, without a copy of our own and without a buffer while nothing moves.
//!
//! Only ways with back pressure are used: reading messages from the channel as they come, and sending within its window.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, server::Msg};
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::gather::Gathered;

/// Most bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// How long a client may be silent after the pod has said its last.
const LINGER: Duration = Duration::from_secs(30);
/// How long the pod's last words are waited for when it takes none any more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the client.
    pub up: u64,
    /// Bytes to the client.
    pub down: u64,
    /// How it ended.
    pub end: End,
    /// How long it lasted.
    pub lasted: Duration,
}

/// Who ended a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed it.
    Client,
    /// The pod did.
    Pod,
    /// The way to the pod broke.
    Broken,
    /// The client's connection is over.
    Gone,
}

impl End {
    /// Bounded word for the audit.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Pod => "pod",
            Self::Broken => "pod_error",
            Self::Gone => "disconnect",
        }
    }
}

/// Carries bytes until both sides are done, one of them is gone, or the connection is.
pub async fn relay(channel: Channel<Msg>, pod: TcpStream, gone: &CancellationToken) -> Carried {
    let started = Instant::now();
    let (counted_up, counted_down) = (AtomicU64::new(0), AtomicU64::new(0));
    let (from_client, to_client) = channel.split();
    let (from_pod, to_pod) = pod.into_split();
    let both = Ends::default();
    let end = {
        let up = up(from_client, to_pod, &counted_up, &both);
        let down = down(from_pod, &to_client, &counted_down);
        tokio::pin!(up, down);
        tokio::select! {
            () = gone.cancelled() => End::Gone,
            end = &mut up => {
                if end == End::Broken {
                    // The pod takes nothing any more, but what it said before is still worth having.
                    let _ = timeout(LAST_WORDS, &mut down).await;
                }
                end
            }
            end = &mut down => {
                both.pod.store(true, Relaxed);
                if !both.client.load(Relaxed) {
                    finish(&mut up, &counted_up, gone).await;
                }
                end
            }
        }
    };
    // Fails only when the connection is gone, and the channel with it.
    let _ = to_client.close().await;
    Carried {
        up: counted_up.load(Relaxed),
        down: counted_down.load(Relaxed),
        end,
        lasted: started.elapsed(),
    }
}

/// Who has said their last. When both have, nothing can come any more, and the channel is closed without being asked to:
/// OpenSSH's `ssh -W` whose user is gone may wait for that.
#[derive(Default)]
struct Ends {
    client: AtomicBool,
    pod: AtomicBool,
}

/// After the pod's end of file: a client may go on for as long as it says something.
async fn finish(
    up: &mut (impl Future<Output = End> + Unpin),
    counted: &AtomicU64,
    gone: &CancellationToken,
) {
    loop {
        let before = counted.load(Relaxed);
        tokio::select! {
            () = gone.cancelled() => return,
            ended = timeout(LINGER, &mut *up) => match ended {
                Ok(_) => return,
                Err(_) if counted.load(Relaxed) == before => return,
                Err(_) => {}
            }
        }
    }
}

/// Ends when the client has closed the channel.
async fn up(
    mut from: ChannelReadHalf,
    mut to: OwnedWriteHalf,
    counted: &AtomicU64,
    both: &Ends,
) -> End {
    let mut data = Gathered::default();
    loop {
        let then = data.fill(&mut from).await;
        let count = data.remaining() as u64;
        let mut written = to.write_all_buf(&mut data).await;
        counted.fetch_add(count, Relaxed);
        match then {
            Some(Some(ChannelMsg::Eof)) if written.is_ok() => {
                both.client.store(true, Relaxed);
                if both.pod.load(Relaxed) {
                    return End::Client;
                }
                written = to.shutdown().await;
            }
            Some(Some(ChannelMsg::Close)) => return End::Client,
            Some(None) => return End::Gone,
            _ => {}
        }
        if written.is_err() {
            return End::Broken;
        }
    }
}

/// Ends when the pod has said its last; tells the client so.
async fn down(from: OwnedReadHalf, to: &ChannelWriteHalf<Msg>, counted: &AtomicU64) -> End {
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() < CHUNK / 2 {
            buffer.reserve(CHUNK);
        }
        match from.try_read_buf(&mut buffer) {
            Ok(0) => {
                let _ = to.eof().await;
                return End::Pod;
            }
            Ok(count) => {
                if to.data_bytes(buffer.split().freeze()).await.is_err() {
                    return End::Gone;
                }
                counted.fetch_add(count as u64, Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Thousands of sessions are idle at any time, and none of them needs a buffer.
                buffer = BytesMut::new();
                if from.readable().await.is_err() {
                    return End::Broken;
                }
            }
            Err(_) => return End::Broken,
        }
    }
}
