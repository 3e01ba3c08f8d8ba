//! Who gets notifications in the tests: a mail server that speaks SMTP, and an address for webhooks.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A mail server that takes everything (RFC 5321); ends when dropped.
pub(super) struct Mailbox {
    address: SocketAddr,
    mails: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Mailbox {
    pub(super) async fn start() -> anyhow::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// At a port of that address of ours.
    pub(super) async fn start_at(here: IpAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((here, 0)).await?;
        let address = listener.local_addr()?;
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = mails.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move { drop(converse(socket, &kept).await) });
            }
        });
        Ok(Self {
            address,
            mails,
            task,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn mails(&self) -> Vec<String> {
        let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(socket: TcpStream, mails: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    socket.write_all(b"220 test\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let word = line.trim().to_ascii_uppercase();
        let answer: &[u8] = match word.split(' ').next().unwrap_or_default() {
            "DATA" => {
                socket.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if socket.read_line(&mut mail).await? == 0 {
                        return Ok(());
                    }
                }
                let mut kept = mails.lock().unwrap_or_else(PoisonError::into_inner);
                // Without the breaks of lines that quoted-printable adds (RFC 2045).
                kept.push(mail.replace("=\r\n", ""));
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            "EHLO" | "HELO" | "MAIL" | "RCPT" | "NOOP" | "RSET" => b"250 fine\r\n",
            _ => b"500 what\r\n",
        };
        socket.write_all(answer).await?;
    }
}

/// A notification as it came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    path: String,
    pub(super) id: String,
    time: String,
    signature: String,
    pub(super) body: String,
}

impl Got {
    /// Whether it is signed with that key (Standard Webhooks).
    pub(super) fn is_signed(&self, key: &str) -> anyhow::Result<()> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?;
        mac.update(format!("{}.{}.{}", self.id, self.time, self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        ensure!(self.signature == expected, "{self:?}");
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Kept {
    all: Arc<Mutex<Vec<Got>>>,
    fails: Arc<AtomicBool>,
}

/// An address for webhooks; ends when dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> anyhow::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// At a port of that address of ours.
    pub(super) async fn start_at(here: IpAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((here, 0)).await?;
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let router = Router::new().fallback(take).with_state(kept.clone());
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).await;
            drop(served.context("the receiver ended"));
        });
        Ok(Self {
            address,
            kept,
            task,
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next one to `/events` is answered with an error.
    pub(super) fn fail_next(&self) {
        self.kept.fails.store(true, Ordering::SeqCst);
    }

    pub(super) fn got(&self, path: &str) -> Vec<Got> {
        let all = self.kept.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|got| got.path == path).cloned().collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(kept): State<Kept>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let got = Got {
        path: uri.path().to_owned(),
        id: header("webhook-id"),
        time: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let is_event = got.path == "/events";
    let mut all = kept.all.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(got);
    if is_event && kept.fails.swap(false, Ordering::SeqCst) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::NO_CONTENT
    }
}
