//! `ssh <user>+<server>@gateway`: sessions that end at the gateway and go on by a connection of its own.

use std::{
    collections::HashSet,
    io::{Read as _, Write as _},
    process::{Command, Output, Stdio},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use devserver_api::suspension::SuspendedBy;
use devserver_gateway::fingerprint::Fingerprint;
use russh::{ChannelMsg, Sig, keys::PrivateKey};

use crate::{
    client::Client,
    machines::{Seen, settle},
    rig::{Rig, eventually, new_key, soon},
    stock::{Home, said},
};

struct Scene {
    rig: Rig,
    home: Home,
    seen: Arc<Seen>,
}

/// Direct mode is on, and Alice's box knows the gateway.
async fn scene() -> Scene {
    let authority = new_key();
    let key = (*authority).clone();
    let rig = Rig::with(|parts| parts.authority = Some(key));
    let seen = settle(&rig, "alice", authority.public_key()).await;
    let home = Home::new(&rig, &rig.alice, &new_key());
    Scene { rig, home, seen }
}

impl Scene {
    /// Stock ssh without a jump.
    async fn ssh(&self, login: &str, words: &[&str]) -> Output {
        let login = format!("User={login}");
        let mut all = vec!["-o", login.as_str()];
        all.extend_from_slice(words);
        self.home.ssh(&all).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_ssh_without_a_jump_has_output_errors_and_exit_codes() {
    let scene = scene().await;
    for login in ["alice+box", "alice+box.dev-alice"] {
        let output = scene
            .ssh(login, &["gw", "echo out; echo err >&2; exit 7"])
            .await;
        assert_eq!(output.stdout, b"out\n", "{}", said(&output));
        assert_eq!(said(&output), "err\n");
        assert_eq!(output.status.code(), Some(7));
    }
    let line = scene.rig.audited("open", "mode", "direct").await;
    assert_eq!(line["server"], "box.dev-alice");
    assert_eq!(line["user"], "alice");
    let line = scene.rig.audited("close", "mode", "direct").await;
    assert_eq!(
        (&line["bytes_down"], &line["reason"]),
        (&8.into(), &"pod".into())
    );
    let metrics = scene.rig.gateway.metrics.text();
    let counted = r#"devserver_gateway_channels_total{mode="direct",outcome="opened"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    // A variable, and what a signal ended.
    let output = scene
        .ssh(
            "alice+box",
            &["-o", "SetEnv=LC_WORD=there", "gw", "echo $LC_WORD"],
        )
        .await;
    assert_eq!(output.stdout, b"there\n", "{}", said(&output));
    let output = scene.ssh("alice+box", &["gw", "kill -TERM $$"]).await;
    assert_eq!(output.status.code(), Some(255), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_made_for_another_user_is_entered_as_that_user() {
    let scene = scene().await;
    "coder".clone_into(&mut scene.seen.user.lock().unwrap());
    let output = scene.ssh("alice+box", &["gw", "true"]).await;
    assert_eq!(output.status.code(), Some(255), "{}", said(&output));
    scene.rig.change("alice", |server, _| {
        server.login_user = Some("coder".to_owned());
    });
    let output = scene.ssh("alice+box", &["gw", "echo in"]).await;
    assert_eq!(output.stdout, b"in\n", "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_sizes_signals_and_subsystems_pass_in_order() {
    let scene = scene().await;
    let client = Client::login(&scene.rig, "alice+box", &scene.rig.alice).await;
    let mut channel = soon("a session", client.handle.channel_open_session())
        .await
        .unwrap();
    channel
        .request_pty(true, "xterm", 80, 24, 0, 0, &[(russh::Pty::ECHO, 1)])
        .await
        .unwrap();
    channel.request_shell(true).await.unwrap();
    channel.window_change(100, 30, 0, 0).await.unwrap();
    channel.signal(Sig::USR1).await.unwrap();
    channel.data_bytes(b"typed".to_vec()).await.unwrap();
    channel.eof().await.unwrap();
    let (mut heard, mut status) = (Vec::new(), None);
    while let Some(message) = soon("the end of a shell", channel.wait()).await {
        match message {
            ChannelMsg::Data { data } => heard.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert_eq!((heard.as_slice(), status), (&b"typed"[..], Some(0)));
    let mut channel = client.handle.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "echo").await.unwrap();
    channel.data_bytes(b"back".to_vec()).await.unwrap();
    let back = soon("what was said", async {
        loop {
            if let Some(ChannelMsg::Data { data }) = channel.wait().await {
                return data;
            }
        }
    });
    assert_eq!(back.await.as_ref(), b"back");
    drop(channel);
    let mut channel = client.handle.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "nothing").await.unwrap();
    let mut status = None;
    while let Some(message) = soon("a refusal", channel.wait()).await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    assert_eq!(status, Some(255));
    let asked = scene.seen.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            "terminal xterm 80x24 1",
            "size 100x30",
            "signal USR1",
            "subsystem echo",
            "subsystem nothing"
        ]
    );
}

/// What somebody sends and reads only later, all at once.
fn echoed(scene: &Scene, bytes: &'static [u8], reads_after: Duration) -> Vec<u8> {
    let mut ssh = Command::new("ssh")
        .args([
            "-F",
            scene.home.config(),
            "-o",
            "User=alice+box",
            "gw",
            "cat",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = ssh.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(bytes));
    std::thread::sleep(reads_after);
    let mut back = Vec::new();
    let mut stdout = ssh.stdout.take().unwrap();
    stdout.read_to_end(&mut back).unwrap();
    writer.join().unwrap().unwrap();
    assert!(ssh.wait().unwrap().success());
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_back_comes_whole_also_to_who_does_not_read_for_a_while() {
    let scene = scene().await;
    let bytes: Vec<u8> = (0..48_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let bytes: &'static [u8] = bytes.leak();
    for reads_after in [Duration::ZERO, Duration::from_secs(2)] {
        let back = tokio::task::block_in_place(|| echoed(&scene, bytes, reads_after));
        assert!(back == bytes, "{} bytes came back", back.len());
        let closed = eventually("the end of a session", || {
            let lines = scene.rig.audit("close");
            lines
                .into_iter()
                .find(|line| line["bytes_up"] == bytes.len())
        });
        assert_eq!(closed.await["bytes_down"], bytes.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_scp_copies_both_ways_without_a_jump() {
    let scene = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_be_bytes()[2]).collect();
    std::fs::write(path("local"), &bytes).unwrap();
    for (from, to) in [
        (path("local"), format!("gw:{}", path("there"))),
        (format!("gw:{}", path("there")), path("back")),
    ] {
        // The protocol of old, which is a command; sftp is in the tests of the node, where there is a server for it.
        let mut scp = tokio::process::Command::new("scp");
        scp.args([
            "-O",
            "-F",
            scene.home.config(),
            "-o",
            "User=alice+box",
            &from,
            &to,
        ]);
        let output = soon("a copy", scp.output()).await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(std::fs::read(path("back")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_what_is_forbidden_looks_like_what_does_not_exist_and_is_not_dialled() {
    let scene = scene().await;
    let nothing = scene.ssh("alice+nothing", &["gw", "id"]).await;
    let forbidden = scene.ssh("alice+box.dev-bob", &["gw", "id"]).await;
    assert!(
        said(&nothing).contains("no such environment"),
        "{}",
        said(&nothing)
    );
    assert_eq!(said(&nothing), said(&forbidden));
    assert_eq!(nothing.status.code(), Some(255));
    assert_eq!(forbidden.status.code(), Some(255));
    // Not by the name of who is let in there either.
    let stranger = scene.ssh("bob+box", &["gw", "id"]).await;
    assert!(
        said(&stranger).contains("Permission denied"),
        "{}",
        said(&stranger)
    );
    assert!(scene.rig.streets.dialled.lock().unwrap().is_empty());
    let line = scene.rig.audited("refuse", "mode", "direct").await;
    assert_eq!(line["reason"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_c9_a_direct_login_forwards_nothing() {
    let scene = scene().await;
    for to in ["127.0.0.1:22", "box:22", "localhost:80"] {
        let output = scene.ssh("alice+box", &["-W", to, "gw"]).await;
        assert!(
            said(&output).contains("sessions of one environment"),
            "{}",
            said(&output)
        );
        assert_ne!(output.status.code(), Some(0), "{to}");
    }
    let back = [
        "-R",
        "127.0.0.1:0:127.0.0.1:1",
        "-o",
        "ExitOnForwardFailure=yes",
        "-N",
        "gw",
    ];
    let output = scene.ssh("alice+box", &back).await;
    assert!(
        said(&output).contains("remote port forwarding failed"),
        "{}",
        said(&output)
    );
    assert!(scene.rig.streets.dialled.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_an_environment_with_another_host_key_or_none_told_is_told_nothing() {
    let scene = scene().await;
    let other = Fingerprint::of(new_key().public_key().key_data());
    for (keys, words) in [
        (
            HashSet::from([other]),
            "shows a host key that is not its own",
        ),
        (HashSet::new(), "has not told its host keys"),
    ] {
        scene
            .rig
            .change("alice", |server, _| server.host_keys = keys);
        let output = scene.ssh("alice+box", &["gw", "id"]).await;
        assert!(said(&output).contains(words), "{}", said(&output));
        assert_eq!(output.status.code(), Some(255));
    }
    assert_eq!(scene.seen.logins.load(Relaxed), 0);
    scene.rig.audited("refuse", "reason", "host_key").await;
    scene.rig.audited("refuse", "reason", "no_host_keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_certificate_for_one_environment_opens_no_other() {
    let scene = scene().await;
    // What answers at Alice's box is Bob's, which trusts the same authority, and whose host key Alice's DevServer tells.
    let pod = crate::rig::pod_address("bob");
    let key: PrivateKey = (*new_key()).clone();
    let seen = settle(&scene.rig, "bob", key.public_key()).await;
    let bobs = scene.rig.gateway.ask(|table| {
        let id = crate::rig::id("box", "dev-bob");
        table.server(&id).unwrap().host_keys.clone()
    });
    scene.rig.change("alice", |server, row| {
        server.host_keys = bobs;
        row.address = Some(pod.ip());
    });
    let output = scene.ssh("alice+box", &["gw", "id"]).await;
    assert!(
        said(&output).contains("does not let the gateway in"),
        "{}",
        said(&output)
    );
    assert_eq!(seen.logins.load(Relaxed), 1);
    scene.rig.audited("refuse", "reason", "certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_mode_is_off_unless_there_is_an_authority() {
    let rig = Rig::start();
    settle(&rig, "alice", new_key().public_key()).await;
    let home = Home::new(&rig, &rig.alice, &new_key());
    let output = home.ssh(&["-o", "User=alice+box", "gw", "id"]).await;
    assert!(
        said(&output).contains("does not open environments"),
        "{}",
        said(&output)
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(rig.streets.dialled.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_stopped_stays_stopped_for_a_direct_login() {
    let scene = scene().await;
    scene.rig.change("alice", |server, _| {
        server.suspended = true;
        server.suspended_by = SuspendedBy::User("alice".to_owned());
    });
    let output = scene.ssh("alice+box", &["gw", "id"]).await;
    assert!(
        said(&output).contains("suspended by alice"),
        "{}",
        said(&output)
    );
    assert_eq!(output.status.code(), Some(255));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_dies_in_a_session_is_told_of() {
    let scene = scene().await;
    let client = Client::login(&scene.rig, "alice+box", &scene.rig.alice).await;
    let mut channel = client.handle.channel_open_session().await.unwrap();
    channel.exec(true, "echo there; sleep 60").await.unwrap();
    let (mut words, mut status) = (String::new(), None);
    while let Some(message) = soon("the end of a session", channel.wait()).await {
        match message {
            ChannelMsg::Data { data } if data.as_ref() == b"there\n" => {
                scene.rig.streets.down.cancel();
            }
            ChannelMsg::ExtendedData { data, .. } => {
                words.push_str(&String::from_utf8_lossy(&data));
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    assert!(words.contains("was lost"), "{words}");
    assert_eq!(status, Some(255));
    scene.rig.audited("close", "reason", "pod_error").await;
}
