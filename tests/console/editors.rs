//! The way to an editor.

use anyhow::ensure;
use bytes::Bytes;
use devserver_testkit::{
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    browser::Browser,
    rig::{CONSOLE, Rig, SOON},
    upstream::Upstream,
};

/// What a browser writes to and reads from.
pub type Socket = TokioIo<hyper::upgrade::Upgraded>;

/// A websocket through the console, as a browser opens it from a page of the host.
pub async fn websocket(
    browser: &Browser,
    host: &str,
    origin: Option<&str>,
) -> anyhow::Result<Result<Socket, StatusCode>> {
    let opened = websocket_with(browser, host, origin, &[]).await?;
    Ok(opened.map(|(socket, _)| socket))
}

/// The same with further headers; and those of the answer.
pub async fn websocket_with(
    browser: &Browser,
    host: &str,
    origin: Option<&str>,
    more: &[(&str, &str)],
) -> anyhow::Result<Result<(Socket, HeaderMap), StatusCode>> {
    let stream = TcpStream::connect(browser.address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::builder()
        .uri("/ws")
        .header("host", host)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    if let Some(cookie) = browser.cookie(host) {
        request = request.header("cookie", cookie);
    }
    let response = sender
        .send_request(request.body(Empty::<Bytes>::new())?)
        .await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Err(response.status()));
    }
    let headers = response.headers().clone();
    let socket = TokioIo::new(hyper::upgrade::on(response).await?);
    Ok(Ok((socket, headers)))
}

/// Sends a word and demands it back.
pub async fn echo(socket: &mut TokioIo<hyper::upgrade::Upgraded>) -> anyhow::Result<()> {
    // A final text frame of two letters, masked with zeroes.
    socket
        .write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .await?;
    loop {
        let mut head = [0; 2];
        timeout(SOON, socket.read_exact(&mut head)).await??;
        let mut payload = vec![0; usize::from(head[1])];
        timeout(SOON, socket.read_exact(&mut payload)).await??;
        // The console's own pings may stand before it.
        if head[0] != 0x89 {
            ensure!(head[0] == 0x81 && payload == b"hi", "{head:?} {payload:?}");
            return Ok(());
        }
    }
}

#[tokio::test]
async fn an_owner_enters_their_editor_and_its_websockets_work() -> anyhow::Result<()> {
    with_namespace("editor", async |scene| {
        let rig = Rig::new(&scene).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let list = alice.get(CONSOLE, "/").await?.expect(200)?;
        ensure!(
            list.text.contains(&format!("https://{host}/")),
            "{}",
            list.text
        );
        // Deep links lead to where they were meant to.
        alice.cookies.remove(&host);
        let deep = rig
            .enter(&mut alice, &host, "/headers?folder=%2Fhome")
            .await?
            .expect(200)?;
        ensure!(
            deep.text.contains(&format!("host: {host}\n")),
            "{}",
            deep.text
        );
        let own = format!("https://{host}");
        let mut socket = websocket(&alice, &host, Some(&own))
            .await?
            .map_err(|status| anyhow::anyhow!("{status}"))?;
        echo(&mut socket).await?;
        drop(socket);
        rig.audited("the audit has the end", |audit| {
            audit.contains("editor_open") && audit.contains("editor_close")
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_is_no_collaborator_any_more_is_cut_within_half_a_minute() -> anyhow::Result<()> {
    with_namespace("revoked", async |scene| {
        let rig = Rig::new(&scene).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let with = json!({"spec": {"collaborators": [{"user": rig.other.username}]}});
        scene.patch("box", with).await?;
        let (mut bob, host) = (rig.login(&rig.other.username).await?, rig.host("box"));
        rig.until_known(&mut bob, &host).await?;
        let list = bob.get(CONSOLE, "/").await?.expect(200)?;
        ensure!(list.text.contains("shared by"), "{}", list.text);
        let own = format!("https://{host}");
        let mut socket = websocket(&bob, &host, Some(&own))
            .await?
            .map_err(|status| anyhow::anyhow!("{status}"))?;
        echo(&mut socket).await?;
        scene
            .patch("box", json!({"spec": {"collaborators": null}}))
            .await?;
        let mut rest = Vec::new();
        let ended = timeout(SOON, socket.read_to_end(&mut rest)).await;
        ensure!(ended.is_ok(), "the websocket is still open");
        // The last frame says why: a close frame with code 1008.
        let told = rest
            .windows(4)
            .any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1008_u16.to_be_bytes());
        ensure!(told, "no close code: {rest:?}");
        ensure!(
            bob.send(Method::GET, &host, "/headers", &[], String::new())
                .await?
                .status
                == StatusCode::UNAUTHORIZED,
            "pages are still served"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_stopped_or_starting_says_so_and_is_not_started_by_a_look() -> anyhow::Result<()> {
    with_namespace("away", async |scene| {
        let rig = Rig::new(&scene).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        drop(upstream);
        let starting = alice.get(&host, "/").await?.expect(503)?;
        ensure!(
            starting.text.contains("http-equiv=\"refresh\"") && starting.text.contains("starting"),
            "{}",
            starting.text
        );
        scene
            .patch("box", json!({"spec": {"suspend": true}}))
            .await?;
        wait::until("the page says that it is stopped", PATIENCE, async || {
            let page = Browser {
                address: alice.address,
                cookies: alice.cookies.clone(),
            }
            .get(&host, "/")
            .await?;
            let is_told = page.text.contains("This environment is stopped")
                && page
                    .text
                    .contains(&format!("https://{CONSOLE}/environments/"));
            Ok(Seen::when(
                is_told && page.status == StatusCode::SERVICE_UNAVAILABLE,
                page.text,
            ))
        })
        .await?;
        let server = scene.api::<devserver_api::DevServer>().get("box").await?;
        ensure!(server.spec.suspend, "a look has started it");
        Ok(())
    })
    .await
}
