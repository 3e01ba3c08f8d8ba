//! The ssh client that everybody has.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Output, sync::Arc, time::Duration};

use russh::keys::{PrivateKey, ssh_key::LineEnding};
use tempfile::TempDir;
use tokio::process::Command;

use crate::rig::{Rig, new_key, pod_address};

/// A folder with keys and a configuration: what somebody has in `~/.ssh`.
pub struct Home {
    folder: TempDir,
    config: String,
}

impl Home {
    pub fn new(rig: &Rig, key: &PrivateKey, machine: &PrivateKey) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(
            &path.join("key"),
            key.to_openssh(LineEnding::LF).unwrap().as_bytes(),
        );
        let port = rig.address.port();
        let line = |name: &str, key: &PrivateKey| {
            format!("{name} {}\n", key.public_key().to_openssh().unwrap())
        };
        let known = line(&format!("[127.0.0.1]:{port}"), &rig.host_key) + &line("box", machine);
        write(&path.join("known_hosts"), known.as_bytes());
        let config = format!(
            "Host *\n  IdentityFile {0}/key\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {0}/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel INFO\n\
             Host gw\n  HostName 127.0.0.1\n  Port {port}\n  User alice\n  HostKeyAlias [127.0.0.1]:{port}\n\
             Host box other nothing\n  User dev\n  ProxyJump gw\n",
            path.display()
        );
        write(&path.join("config"), config.as_bytes());
        Self {
            config: path.join("config").display().to_string(),
            folder,
        }
    }

    /// File for `-F`.
    pub fn config(&self) -> &str {
        &self.config
    }

    pub async fn ssh(&self, arguments: &[&str]) -> Output {
        let run = Command::new("ssh")
            .args(["-F", &self.config])
            .args(arguments)
            .env("HOME", self.folder.path())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let ended = tokio::time::timeout(Duration::from_secs(30), run).await;
        ended
            .expect("ssh ends in time")
            .expect("there is an ssh client")
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn home(rig: &Rig) -> Home {
    let machine = new_key();
    let (key, machine_key) = (Arc::clone(&rig.alice), Arc::clone(&machine));
    rig.streets
        .ssh(pod_address("alice"), key, machine_key)
        .await;
    Home::new(rig, &rig.alice, &machine)
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_ssh_jumps_and_exit_codes_pass() {
    let rig = Rig::start();
    let home = home(&rig).await;
    let output = home.ssh(&["box", "hello"]).await;
    assert_eq!(output.stdout, b"hello", "{}", said(&output));
    assert_eq!(output.status.code(), Some(0));
    for status in [1, 7, 255] {
        let output = home.ssh(&["box", &format!("exit {status}")]).await;
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
    }
    rig.audited("close", "server", "box.dev-alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_ssh_shows_what_the_gateway_says() {
    let rig = Rig::start();
    let home = home(&rig).await;
    for arguments in [
        &["gw"][..],
        &["-tt", "gw"],
        &["gw", "id"],
        &["-s", "gw", "sftp"],
    ] {
        let output = home.ssh(arguments).await;
        let all = said(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(all.contains("jump host"), "{arguments:?}: {all}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {all}");
    }
    let nothing = home.ssh(&["nothing", "true"]).await;
    assert!(
        said(&nothing).contains("no such environment"),
        "{}",
        said(&nothing)
    );
    assert_eq!(nothing.status.code(), Some(255));
    rig.change("alice", |server, _| server.suspended = true);
    let stopped = home.ssh(&["box", "true"]).await;
    assert!(
        said(&stopped).contains("devctl resume box"),
        "{}",
        said(&stopped)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_c9_stock_ssh_forwards_nothing_else() {
    let rig = Rig::start();
    let home = home(&rig).await;
    for to in [
        "127.0.0.1:22",
        "10.0.0.1:443",
        "[::ffff:127.0.0.1]:22",
        "box:80",
        "box.dev-bob:22",
    ] {
        let output = home.ssh(&["-W", to, "gw"]).await;
        assert!(
            said(&output).contains("open failed"),
            "{to}: {}",
            said(&output)
        );
        assert_ne!(output.status.code(), Some(0), "{to}");
    }
    let listen = [
        "-R",
        "127.0.0.1:0:127.0.0.1:1",
        "-o",
        "ExitOnForwardFailure=yes",
        "-N",
        "gw",
    ];
    let output = home.ssh(&listen).await;
    assert!(
        said(&output).contains("remote port forwarding failed"),
        "{}",
        said(&output)
    );
    assert!(rig.streets.dialled.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_client_that_only_has_weak_algorithms_finds_none_in_common() {
    let rig = Rig::start();
    let home = home(&rig).await;
    for (option, word) in [
        (
            "KexAlgorithms=diffie-hellman-group14-sha1",
            "key exchange method",
        ),
        ("KexAlgorithms=ecdh-sha2-nistp256", "key exchange method"),
        ("HostKeyAlgorithms=ssh-rsa", "host key type"),
        ("HostKeyAlgorithms=ecdsa-sha2-nistp256", "host key type"),
        ("Ciphers=aes128-cbc", "cipher"),
        ("MACs=hmac-sha1,hmac-sha2-256", "MAC"),
    ] {
        let ciphers = if word == "MAC" {
            "Ciphers=aes256-ctr"
        } else {
            "Compression=no"
        };
        let output = home.ssh(&["-o", option, "-o", ciphers, "gw"]).await;
        let said = said(&output);
        assert!(
            said.contains(&format!("no matching {word} found")),
            "{option}: {said}"
        );
    }
}
