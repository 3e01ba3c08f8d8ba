//! What strangers, and clients that are gone, may take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Client, socket_from},
    rig::{Rig, eventually, new_key, pod_address, soon},
};

/// Whether the gateway closes the connection; it says its own greeting first.
async fn is_closed(mut socket: TcpStream) -> bool {
    let mut said = Vec::new();
    let read = socket.read_to_end(&mut said);
    tokio::time::timeout(Duration::from_secs(3), read)
        .await
        .is_ok()
}

/// Waits for the greeting, so that the connection is counted.
async fn greeted(socket: &mut TcpStream) {
    let mut first = [0; 4];
    soon("the greeting", socket.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"SSH-");
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_half_open_handshakes_of_a_source_are_bounded_and_others_get_in() {
    let rig = Rig::with(|parts| parts.settings.max_unauthenticated_per_source = 5);
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut socket = socket_from("127.0.0.2", rig.address).await;
        greeted(&mut socket).await;
        held.push(socket);
    }
    for _ in 0..20 {
        assert!(is_closed(socket_from("127.0.0.2", rig.address).await).await);
    }
    let started = Instant::now();
    let mut other = Client::over(socket_from("127.0.0.3", rig.address).await)
        .await
        .unwrap();
    assert!(other.enters("alice", &rig.alice).await);
    assert!(started.elapsed() < Duration::from_secs(2));
    // Who has logged in is no stranger, so there is room for the next.
    held.clear();
    eventually("room", || (rig.gateway.strangers.sum() == 0).then_some(())).await;
    let mut again = Client::over(socket_from("127.0.0.2", rig.address).await)
        .await
        .unwrap();
    assert!(again.enters("alice", &rig.alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_strangers_of_all_sources_are_bounded() {
    let rig = Rig::with(|parts| parts.settings.max_unauthenticated = 10);
    let user = Client::login(&rig, "alice", &rig.alice).await;
    let mut held = Vec::new();
    for number in 0..10 {
        let mut socket = socket_from(&format!("127.0.1.{number}"), rig.address).await;
        greeted(&mut socket).await;
        held.push(socket);
    }
    assert!(is_closed(socket_from("127.0.2.1", rig.address).await).await);
    assert!(user.exec("id").await.1 == 1, "who is in goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_who_is_slow_to_log_in_is_sent_away() {
    let rig = Rig::with(|parts| parts.settings.login_grace = Duration::from_millis(400));
    let silent = TcpStream::connect(rig.address).await.unwrap();
    let mut trickling = TcpStream::connect(rig.address).await.unwrap();
    let trickle = async {
        for byte in b"SSH-2.0-slow-slow-slow-slow-slow-slow-slow-slow"
            .iter()
            .cycle()
        {
            if trickling.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let after_kex = Client::connect(&rig).await;
    soon("the end of a slow greeting", trickle).await;
    assert!(is_closed(silent).await);
    eventually("the end of a silent client", || {
        after_kex.handle.is_closed().then_some(())
    })
    .await;
    eventually("three lines", || {
        let slow = rig
            .audit("disconnect")
            .into_iter()
            .filter(|l| l["reason"] == "login_grace");
        (slow.count() == 3).then_some(())
    })
    .await;
    assert_eq!(rig.gateway.strangers.sum(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_what_is_not_ssh_ends_its_own_connection_and_nothing_else() {
    let rig = Rig::start();
    let user = Client::login(&rig, "alice", &rig.alice).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\x00\x00",
        b"SSH-2.0-x\r\n\x00\x00\x00\x00\x00",
        b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        &vec![b'a'; 100_000],
        &vec![0; 70_000],
    ] {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        assert!(is_closed(socket).await);
    }
    assert_eq!(user.exec("id").await.1, 1);
    assert!(Client::connect(&rig).await.enters("bob", &rig.bob).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_failing_as_alice_blocks_the_source_and_alice_enters_from_elsewhere() {
    let rig = Rig::with(|parts| parts.settings.rules.threshold = 12.0);
    for _ in 0..3 {
        let mut client = Client::over(socket_from("127.0.0.2", rig.address).await)
            .await
            .unwrap();
        assert!(!client.enters("alice", &new_key()).await);
        let failures = rig.audit("auth_failure").len();
        drop(client);
        eventually("the failure", || {
            (rig.audit("auth_failure").len() > failures).then_some(())
        })
        .await;
    }
    assert!(is_closed(socket_from("127.0.0.2", rig.address).await).await);
    let mut alice = Client::over(socket_from("127.0.0.3", rig.address).await)
        .await
        .unwrap();
    assert!(alice.enters("alice", &rig.alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_user_are_bounded() {
    let rig = Rig::with(|parts| parts.settings.max_connections_per_user = 2);
    let first = Client::login(&rig, "alice", &rig.alice).await;
    let _second = Client::login(&rig, "alice", &rig.alice).await;
    let mut third = Client::connect(&rig).await;
    third.enters("alice", &rig.alice).await;
    let farewell = eventually("a farewell", || third.told.farewell.lock().unwrap().clone()).await;
    assert!(farewell.contains("too many connections"), "{farewell}");
    Client::login(&rig, "bob", &rig.bob).await;
    drop(first);
    eventually("room", || (rig.gateway.users.sum() < 3).then_some(())).await;
    eventually("the end", || {
        (!rig.audit("disconnect").is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_nobody_new_is_let_in_when_memory_is_low() {
    let rig = Rig::with(|parts| parts.settings.max_memory = Some(1 << 30));
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let memory = &rig.gateway.memory;
    memory.store(1 << 30, std::sync::atomic::Ordering::Relaxed);
    assert!(is_closed(TcpStream::connect(rig.address).await.unwrap()).await);
    assert_eq!(client.open("box", 22).await.unwrap_err().0, 4);
    memory.store(1 << 20, std::sync::atomic::Ordering::Relaxed);
    assert!(client.open("box", 22).await.is_ok());
}

/// A way to the gateway that can be made to lose everything, as when a laptop is closed.
pub async fn lossy_way(rig: &Rig) -> (TcpStream, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let (to, lost) = (rig.address, CancellationToken::new());
    let closed = lost.clone();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut gateway = TcpStream::connect(to).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut gateway) => {}
            () = closed.cancelled() => std::future::pending().await,
        }
    });
    (TcpStream::connect(here).await.unwrap(), lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_is_noticed_within_two_keepalives_and_an_idle_one_is_not_cut() {
    let keepalive = Duration::from_millis(500);
    let rig = Rig::with(|parts| parts.settings.keepalive = keepalive);
    rig.streets.echo(pod_address("alice")).await;
    rig.streets.echo(pod_address("bob")).await;
    let idle = Client::login(&rig, "alice", &rig.alice).await;
    let mut stream = idle.open("box", 22).await.unwrap().into_stream();
    let (way, lost) = lossy_way(&rig).await;
    let mut gone = Client::over(way).await.unwrap();
    assert!(gone.enters("bob", &rig.bob).await);
    let _channel = gone.open("box", 22).await.unwrap();
    lost.cancel();
    let started = Instant::now();
    let line = rig.audited("disconnect", "reason", "keepalive").await;
    let took = started.elapsed();
    assert_eq!(line["user"], "bob");
    assert!(
        took <= 2 * keepalive + Duration::from_millis(400),
        "{took:?}"
    );
    rig.audited("close", "server", "box.dev-bob").await;
    // Long past two keepalives, without a byte of its own.
    tokio::time::sleep(3 * keepalive).await;
    stream.write_all(b"!").await.unwrap();
    assert_eq!(soon("the echo", stream.read_u8()).await.unwrap(), b'!');
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_holds_up_nobody_else() {
    let rig = Rig::start();
    rig.streets
        .serve(pod_address("alice"), |mut socket| async move {
            let chunk = vec![0; 65_536];
            while socket.write_all(&chunk).await.is_ok() {}
        })
        .await;
    rig.streets.echo(pod_address("bob")).await;
    let client = Arc::new(Client::login(&rig, "alice", &rig.alice).await);
    let _never_read = client.open("box", 22).await.unwrap();
    let bob = Client::login(&rig, "bob", &rig.bob).await;
    for _ in 0..10 {
        let mut stream = bob.open("box", 22).await.unwrap().into_stream();
        stream.write_all(b"!").await.unwrap();
        assert_eq!(soon("the echo", stream.read_u8()).await.unwrap(), b'!');
    }
}
