//! The ways in as nobody means them: names, PROXY headers, messages before a login in any order, logins with any name and key.
//!
//! Each round has its number for a seed, so that a finding can be looked at again: `DEVSERVER_FUZZ_ROUND=1234`. The ordinary test
//! takes two seconds, the nightly one as many as `DEVSERVER_FUZZ_SECONDS` says (600).

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use devserver_gateway::{login::Login, proxy, target::Target};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom as _};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    client::{Client, socket_from},
    noise::{mutate, text},
    rig::{Rig, eventually, new_key, soon},
    wire::{kexinit, packet, string},
};

/// Sequences of messages per round; a round ends with a look at the others.
const SEQUENCES: usize = 12;
/// What must never be said in clear: a service, a login, a channel.
const PROMISES: [u8; 4] = [6, 52, 81, 91];
const NEWKEYS: u8 = 21;

/// What is read is what was written, and is harmless.
fn names(random: &mut StdRng) {
    let text = text(random);
    let shown = |target: &Target| match &target.namespace {
        Some(namespace) => format!("{}.{namespace}", target.server),
        None => target.server.to_string(),
    };
    let is_harmless = |word: &str| {
        word.bytes()
            .all(|b| b.is_ascii_graphic() && !b"+/\\'\"$;`%*?".contains(&b))
    };
    if let Some(target) = Target::parse(&text) {
        assert_eq!(shown(&target), text);
        assert!(
            text.parse::<IpAddr>().is_err() && is_harmless(&text),
            "{text:?}"
        );
        assert!(
            !text.contains([':', '@', '_']) && !text.starts_with('-'),
            "{text:?}"
        );
    }
    if let Some(login) = Login::parse(&text) {
        assert!(
            is_harmless(&login.user) && !login.user.starts_with('-'),
            "{text:?}"
        );
        let direct = login
            .direct
            .iter()
            .map(|target| format!("+{}", shown(target)));
        assert_eq!(login.user + &direct.collect::<String>(), text);
    }
}

/// A header is read whole or not at all, and no more of it than there is.
fn headers(random: &mut StdRng) {
    let mut bytes = if random.random() {
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5 22\r\nSSH-2.0-x\r\n".to_vec()
    } else {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
        bytes.extend(random.random::<[u8; 12]>());
        bytes
    };
    mutate(&mut bytes, random);
    match proxy::parse(&bytes) {
        Ok(Some((header, used))) => {
            assert!(used <= bytes.len() && used > 0, "{bytes:?}");
            // What comes after it changes nothing.
            let (again, length) = proxy::parse(&bytes[..used]).unwrap().unwrap();
            assert_eq!((again, length), (header, used), "{bytes:?}");
        }
        Ok(None) => assert!(bytes.len() < proxy::MAX, "{bytes:?}"),
        Err(proxy::Malformed) => {}
    }
}

/// A message of any kind, well formed or not.
fn message(random: &mut StdRng, key: &PrivateKey) -> Vec<u8> {
    let blob = || key.public_key().to_bytes().unwrap();
    let mut payload = match random.random_range(0..8) {
        0 => [&[5][..], &string(b"ssh-userauth")].concat(),
        // A login as if it were already time for one.
        1 => [
            &[50][..],
            &string(text(random).as_bytes()),
            &string(b"ssh-connection"),
            &string(b"publickey"),
            &[0],
            &string(b"ssh-ed25519"),
            &string(&blob()),
        ]
        .concat(),
        2 => [
            &[50][..],
            &string(b"alice"),
            &string(b"ssh-connection"),
            &string(b"none"),
        ]
        .concat(),
        3 => [
            &[90][..],
            &string(b"direct-tcpip"),
            &[0, 0, 0, 1, 0, 0, 255, 255, 0, 0, 128, 0],
            &string(b"box"),
            &[0, 0, 0, 22],
            &string(b"127.0.0.1"),
            &[0, 0, 0, 1],
        ]
        .concat(),
        4 => vec![NEWKEYS],
        5 => [&[30][..], &string(&vec![9; random.random_range(0..1300)])].concat(),
        _ => any_number(random),
    };
    if random.random_ratio(1, 3) {
        mutate(&mut payload, random);
    }
    packet(&payload)
}

/// Numbers of RFC 4250, section 4.1.2, and of extensions; the length of what follows is anything.
const NUMBERS: [u8; 18] = [
    1, 2, 3, 4, 5, 7, 20, 21, 30, 31, 34, 50, 60, 61, 80, 90, 94, 98,
];

fn any_number(random: &mut StdRng) -> Vec<u8> {
    let known = NUMBERS.choose(random).copied().unwrap();
    let number = if random.random_ratio(1, 19) {
        random.random()
    } else {
        known
    };
    let mut payload = vec![number];
    for _ in 0..random.random_range(0..5) {
        match random.random_range(0..3) {
            0 => payload.extend(string(text(random).as_bytes())),
            1 => payload.extend(random.random::<u32>().to_be_bytes()),
            _ => payload.push(random.random()),
        }
    }
    payload
}

