//! Bytes as an attacker would write them: before anybody is known, and after.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{Client, socket_from},
    rig::{Rig, eventually, pod_address, soon},
};

/// A packet that is not encrypted yet (RFC 4253 §6).
pub fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).unwrap();
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.push(u8::try_from(padding).unwrap());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len() + padding, 0);
    bytes
}

pub fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length, bytes].concat()
}

pub fn kexinit(kex: &str) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    for list in [kex, "ssh-ed25519", "aes256-ctr", "aes256-ctr"] {
        payload.extend(string(list.as_bytes()));
    }
    for list in [
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend(string(list.as_bytes()));
    }
    payload.extend([0; 5]);
    packet(&payload)
}

/// A whole first half of a key exchange, with this as the client's share.
fn exchange(kex: &str, share: &[u8]) -> Vec<u8> {
    let init = packet(&[&[30][..], &string(share)].concat());
    [&b"SSH-2.0-wire\r\n"[..], &kexinit(kex), &init].concat()
}

/// Everything the gateway says to these bytes, until it closes or has nothing to say for a while.
async fn answer(rig: &Rig, from: &str, bytes: &[u8]) -> Vec<u8> {
    let mut socket = socket_from(from, rig.address).await;
    let _ = socket.write_all(bytes).await;
    let mut said = Vec::new();
    let read = socket.read_to_end(&mut said);
    let _ = tokio::time::timeout(Duration::from_millis(300), read).await;
    said
}

fn has_message(said: &[u8], number: u8) -> bool {
    let mut rest = said
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .and_then(|end| said.get(end + 2..))
        .unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        if after.get(1) == Some(&number) {
            return true;
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        rest = after.get(length..).unwrap_or_default();
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_a_share_of_zeros_ends_its_own_connection_only() {
    let rig = Rig::start();
    let user = Client::login(&rig, "alice", &rig.alice).await;
    // The way there is right: a share that is not zero is answered with the reply (31).
    assert!(has_message(
        &answer(&rig, "127.0.0.1", &exchange("curve25519-sha256", &[9; 32])).await,
        31
    ));
    for (kex, share) in [
        ("curve25519-sha256", vec![0; 32]),
        ("curve25519-sha256", vec![]),
        ("curve25519-sha256", vec![9; 31]),
        ("mlkem768x25519-sha256", vec![0; 1184 + 32]),
        ("mlkem768x25519-sha256", vec![255; 1184 + 32]),
        ("mlkem768x25519-sha256", vec![1; 40]),
        ("diffie-hellman-group16-sha512", vec![0]),
        ("diffie-hellman-group16-sha512", vec![1]),
        ("diffie-hellman-group16-sha512", vec![255; 20_000]),
    ] {
        let said = answer(&rig, "127.0.0.1", &exchange(kex, &share)).await;
        assert!(!has_message(&said, 31), "{kex} {}", share.len());
    }
    assert_eq!(user.exec("id").await.1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_five_thousand_connections_without_a_handshake_leave_room_for_a_user() {
    let rig = Rig::start();
    let mut held = Vec::new();
    for _ in 0..5_000 {
        if let Ok(socket) = TcpStream::connect(rig.address).await {
            held.push(socket);
        }
        // The kernel of this machine is not what is tested.
        if held.len() > 600 {
            held.drain(..100);
        }
    }
    assert!(rig.gateway.strangers.sum() <= 100);
    let started = Instant::now();
    let mut user = Client::over(socket_from("127.0.0.9", rig.address).await)
        .await
        .unwrap();
    assert!(user.enters("alice", &rig.alice).await);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_in_the_middle_of_a_download_is_noticed() {
    let rig = Rig::with(|parts| parts.settings.keepalive = Duration::from_millis(500));
    rig.streets
        .serve(pod_address("alice"), |mut socket| async move {
            let chunk = vec![0; 65_536];
            while socket.write_all(&chunk).await.is_ok() {}
        })
        .await;
    let (way, lost) = crate::limits::lossy_way(&rig).await;
    let mut client = Client::over(way).await.unwrap();
    assert!(client.enters("alice", &rig.alice).await);
    let mut channel = client.open("box", 22).await.unwrap();
    let reading = tokio::spawn(async move { while channel.wait().await.is_some() {} });
    eventually("an open channel", || {
        (!rig.audit("open").is_empty()).then_some(())
    })
    .await;
    lost.cancel();
    let started = Instant::now();
    rig.audited("disconnect", "user", "alice").await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    rig.audited("close", "reason", "disconnect").await;
    reading.abort();
}

/// Mutations of a real beginning, for as long as `DEVSERVER_FUZZ_SECONDS` says. One seed per second, so that a finding can be
/// looked at again.
#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_before_a_login_hurt_anybody_else() {
    let seconds = std::env::var("DEVSERVER_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let limit = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let rig = Rig::with(|parts| parts.settings.rules.rate = 0.0);
    let user = Client::login(&rig, "alice", &rig.alice).await;
    let seeds = [
        "curve25519-sha256",
        "mlkem768x25519-sha256",
        "diffie-hellman-group16-sha512",
    ];
    let mut round = 0_u64;
    while Instant::now() < limit {
        let mut random = StdRng::seed_from_u64(round);
        for _ in 0..20 {
            let mut bytes = exchange(
                seeds[random.random_range(0..3)],
                &vec![9; random.random_range(0..1300)],
            );
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[at] = random.random(),
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, random.random()),
                }
            }
            let mut socket = TcpStream::connect(rig.address).await.unwrap();
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
            let mut said = Vec::new();
            let what = format!("the end of round {round}");
            let _ = soon(&what, socket.read_to_end(&mut said)).await;
        }
        assert_eq!(user.exec("id").await.1, 1, "round {round}");
        round += 1;
    }
    eventually("no strangers", || {
        (rig.gateway.strangers.sum() == 0).then_some(())
    })
    .await;
    assert!(
        rig.audit("disconnect")
            .iter()
            .all(|line| line["user"].is_null())
    );
}
