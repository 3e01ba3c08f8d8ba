//! Channels: bytes, ends, refusals.

use std::time::{Duration, Instant};

use russh::ChannelMsg;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    client::Client,
    rig::{Rig, id, pod_address, soon},
};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_through_both_ways_and_the_audit_counts_them() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let stream = client
        .open("box.dev-alice", 22)
        .await
        .unwrap()
        .into_stream();
    let (mut from, mut to) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let written = sent.clone();
    let writer = tokio::spawn(async move {
        to.write_all(&written).await.unwrap();
        to.shutdown().await.unwrap();
        to
    });
    let mut received = Vec::new();
    soon("the echo", from.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received == sent);
    drop((from, soon("the writer", writer).await.unwrap()));
    let line = rig.audited("close", "server", "box.dev-alice").await;
    assert_eq!(line["bytes_up"], 5_000_000);
    assert_eq!(line["bytes_down"], 5_000_000);
    assert_eq!(line["user"], "alice");
    assert_eq!(line["uid"], "uid-alice");
    assert_eq!(
        rig.audit("open")[0]["address"],
        pod_address("alice").to_string()
    );
    assert_eq!(rig.audit("auth")[0]["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_has_said_its_last_still_listens() {
    let rig = Rig::start();
    rig.streets.count(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let mut stream = client.open("box", 22).await.unwrap().into_stream();
    stream.write_all(&vec![7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "100000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_both_sides_have_ended_is_closed_at_once() {
    let rig = Rig::start();
    // An echo ends when it has heard the last.
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let mut channel = client.open("box", 22).await.unwrap();
    channel.eof().await.unwrap();
    let started = Instant::now();
    // This client never closes by itself, as `ssh -W` whose user is gone does not.
    let mut is_closed = false;
    while let Some(message) = soon("the end", channel.wait()).await {
        is_closed |= matches!(message, ChannelMsg::Close);
    }
    assert!(is_closed && started.elapsed() < Duration::from_secs(5));
    rig.audited("close", "server", "box.dev-alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_pod_is_the_end_of_the_channel_and_of_nothing_else() {
    let rig = Rig::start();
    rig.streets
        .serve(pod_address("alice"), |mut socket| async move {
            let _ = socket.write_all(b"bye").await;
        })
        .await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    for _ in 0..3 {
        let mut channel = client.open("box", 22).await.unwrap();
        let mut said = Vec::new();
        while let Some(message) = soon("the end", channel.wait()).await {
            match message {
                ChannelMsg::Data { data } => said.extend_from_slice(&data),
                ChannelMsg::Eof => break,
                _ => {}
            }
        }
        assert_eq!(said, b"bye");
        channel.close().await.unwrap();
    }
    rig.audited("close", "reason", "pod").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_server_of_somebody_else_looks_like_one_that_does_not_exist_and_is_not_dialled() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("bob")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let nothing = client.open("nothing", 22).await.unwrap_err();
    for host in [
        "box.dev-bob",
        "nothing.dev-alice",
        "box.dev-nobody",
        "bоx",
        "box%00",
        "BOX",
        "",
        ".",
        "box.dev-bob.svc",
        "../box",
    ] {
        assert_eq!(
            client.open(host, 22).await.unwrap_err(),
            nothing,
            "{host:?}"
        );
    }
    assert!(rig.streets.dialled.lock().unwrap().is_empty());
    rig.audited("refuse", "target", "b\\u{43e}x").await;
    assert!(
        rig.audit("refuse")
            .iter()
            .all(|line| line["reason"] == "not_found")
    );
    // It is there, for who may reach it.
    let bob = Client::login(&rig, "bob", &rig.bob).await;
    assert!(bob.open("box", 22).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_nothing_but_the_ports_of_environments_is_reached() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    for host in [
        "10.0.0.1",
        "127.0.0.1",
        "localhost",
        "::1",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "kubernetes.default.svc",
        &pod_address("alice").ip().to_string(),
    ] {
        assert_eq!(client.open(host, 22).await.unwrap_err().0, 1, "{host}");
    }
    for port in [0, 80, 443, 9022, 10250, 65_558, u32::MAX] {
        let (code, words) = client.open("box", port).await.unwrap_err();
        assert!(code == 1 && words.contains("use 22"), "{port}: {words}");
    }
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "fe80::1",
    ] {
        rig.change("alice", |_, pod| {
            pod.address = Some(address.parse().unwrap());
        });
        let (_, words) = client.open("box", 22).await.unwrap_err();
        assert!(words.contains("administrator"), "{address}: {words}");
    }
    assert!(rig.streets.dialled.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_other_kinds_of_forwarding_are_refused() {
    let rig = Rig::start();
    let client = Client::login(&rig, "alice", &rig.alice).await;
    assert!(
        soon("-R", client.handle.tcpip_forward("127.0.0.1", 0))
            .await
            .is_err()
    );
    assert!(
        soon("-R", client.handle.streamlocal_forward("/tmp/x"))
            .await
            .is_err()
    );
    assert!(
        soon("X11", client.handle.channel_open_x11("127.0.0.1", 1))
            .await
            .is_err()
    );
    let opened = client
        .handle
        .channel_open_direct_streamlocal("/run/containerd.sock");
    assert!(soon("-L to a socket", opened).await.is_err());
    let mut session = client.handle.channel_open_session().await.unwrap();
    session.agent_forward(true).await.unwrap();
    let answer = soon("agent forwarding", session.wait()).await;
    assert!(matches!(answer, Some(ChannelMsg::Failure)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_or_is_silent_is_told_in_time() {
    let rig = Rig::with(|parts| parts.settings.dial_timeout = Duration::from_millis(500));
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let (code, words) = client.open("box", 22).await.unwrap_err();
    assert!(code == 2 && words.contains("may be restarting"), "{words}");
    rig.streets.lose(pod_address("alice"));
    let started = Instant::now();
    let (code, words) = client.open("box", 22).await.unwrap_err();
    assert!(code == 2 && words.contains("does not answer"), "{words}");
    assert!(started.elapsed() < Duration::from_secs(5));
    // While one channel waits, the connection goes on.
    rig.streets.echo(pod_address("bob")).await;
    rig.change("bob", |server, _| {
        server
            .collaborators
            .insert("alice".to_owned(), std::collections::HashSet::new());
    });
    let waits = client.open("box", 22);
    let other = client.open("box.dev-bob", 22);
    let (waited, opened) = tokio::join!(waits, other);
    assert!(waited.is_err() && opened.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starting_environment_is_waited_for_and_a_suspended_one_is_not() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    rig.change("alice", |_, pod| pod.ready = false);
    let becomes_ready = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.change("alice", |_, pod| pod.ready = true);
    };
    let (opened, ()) = tokio::join!(client.open("box", 22), becomes_ready);
    assert!(opened.is_ok());
    rig.change("alice", |server, _| server.suspended = true);
    let started = Instant::now();
    let (_, words) = client.open("box", 22).await.unwrap_err();
    assert!(words.contains("suspended on request"), "{words}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_is_reached_as_soon_as_sshd_answers_and_before_a_probe_says_so() {
    let rig = Rig::with(|parts| parts.settings.open_timeout = Duration::from_millis(1_500));
    let client = Client::login(&rig, "alice", &rig.alice).await;
    rig.change("alice", |_, pod| {
        pod.ready = false;
        pod.starts = true;
    });
    let answers = async {
        // Longer than anything but a first start is waited for.
        tokio::time::sleep(Duration::from_secs(2)).await;
        rig.streets.echo(pod_address("alice")).await;
    };
    let (opened, ()) = tokio::join!(client.open("box", 22), answers);
    assert!(opened.is_ok());
    // One that ended meanwhile is no first start any more.
    rig.change("alice", |_, pod| pod.starts = false);
    let (_, words) = client.open("box", 22).await.unwrap_err();
    assert!(words.contains("is starting"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_too_long_is_told_within_the_time() {
    let rig = Rig::with(|parts| parts.settings.open_timeout = Duration::from_millis(1_500));
    let client = Client::login(&rig, "alice", &rig.alice).await;
    rig.change("alice", |_, pod| pod.ready = false);
    let (_, words) = client.open("box", 22).await.unwrap_err();
    assert!(words.contains("is starting"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_reach_is_asked_at_each_channel() {
    let rig = Rig::start();
    rig.streets.echo(pod_address("alice")).await;
    let bob = Client::login(&rig, "bob", &rig.bob).await;
    assert!(bob.open("box.dev-alice", 22).await.is_err());
    rig.change("alice", |server, _| {
        server
            .collaborators
            .insert("bob".to_owned(), std::collections::HashSet::new());
    });
    assert!(bob.open("box.dev-alice", 22).await.is_ok());
    rig.gateway
        .change(|table| table.remove_server(&id("box", "dev-alice")));
    assert!(bob.open("box.dev-alice", 22).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_fifty_channels_work_and_too_many_are_refused() {
    let rig = Rig::with(|parts| parts.settings.max_channels = 50);
    rig.streets.echo(pod_address("alice")).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let mut open = Vec::new();
    for number in 0..50_u8 {
        let mut stream = client.open("box", 22).await.unwrap().into_stream();
        stream.write_all(&[number]).await.unwrap();
        open.push(stream);
    }
    for number in 0..100 {
        let (code, words) = client.open("box", 22).await.unwrap_err();
        assert!(
            code == 4 && words.contains("too many channels"),
            "{number}: {words}"
        );
    }
    for (number, stream) in open.iter_mut().enumerate() {
        let said = soon("the echo", stream.read_u8()).await.unwrap();
        assert_eq!(usize::from(said), number);
    }
    drop(open);
    rig.audited("close", "user", "alice").await;
    crate::rig::eventually("room", || (rig.audit("close").len() == 50).then_some(())).await;
    assert!(client.open("box", 22).await.is_ok());
}
