//! A websocket between a browser and a pod: frames go on as they come, and between them stand pings and the last word.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tungstenite::protocol::frame::coding::Control;

use super::frames::{self, Broken, Frames, Piece};

/// Bytes that are read at once: few for what is idle, many for what is busy.
const FEW: usize = 4 * 1024;
const MANY: usize = 64 * 1024;

/// Times of a websocket.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A browser that was told nothing, or said nothing, for so long is pinged. Below what proxies wait for.
    pub ping: Duration,
    /// A browser that said nothing for so long, asked or not, is gone.
    pub silence: Duration,
    /// How long a last word and its answer may take.
    pub farewell: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(20),
            silence: Duration::from_secs(90),
            farewell: Duration::from_secs(2),
        }
    }
}

/// Why a websocket ends before its two ends want it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Who has it may have it no more.
    Revoked,
    /// This replica ends.
    Ending,
}

/// How a websocket has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By one of its two ends.
    Closed,
    /// By us.
    Cut(Why),
    /// The browser did not answer any more.
    Silent,
    /// One of the ends spoke no websocket.
    Broken,
}

impl Ended {
    /// Code and reason as the browser is told.
    fn word(self) -> (u16, &'static str) {
        match self {
            // Whatever ends without a word is told as what it is: the other side has gone.
            Self::Closed | Self::Silent => (1001, "the environment does not answer any more"),
            Self::Cut(Why::Revoked) => (1008, "you may not be here any more"),
            Self::Cut(Why::Ending) => (1001, "the console restarts; connect again"),
            Self::Broken => (1002, "these are no frames of a websocket"),
        }
    }
}

/// What the two directions know of each other.
struct Shared {
    began: Instant,
    /// Milliseconds after the beginning at which the browser was heard last.
    heard: AtomicU64,
    /// Payload of our ping that was not answered yet.
    ping: Mutex<Option<[u8; 8]>>,
    /// Cancelled when both have to say their last word.
    over: CancellationToken,
    /// Cancelled when nothing more comes from the browser.
    browser_gone: CancellationToken,
    /// Cancelled when nothing more comes from the pod.
    pod_gone: CancellationToken,
    ended: Mutex<Option<Ended>>,
}

