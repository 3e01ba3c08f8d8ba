//! The end of a gateway.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::Client,
    rig::{Rig, eventually, pod_address, soon},
};

#[tokio::test(flavor = "multi_thread")]
async fn open_sessions_go_on_until_the_time_is_over_and_are_told_why_they_end() {
    let rig = Rig::with(|parts| parts.settings.drain_timeout = Duration::from_secs(2));
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let mut stream = client.open("box", 22).await.unwrap().into_stream();
    rig.end();
    let started = Instant::now();
    eventually("not ready", || {
        (!rig.gateway.ready.load(Ordering::Relaxed)).then_some(())
    })
    .await;
    eventually("closed", || {
        rig.gateway.closing.is_cancelled().then_some(())
    })
    .await;
    let refused = async {
        while TcpStream::connect(rig.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("no new connections", refused).await;
    while started.elapsed() < Duration::from_millis(1_500) {
        stream.write_all(b"!").await.unwrap();
        assert_eq!(soon("the echo", stream.read_u8()).await.unwrap(), b'!');
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let farewell = eventually("a farewell", || {
        client.told.farewell.lock().unwrap().clone()
    })
    .await;
    assert!(farewell.contains("connect again"), "{farewell}");
    assert!(started.elapsed() >= Duration::from_millis(1_800));
    rig.audited("disconnect", "reason", "drained").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_load_balancers_do_not_know_yet_new_connections_are_taken() {
    let rig = Rig::with(|parts| parts.settings.drain_delay = Duration::from_secs(60));
    rig.end();
    eventually("not ready", || {
        (!rig.gateway.ready.load(Ordering::Relaxed)).then_some(())
    })
    .await;
    Client::login(&rig, "alice", &rig.alice).await;
}
