//! A client's connection that can be cut from outside.
//!
//! russh ends a session by itself only when it can still read and write; a client that does neither would stay for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::{
    io::poll_read_buf,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};

/// Most bytes that are read ahead: russh asks for the length of each packet by itself, and a call to the kernel for four
/// bytes costs as much as one for two packets.
const CHUNK: usize = 64 * 1024;
/// Reads of that many bytes go past the buffer.
const DIRECT: usize = 16 * 1024;

/// A connection that fails as soon as it is cut.
#[derive(Debug)]
pub struct Cuttable {
    socket: TcpStream,
    /// What was read and not taken yet.
    held: BytesMut,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    /// Until the token is cancelled; `first` was read with the PROXY header and belongs after it.
    pub fn new(socket: TcpStream, first: &[u8], cut: CancellationToken) -> Self {
        Self {
            socket,
            held: BytesMut::from(first),
            cut: Box::pin(cut.cancelled_owned()),
        }
    }

    /// Reads what is there; without anything, thousands of idle connections need no buffer.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.held.reserve(CHUNK);
        let read = poll_read_buf(Pin::new(&mut self.socket), cx, &mut self.held);
        if read.is_pending() {
            self.held = BytesMut::new();
        }
        read.map_ok(|_| ())
    }

    /// Both directions are polled by one task, so one waker is enough.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let this = &mut *self;
        if this.held.is_empty() {
            if into.remaining() >= DIRECT {
                return Pin::new(&mut this.socket).poll_read(cx, into);
            }
            ready!(this.poll_fill(cx))?;
        }
        let count = this.held.len().min(into.remaining());
        into.put_slice(&this.held.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
