//! Websockets through the console: what an editor and a page of one's own rely on.

use anyhow::{Context as _, ensure};
use devserver_testkit::{Scene, with_namespace};
use futures::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

use crate::{
    browser::Browser,
    editors::{Socket, websocket_with},
    rig::{Rig, SOON},
    upstream::Upstream,
};

/// Longest silence towards a browser: docs/console.md promises 25 s.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(25);

async fn at_work(scene: &Scene) -> anyhow::Result<(Rig, Upstream, Browser, String)> {
    let (rig, upstream) = (Rig::new(scene).await?, Upstream::start().await?);
    rig.environment("box", &rig.account.username, upstream.address)
        .await?;
    let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
    rig.until_known(&mut alice, &host).await?;
    Ok((rig, upstream, alice, host))
}

async fn open(browser: &Browser, host: &str) -> anyhow::Result<WebSocketStream<Socket>> {
    let own = format!("https://{host}");
    let opened = websocket_with(browser, host, Some(&own), &[]).await?;
    let (socket, _) = opened.map_err(|status| anyhow::anyhow!("{status}"))?;
    Ok(WebSocketStream::from_raw_socket(socket, Role::Client, None).await)
}

async fn next(socket: &mut WebSocketStream<Socket>) -> anyhow::Result<Message> {
    let next = timeout(SOON, socket.next()).await.context("nothing came")?;
    Ok(next.context("it has ended without a word")??)
}

fn code(message: &Message) -> Option<u16> {
    match message {
        Message::Close(Some(frame)) => Some(frame.code.into()),
        _ => None,
    }
}

#[tokio::test]
async fn close_codes_reach_the_other_end_both_ways() -> anyhow::Result<()> {
    with_namespace("close codes", async |scene| {
        let (_rig, mut upstream, alice, host) = at_work(&scene).await?;
        let mut socket = open(&alice, &host).await?;
        socket.send("close".into()).await?;
        let told = next(&mut socket).await?;
        ensure!(code(&told) == Some(4001), "{told:?}");
        ensure!(told.to_text()? == "of the application", "{told:?}");
        // Its own answer to that.
        socket.flush().await?;
        let answered = timeout(SOON, upstream.closed.recv()).await?;
        ensure!(answered == Some(4001), "{answered:?}");
        let mut socket = open(&alice, &host).await?;
        let frame = CloseFrame {
            code: 4321.into(),
            reason: "of the page".into(),
        };
        socket.send(Message::Close(Some(frame))).await?;
        let told = timeout(SOON, upstream.closed.recv()).await?;
        ensure!(told == Some(4321), "{told:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_idle_websocket_is_pinged_before_a_proxy_would_cut_it() -> anyhow::Result<()> {
    with_namespace("idle websocket", async |scene| {
        let (_rig, _upstream, alice, host) = at_work(&scene).await?;
        let mut socket = open(&alice, &host).await?;
        let mut since = Instant::now();
        for _ in 0..2 {
            let message = next(&mut socket).await?;
            let waited = since.elapsed();
            ensure!(matches!(message, Message::Ping(_)), "{message:?}");
            ensure!(waited < SILENCE, "after {waited:?}");
            since = Instant::now();
        }
        // The other end has seen nothing of it: what is said comes back, and nothing before it.
        socket.send("hi".into()).await?;
        let message = next(&mut socket).await?;
        ensure!(message == Message::text("hi"), "{message:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_stops_the_console_is_told_by_a_close_code() -> anyhow::Result<()> {
    with_namespace("ending websocket", async |scene| {
        let (rig, mut upstream, alice, host) = at_work(&scene).await?;
        let mut socket = open(&alice, &host).await?;
        let id = rig.process.id().context("the console has ended")?;
        let id = nix::unistd::Pid::from_raw(i32::try_from(id)?);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM)?;
        let told = next(&mut socket).await?;
        ensure!(code(&told) == Some(1001), "{told:?}");
        let gone = timeout(SOON, upstream.closed.recv()).await?;
        ensure!(gone == Some(1001), "{gone:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn subprotocol_and_extensions_are_those_that_both_ends_have_chosen() -> anyhow::Result<()> {
    with_namespace("subprotocol", async |scene| {
        let (_rig, _upstream, alice, host) = at_work(&scene).await?;
        let own = format!("https://{host}");
        let offers = [
            ("sec-websocket-protocol", "chat, vite-hmr"),
            (
                "sec-websocket-extensions",
                "permessage-deflate; client_max_window_bits",
            ),
        ];
        let opened = websocket_with(&alice, &host, Some(&own), &offers).await?;
        let (_, headers) = opened.map_err(|status| anyhow::anyhow!("{status}"))?;
        let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        ensure!(
            told("sec-websocket-protocol") == Some("vite-hmr"),
            "{headers:?}"
        );
        // That server compresses nothing, so nothing is said to be compressed.
        ensure!(told("sec-websocket-extensions").is_none(), "{headers:?}");
        // Of RFC 6455, for the key of every test.
        ensure!(
            told("sec-websocket-accept") == Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{headers:?}"
        );
        ensure!(
            told("upgrade").is_some_and(|word| word == "websocket"),
            "{headers:?}"
        );
        let without = websocket_with(&alice, &host, Some(&own), &[]).await?;
        let (_, headers) = without.map_err(|status| anyhow::anyhow!("{status}"))?;
        ensure!(
            !headers.contains_key("sec-websocket-protocol"),
            "{headers:?}"
        );
        // What speaks another version is told so by the console itself, and no connection is left.
        let old = [("sec-websocket-version", "8")];
        let refused = websocket_with(&alice, &host, Some(&own), &old).await?;
        ensure!(
            refused.as_ref().is_err_and(|status| *status == 400),
            "it was opened"
        );
        Ok(())
    })
    .await
}
