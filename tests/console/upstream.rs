//! What answers in an environment: a small server that tells what it was sent, and says back what comes over a websocket.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::Context as _;
use axum::{
    Router,
    extract::ws::{CloseFrame, Message, WebSocketUpgrade},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderMap, StatusCode, header};
use tokio::{sync::mpsc, task::JoinHandle};

/// A running server; ends when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    /// Codes with which browsers have closed.
    pub closed: mpsc::Receiver<u16>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// On this machine, at an address that is not the loopback, because nothing on that is ever dialled.
    pub async fn start() -> anyhow::Result<Self> {
        let (tell, closed) = mpsc::channel(64);
        let router = Router::new()
            .route("/headers", get(headers))
            .route("/evil", get(evil))
            .route("/silent", any(|| async { StatusCode::NO_CONTENT }))
            .route(
                "/count",
                any(|body: axum::body::Bytes| async move { body.len().to_string() }),
            )
            .route("/blob", any(|| async { vec![0_u8; 64 << 20] }))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .route(
                "/ws",
                get(move |upgrade| std::future::ready(websocket(upgrade, tell.clone()))),
            )
            .fallback(|| async { "the editor\n" });
        let listener = tokio::net::TcpListener::bind(SocketAddr::new(own_address()?, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self {
            address,
            closed,
            task,
        })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The address by which this machine would leave it. No packet is sent.
fn own_address() -> anyhow::Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect("192.0.2.1:9")
        .context("this machine has no way out")?;
    Ok(socket.local_addr()?.ip())
}

async fn headers(headers: HeaderMap) -> String {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        [
            name.as_str(),
            ": ",
            &String::from_utf8_lossy(value.as_bytes()),
            "\n",
        ]
        .concat()
    };
    headers.iter().map(line).collect()
}

async fn evil() -> Response {
    let pairs = [
        (
            header::SET_COOKIE,
            "__Host-devserver-session=evil; Path=/; Secure",
        ),
        (
            header::SET_COOKIE,
            "__host-devserver-editor=evil; Path=/; Secure",
        ),
        (header::SET_COOKIE, "wide=1; Domain=example.test"),
        (header::SET_COOKIE, "theme=dark; Path=/"),
        (header::LOCATION, "https://evil.example/"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=0"),
        (http::HeaderName::from_static("clear-site-data"), "\"*\""),
    ];
    let mut response = StatusCode::FOUND.into_response();
    for (name, value) in pairs {
        let value = http::HeaderValue::from_static(value);
        response.headers_mut().append(name, value);
    }
    response
}

/// Says back what comes; `close` is answered with a close code; a subprotocol is chosen where one is offered.
fn websocket(upgrade: WebSocketUpgrade, closed: mpsc::Sender<u16>) -> Response {
    let upgrade = upgrade.protocols(["vite-hmr"]);
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            let sent = match message {
                Message::Text(text) if text == "close" => {
                    let frame = CloseFrame {
                        code: 4001,
                        reason: "of the application".into(),
                    };
                    socket.send(Message::Close(Some(frame))).await
                }
                Message::Text(_) | Message::Binary(_) => socket.send(message).await,
                Message::Close(frame) => {
                    let _ = closed.try_send(frame.map_or(1005, |frame| frame.code));
                    continue;
                }
                _ => continue,
            };
            if sent.is_err() {
                return;
            }
        }
    })
}