impl Shared {
    fn heard(&self) -> Instant {
        self.began + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    fn hears(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    fn end(&self, ended: Ended) {
        let mut told = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        told.get_or_insert(ended);
        self.over.cancel();
    }

    fn ended(&self) -> Ended {
        let told = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        told.unwrap_or(Ended::Closed)
    }

    /// Whether a pong is the answer to our ping, which the pod does not know of.
    fn is_answer(&self, payload: &[u8]) -> bool {
        let mut ping = self.ping.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ours = ping.is_some_and(|ours| ours == payload);
        if is_ours {
            *ping = None;
        }
        is_ours
    }

    /// A ping that is told from those of the pod.
    fn new_ping(&self) -> [u8; 8] {
        let payload = rand::random();
        *self.ping.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
        payload
    }
}

/// Passes everything on until one of the ends is gone, `cut` says why it has to end, or the browser does not answer.
pub async fn relay<B, U>(browser: B, pod: U, pace: Pace, cut: impl Future<Output = Why>) -> Ended
where
    B: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let shared = Shared {
        began: Instant::now(),
        heard: AtomicU64::new(0),
        ping: Mutex::default(),
        over: CancellationToken::new(),
        browser_gone: CancellationToken::new(),
        pod_gone: CancellationToken::new(),
        ended: Mutex::default(),
    };
    let (mut from_browser, mut to_browser) = tokio::io::split(browser);
    let (mut from_pod, mut to_pod) = tokio::io::split(pod);
    let both = async {
        tokio::join!(
            down(&mut from_pod, &mut to_browser, pace, &shared),
            up(&mut from_browser, &mut to_pod, pace, &shared),
        )
    };
    let watch = async {
        tokio::select! {
            why = cut => shared.end(Ended::Cut(why)),
            () = silent(pace, &shared) => shared.end(Ended::Silent),
            () = shared.over.cancelled() => {}
        }
        // Whoever does not read cannot be told; they are cut all the same.
        sleep(pace.farewell * 2).await;
    };
    tokio::select! {
        _ = both => {}
        () = watch => {}
    }
    shared.ended()
}

/// Ends when nothing was heard of the browser for too long, though it was asked.
async fn silent(pace: Pace, shared: &Shared) {
    loop {
        let end = shared.heard() + pace.silence;
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}

/// Room for what comes next. What was busy and is idle gives its memory back.
fn room(frames: &mut Frames, was_full: bool) {
    if !was_full && frames.buffer.is_empty() && frames.buffer.capacity() > 2 * FEW {
        frames.buffer = BytesMut::new();
    }
    frames.buffer.reserve(if was_full { MANY } else { FEW });
}

fn is_full(frames: &Frames) -> bool {
    frames.buffer.len() == frames.buffer.capacity()
}

/// From the pod to the browser, with pings between.
async fn down(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    pace: Pace,
    shared: &Shared,
) {
    let (mut frames, mut full, mut closed) = (Frames::default(), false, false);
    let (mut told, mut pinged) = (Instant::now(), shared.began);
    loop {
        room(&mut frames, full);
        let due = told.min(shared.heard()).max(pinged) + pace.ping;
        tokio::select! {
            biased;
            () = shared.over.cancelled(), if frames.is_between() => break,
            read = from.read_buf(&mut frames.buffer) => {
                let Ok(1..) = read else { break };
                full = is_full(&frames);
                match pass(&mut frames, to, |_| true).await {
                    Ok(Some(Control::Close)) => closed = true,
                    Ok(_) => {}
                    Err(Stopped::Gone) => return shared.over.cancel(),
                    Err(Stopped::Broken) => {
                        shared.end(Ended::Broken);
                        break;
                    }
                }
                told = Instant::now();
            }
            () = sleep_until(due), if frames.is_between() && !closed => {
                // The browser may have said something meanwhile.
                if told.min(shared.heard()).max(pinged) + pace.ping > Instant::now() {
                    continue;
                }
                if written(to, &frames::ping(shared.new_ping())).await.is_err() {
                    return shared.over.cancel();
                }
                pinged = Instant::now();
            }
        }
    }
    shared.pod_gone.cancel();
    if frames.is_between() && !closed {
        let (code, reason) = shared.ended().word();
        let _ = written(to, &frames::close(code, reason, None)).await;
    }
    let _ = to.shutdown().await;
    // The browser's answer may come; then its side ends by itself.
    let _ = timeout(pace.farewell, shared.browser_gone.cancelled()).await;
    shared.over.cancel();
}

/// From the browser to the pod, without the answers to our pings.
async fn up(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    pace: Pace,
    shared: &Shared,
) {
    let (mut frames, mut full, mut closed) = (Frames::default(), false, false);
    loop {
        room(&mut frames, full);
        tokio::select! {
            biased;
            () = shared.over.cancelled(), if frames.is_between() => {
                // Codes that speak of this hop are not the pod's to know; that whoever was there has gone, is.
                if !closed {
                    let mask = Some(rand::random());
                    let _ = written(to, &frames::close(1001, "the browser has gone", mask)).await;
                }
                let _ = to.shutdown().await;
                let _ = timeout(pace.farewell, drained(from)).await;
                return shared.browser_gone.cancel();
            }
            read = from.read_buf(&mut frames.buffer) => {
                let Ok(1..) = read else { break };
                full = is_full(&frames);
                shared.hears();
                match pass(&mut frames, to, |piece| !is_answer(piece, shared)).await {
                    Ok(Some(Control::Close)) => closed = true,
                    Ok(_) => {}
                    // What the pod still had to say comes the other way.
                    Err(Stopped::Gone) => {
                        let _ = timeout(pace.farewell, drained(from)).await;
                        break;
                    }
                    Err(Stopped::Broken) => {
                        shared.end(Ended::Broken);
                        break;
                    }
                }
            }
        }
    }
    shared.browser_gone.cancel();
    let _ = to.shutdown().await;
    // The pod's own last word may come.
    let _ = timeout(pace.farewell, shared.pod_gone.cancelled()).await;
    shared.over.cancel();
}

fn is_answer(piece: &Piece, shared: &Shared) -> bool {
    matches!(piece, Piece::Control { what: Control::Pong, payload, .. } if shared.is_answer(payload))
}

enum Stopped {
    Gone,
    Broken,
}

impl From<std::io::Error> for Stopped {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl From<Broken> for Stopped {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// Passes on what came; says which control frame was the last.
async fn pass(
    frames: &mut Frames,
    to: &mut (impl AsyncWrite + Unpin),
    mut is_for_them: impl FnMut(&Piece) -> bool,
) -> Result<Option<Control>, Stopped> {
    let mut last = None;
    while let Some(piece) = frames.piece()? {
        if let Piece::Control { what, .. } = piece {
            last = Some(what);
        }
        if is_for_them(&piece) {
            to.write_all(piece.raw()).await?;
        }
    }
    to.flush().await?;
    Ok(last)
}

async fn written(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Reads what still comes and is nobody's any more, so that what was written arrives.
async fn drained(from: &mut (impl AsyncRead + Unpin)) {
    let mut waste = [0; 1024];
    while let Ok(1..) = from.read(&mut waste).await {}
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
