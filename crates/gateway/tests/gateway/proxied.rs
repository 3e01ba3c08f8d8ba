//! Load balancers that say who is behind them, and others who would like to.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{Client, socket_from},
    rig::{Rig, eventually, soon},
};

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 51000 22\r\n";

fn rig() -> Rig {
    Rig::with(|parts| parts.settings.proxies = vec!["127.0.0.3/32".parse().unwrap()])
}

async fn closed_without_a_word(mut socket: TcpStream) {
    let mut said = Vec::new();
    let _ = soon("the end", socket.read_to_end(&mut said)).await;
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_behind_a_trusted_load_balancer_is_who_counts() {
    let rig = rig();
    let mut socket = socket_from("127.0.0.3", rig.address).await;
    socket.write_all(HEADER).await.unwrap();
    let mut client = Client::over(socket).await.unwrap();
    assert!(client.enters("alice", &rig.alice).await);
    let line = rig.audited("auth", "user", "alice").await;
    assert_eq!(line["source"], "203.0.113.9");
    assert_eq!(line["source_port"], 51000);
    let v2 = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..],
        &[198, 51, 100, 7, 192, 0, 2, 1, 0xc7, 0x38, 0, 22],
    ];
    let mut socket = socket_from("127.0.0.3", rig.address).await;
    for byte in v2.concat() {
        socket.write_all(&[byte]).await.unwrap();
    }
    let mut client = Client::over(socket).await.unwrap();
    assert!(client.enters("bob", &rig.bob).await);
    assert_eq!(
        rig.audited("auth", "user", "bob").await["source"],
        "198.51.100.7"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_from_anybody_else_is_no_header() {
    let rig = rig();
    let mut socket = socket_from("127.0.0.4", rig.address).await;
    socket.write_all(HEADER).await.unwrap();
    let connected = Client::over(socket).await;
    let entered = match connected {
        Ok(mut client) => client.enters("alice", &rig.alice).await,
        Err(_) => false,
    };
    assert!(!entered || rig.audited("auth", "user", "alice").await["source"] == "127.0.0.4");
    rig.audited("connect", "source", "127.0.0.4").await;
    assert_eq!(rig.audit("connect").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_without_a_header_is_sent_away() {
    let rig = rig();
    let mut socket = socket_from("127.0.0.3", rig.address).await;
    socket.write_all(b"SSH-2.0-client\r\n").await.unwrap();
    closed_without_a_word(socket).await;
    let mut socket = socket_from("127.0.0.3", rig.address).await;
    socket.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
    closed_without_a_word(socket).await;
    let silent = socket_from("127.0.0.3", rig.address).await;
    tokio::time::timeout(Duration::from_secs(10), closed_without_a_word(silent))
        .await
        .unwrap();
    eventually("nobody", || {
        (rig.gateway.connections.sum() == 0).then_some(())
    })
    .await;
    assert!(rig.audit("connect").is_empty());
}
