//! What is offered on the wire.

use std::fmt::Write as _;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::rig::{Rig, soon};

/// Names of the lists in `SSH_MSG_KEXINIT` (RFC 4253 §7.1).
const LISTS: [&str; 8] = [
    "kex",
    "host_key",
    "cipher to server",
    "cipher to client",
    "mac to server",
    "mac to client",
    "compression to server",
    "compression to client",
];

async fn offered(rig: &Rig) -> String {
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    socket.write_all(b"SSH-2.0-look\r\n").await.unwrap();
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"\r\n") {
        greeting.push(soon("the greeting", socket.read_u8()).await.unwrap());
    }
    let length = soon("a packet", socket.read_u32()).await.unwrap();
    let mut packet = vec![0; usize::try_from(length).unwrap()];
    soon("the packet", socket.read_exact(&mut packet))
        .await
        .unwrap();
    assert_eq!(packet[1], 20, "SSH_MSG_KEXINIT");
    // Length of the padding, number of the message, cookie.
    let mut rest = &packet[1 + 1 + 16..];
    let mut text = String::from_utf8(greeting).unwrap().trim_end().to_owned();
    for name in LISTS {
        let (length, after) = rest.split_first_chunk::<4>().unwrap();
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let (list, after) = after.split_at(length);
        let list = std::str::from_utf8(list).unwrap().replace(',', "\n  ");
        let _ = write!(text, "\n{name}\n  {list}");
        rest = after;
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_what_is_offered_is_what_was_decided() {
    insta::assert_snapshot!(offered(&Rig::start()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_strict_key_exchange_is_offered_and_f3_nothing_weak_is() {
    let text = offered(&Rig::start()).await;
    assert!(text.contains("kex-strict-s-v00@openssh.com"), "{text}");
    assert!(text.contains("kex\n  mlkem768x25519-sha256\n"), "{text}");
    for weak in [
        "sha1",
        "cbc",
        "3des",
        "arcfour",
        "md5",
        "group1-",
        "group14",
        "ssh-rsa\n",
        "ssh-dss",
        "zlib",
    ] {
        assert!(!text.contains(weak), "{weak}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_audit_finds_nothing_that_was_not_decided() {
    let rig = Rig::start();
    let port = rig.address.port().to_string();
    let mut audit = tokio::process::Command::new("ssh-audit");
    audit.args(["-b", "-n", "-p", &port, "127.0.0.1"]);
    let output = soon("an audit", audit.output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("(kex) curve25519-sha256"), "{text}");
    let known: Vec<&str> = include_str!("ssh_audit.txt").lines().collect();
    // Its lines about CVEs go by a version that this server does not tell.
    let findings = text
        .lines()
        .filter(|line| line.contains("[fail]") || line.contains("[warn]"));
    let new: Vec<&str> = findings.filter(|line| !known.contains(line)).collect();
    assert!(new.is_empty(), "{new:#?}\n{text}");
}