/// A connection as it might begin, and does not.
fn beginning(random: &mut StdRng, key: &PrivateKey) -> Vec<u8> {
    let banners: [&[u8]; 6] = [
        b"SSH-2.0-wire\r\n",
        b"SSH-2.0-wire\r\n",
        b"SSH-2.0-wire\n",
        b"SSH-1.99-old\r\n",
        b"hello\r\nSSH-2.0-x\r\n",
        b"SSH-2.0-",
    ];
    let mut bytes = banners.choose(random).unwrap().to_vec();
    let kex = [
        "curve25519-sha256",
        "mlkem768x25519-sha256",
        "curve25519-sha256,kex-strict-c-v00@openssh.com",
        "none",
        "",
    ];
    for _ in 0..random.random_range(0..8) {
        if random.random_ratio(1, 3) {
            bytes.extend(kexinit(kex.choose(random).unwrap()));
        } else {
            bytes.extend(message(random, key));
        }
    }
    mutate(&mut bytes, random);
    bytes
}

/// Numbers of the messages that were said in clear.
fn said_in_clear(said: &[u8]) -> Vec<u8> {
    let start = said.windows(2).position(|pair| pair == b"\r\n");
    let mut rest = start
        .and_then(|end| said.get(end + 2..))
        .unwrap_or_default();
    let mut numbers = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some(number) = after.get(1) else { break };
        numbers.push(*number);
        if *number == NEWKEYS {
            break;
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        rest = after.get(length..).unwrap_or_default();
    }
    numbers
}

async fn knock(rig: &Rig, random: &mut StdRng, round: u64) {
    let bytes = beginning(random, &rig.alice);
    let mut socket = socket_from("127.0.0.1", rig.address).await;
    // In parts: what comes in one is no other message than what comes in two.
    let cut = random.random_range(0..=bytes.len());
    for part in [&bytes[..cut], &bytes[cut..]] {
        let _ = socket.write_all(part).await;
        tokio::task::yield_now().await;
    }
    let _ = socket.shutdown().await;
    let mut said = Vec::new();
    let what = format!("the end of a connection in round {round}");
    let _ = soon(&what, socket.read_to_end(&mut said)).await;
    let clear = said_in_clear(&said);
    assert!(
        !clear.iter().any(|number| PROMISES.contains(number)),
        "round {round}: {clear:?} to {bytes:?}"
    );
}

/// Somebody with any name, any key and any method. Only one combination may come in.
async fn log_in(rig: &Rig, random: &mut StdRng, stranger: &Arc<PrivateKey>, round: u64) {
    let mut client = Client::over(socket_from("127.0.0.1", rig.address).await)
        .await
        .unwrap();
    for _ in 0..random.random_range(1..5) {
        let user = if random.random() {
            "alice".to_owned()
        } else {
            text(random)
        };
        let key = [&rig.alice, &rig.bob, stranger]
            .choose(random)
            .copied()
            .unwrap();
        let (answer, may) = match random.random_range(0..4) {
            0 => (client.handle.authenticate_none(user.as_str()).await, false),
            1 => {
                let password = text(random);
                (
                    client
                        .handle
                        .authenticate_password(user.as_str(), password)
                        .await,
                    false,
                )
            }
            _ => {
                let may = (user == "alice" && Arc::ptr_eq(key, &rig.alice))
                    || (user == "bob" && Arc::ptr_eq(key, &rig.bob));
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
                (
                    client
                        .handle
                        .authenticate_publickey(user.as_str(), key)
                        .await,
                    may,
                )
            }
        };
        let Ok(answer) = answer else { return };
        let is_in = matches!(answer, russh::client::AuthResult::Success);
        assert!(!is_in || may, "round {round}: {user:?} came in");
        if is_in {
            // And then reaches what is theirs and nothing else.
            let host = text(random);
            let port = [22, 80, 2222, 6443, 0, 65_535]
                .choose(random)
                .copied()
                .unwrap();
            let opened = client.open(&host, port).await;
            let own = format!("box.dev-{user}");
            assert!(
                opened.is_err() || host == "box" || host == own,
                "round {round}: {user} at {host:?}"
            );
            return;
        }
    }
}

async fn fuzz(limit: Duration) {
    let first = std::env::var("DEVSERVER_FUZZ_ROUND")
        .ok()
        .and_then(|n| n.parse().ok());
    let rig = Rig::with(|parts| {
        parts.settings.rules.rate = 0.0;
        parts.settings.rejection_time = Duration::ZERO;
        parts.settings.max_unauthenticated_per_source = 1_000;
    });
    let user = Client::login(&rig, "alice", &rig.alice).await;
    let stranger = new_key();
    let (begun, mut round) = (Instant::now(), first.unwrap_or(0));
    loop {
        let mut random = StdRng::seed_from_u64(round);
        for _ in 0..2_000 {
            names(&mut random);
            headers(&mut random);
        }
        for _ in 0..SEQUENCES {
            knock(&rig, &mut random, round).await;
        }
        log_in(&rig, &mut random, &stranger, round).await;
        assert_eq!(user.exec("id").await.1, 1, "round {round}");
        round += 1;
        if begun.elapsed() >= limit || first.is_some() {
            break;
        }
    }
    eventually("no strangers", || {
        (rig.gateway.strangers.sum() == 0).then_some(())
    })
    .await;
    let users = ["alice", "bob"];
    assert!(
        rig.audit("auth")
            .iter()
            .all(|line| users.iter().any(|user| line["user"] == *user))
    );
    println!("{round} rounds in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_header_or_message_before_a_login_hurts_anybody() {
    fuzz(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: ten minutes"]
async fn ten_minutes_of_names_headers_and_messages_find_nothing() {
    let seconds = std::env::var("DEVSERVER_FUZZ_SECONDS").ok();
    let seconds = seconds
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(600);
    fuzz(Duration::from_secs(seconds)).await;
}
