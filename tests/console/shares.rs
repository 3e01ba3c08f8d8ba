//! Ports that are shown to everybody who is logged in, where the platform allows it.

use anyhow::{Context as _, ensure};
use devserver_testkit::with_namespace;
use futures::StreamExt as _;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    browser::apart,
    editors::websocket,
    previews::{Work, again, port_host},
    rig::{CONSOLE, More, SOON},
    upstream::Upstream,
};

#[tokio::test]
async fn c13_a_shared_port_is_for_whoever_is_logged_in_and_its_end_cuts_them() -> anyhow::Result<()>
{
    with_namespace("c13 shared", async |scene| {
        let work = Work::new(&scene).await?;
        let (port, host) = (work.web.address.port(), work.host.clone());
        let mut bob = work.rig.login(&work.rig.other.username).await?;
        ensure!(work.asked(&mut bob, &host).await? == StatusCode::NOT_FOUND, "it is shared by default");
        work.declare(json!([{"name": "web", "port": port, "share": "Authenticated"}])).await?;
        work.rig.until_known(&mut bob, &host).await?;
        // The editor beside it stays alice's, and who is not logged in has to log in first.
        ensure!(work.asked(&mut bob, &work.rig.host("box")).await? == StatusCode::NOT_FOUND, "the editor is shared, too");
        let mut stranger = work.rig.stranger();
        let (_, ask) = apart(&stranger.get(&host, "/").await?.expect(303)?.location()?)?;
        let login = stranger.get(CONSOLE, &ask).await?.expect(303)?.location()?;
        ensure!(login.starts_with("/login"), "{login}");
        let own = format!("https://{host}");
        let socket = websocket(&bob, &host, Some(&own)).await?.map_err(|s| anyhow::anyhow!("{s}"))?;
        let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(socket, role, None).await;
        work.declare(json!([{"name": "web", "port": port}])).await?;
        let told = timeout(SOON, socket.next()).await?.context("no last word")??;
        let is_told = matches!(&told, tokio_tungstenite::tungstenite::Message::Close(Some(frame)) if u16::from(frame.code) == 1008);
        ensure!(is_told, "{told:?}");
        bob.send(Method::GET, &host, "/headers", &[], String::new()).await?.expect(401)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c13_where_ports_are_not_shared_one_that_says_so_is_still_its_owners_alone()
-> anyhow::Result<()> {
    with_namespace("c13 unshared", async |scene| {
        let more = More::of(&[("allowSharedPorts", "false")]);
        let work = Work::with(&scene, more).await?;
        // Declared by the same change; once it is known, so is the other's share.
        let other = Upstream::start().await?;
        let ports = json!([
            {"name": "web", "port": work.web.address.port(), "share": "Authenticated"},
            {"name": "other", "port": other.address.port()},
        ]);
        work.declare(ports).await?;
        let mut alice = again(&work.alice);
        let host = port_host(&work.rig, other.address.port());
        work.rig.until_known(&mut alice, &host).await?;
        let mut bob = work.rig.login(&work.rig.other.username).await?;
        let status = work.asked(&mut bob, &work.host).await?;
        ensure!(status == StatusCode::NOT_FOUND, "bob: {status}");
        again(&work.alice)
            .send(Method::GET, &work.host, "/headers", &[], String::new())
            .await?
            .expect(200)
            .map(drop)
    })
    .await
}
