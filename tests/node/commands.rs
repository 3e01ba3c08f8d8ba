//! The commands of devctl that reach into a machine, on one that runs.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use devserver_testkit::wait::{Seen, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    machine::{User, program, succeeded},
    session::Session,
    visitor::Visitor,
};

fn interrupt(session: &mut Session) -> anyhow::Result<Option<i32>> {
    kill(
        Pid::from_raw(i32::try_from(session.process.id())?),
        Signal::SIGINT,
    )?;
    Ok(session.process.wait()?.code())
}

async fn heard(session: &Session, words: &str) -> anyhow::Result<()> {
    until(words, Duration::from_mins(1), async || {
        let heard = session.heard();
        Ok(Seen::when(heard.contains(words), heard))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_those_of_the_machine_and_are_followed() -> anyhow::Result<()> {
    let user = User::new("logs").await?;
    user.create("box", &[])?;
    let log = succeeded(&user.devctl(["logs", "box"])?)?;
    ensure!(log.contains("Server listening on"), "{log}");
    let last = succeeded(&user.devctl(["logs", "box", "--tail", "1", "--timestamps"])?)?;
    ensure!(
        last.lines().count() == 1 && last.starts_with("20"),
        "{last}"
    );
    let mut following = Session::typed(&user, &["logs", "box", "-f", "--tail", "0"], "follow.log")?;
    // What sshd says of a login comes while the log is followed.
    until("the login is told", Duration::from_mins(1), async || {
        user.says("box", "true")?;
        let heard = following.heard();
        Ok(Seen::when(
            heard.contains("Accepted publickey for dev"),
            heard,
        ))
    })
    .await?;
    ensure!(
        interrupt(&mut following)? == Some(0),
        "{}",
        following.heard()
    );
    for (option, code, words) in [
        ("--previous", 5, "leave --previous out"),
        ("--container=ssh", 3, "no container 'ssh'"),
    ] {
        let output = user.devctl(["logs", "box", option])?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(code) && told.contains(words),
            "{output:?}"
        );
    }
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn port_forward_carries_many_connections_and_outlives_a_port_nobody_listens_on()
-> anyhow::Result<()> {
    let user = User::new("portforward").await?;
    user.create("box", &[])?;
    let script = "mkdir /tmp/www && cd /tmp/www && head -c 3000000 /dev/urandom >page && \
                  exec python3 -u -m http.server --bind 127.0.0.1 8080";
    let server = Session::typed(&user, &["ssh", "box", "--", script], "server.log")?;
    heard(&server, "Serving HTTP").await?;
    let mut forward = Session::typed(
        &user,
        &["port-forward", "box", "0:8080", "0:8081"],
        "forward.log",
    )?;
    heard(&forward, "port 8081 of box").await?;
    let text = forward.heard();
    let at = |port: u16| -> anyhow::Result<SocketAddr> {
        let end = format!(" leads to port {port} of box");
        let line = text.lines().find_map(|line| line.strip_suffix(&end));
        Ok(line.context("no such line")?.parse()?)
    };
    let expected = user.says("box", "sha256sum </tmp/www/page")?;
    let page = format!("http://{}/page", at(8080)?);
    let fetch = "for n in 1 2 3 4 5; do curl -sSf -m 60 \"$1\" -o \"$2.$n\" & done; wait; cat \"$2\".? | wc -c; sha256sum <\"$2.1\"";
    let file = user.file("page").display().to_string();
    let said = user.run("sh", ["-c", fetch, "sh", &page, &file])?;
    ensure!(said == format!("15000000\n{expected}"), "{said}");
    // Nobody listens there: that one ends, and the others go on.
    let mut closed = TcpStream::connect(at(8081)?)?;
    let _ = closed.write_all(b"hello");
    heard(&forward, "8081").await?;
    until("it is told", Duration::from_mins(1), async || {
        let more = forward.heard().len() > text.len();
        Ok(Seen::when(more, forward.heard()))
    })
    .await?;
    ensure!(
        user.run(
            "curl",
            ["-sSf", "-o", "/dev/null", "-w", "%{http_code}", &page]
        )? == "200"
    );
    ensure!(interrupt(&mut forward)? == Some(0), "{}", forward.heard());
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_carries_files_and_folders_and_ends_as_scp_does() -> anyhow::Result<()> {
    let user = User::new("cp").await?;
    user.create("box", &[])?;
    let folder = user.file("results");
    std::fs::create_dir_all(folder.join("deep"))?;
    std::fs::write(folder.join("deep/größe 1"), vec![7; 5_000_000])?;
    std::fs::write(folder.join("empty"), "")?;
    let here = folder.display().to_string();
    succeeded(&user.devctl(["cp", "-q", "-r", &here, "box:"])?)?;
    ensure!(user.says("box", "find results -type f | wc -l; stat -c %U results")? == "2\ndev");
    let back = user.file("back").display().to_string();
    succeeded(&user.devctl(["cp", "-q", "-r", "-p", "box:results", &back])?)?;
    user.run("diff", ["-r", &here, &back])?;
    let one = user.file("one").display().to_string();
    succeeded(&user.devctl(["cp", "-q", "box:/etc/hostname", &one])?)?;
    ensure!(std::fs::read_to_string(&one)?.trim() == "box-0");
    let output = user.devctl(["cp", "-q", "box:nothing", &one])?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1) && told.contains("No such file"),
        "{output:?}"
    );
    user.leave().await;
    Ok(())
}

/// What an editor does with what it is given: plain ssh, with the user's own configuration and nothing else.
const EDITOR: &str = r#"#!/bin/sh
set -eu
[ "$1" = --remote ]
host=${2#ssh-remote+}
[ "$host" != "$2" ]
exec ssh -F "$HOME/.ssh/config" -o BatchMode=yes "$host" "cd '$3' && pwd && hostname && mkdir -p .vscode-server && ls -A"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn code_gives_the_editor_a_host_that_plain_ssh_reaches() -> anyhow::Result<()> {
    let user = User::new("code").await?;
    user.create("box", &[])?;
    user.says("box", "mkdir src && touch src/main.rs")?;
    let bin = user.file("bin");
    std::fs::create_dir(&bin)?;
    std::fs::write(bin.join("code"), EDITOR)?;
    std::fs::set_permissions(bin.join("code"), PermissionsExt::from_mode(0o755))?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let code = |words: &[&str]| -> anyhow::Result<_> {
        let mut command = Command::new(program()?);
        command.arg("code").args(words).env("PATH", &path);
        user.output(&mut command)
    };
    let refused = code(&["box", "src"])?;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        !refused.status.success() && told.contains("devctl config ssh-include --enable"),
        "{refused:?}"
    );
    succeeded(&user.devctl(["config", "ssh-include", "--enable"])?)?;
    let seen = succeeded(&code(&["box", "src"])?)?;
    ensure!(
        seen == "/home/dev/src\nbox-0\n.vscode-server\nmain.rs",
        "{seen}"
    );
    let address = succeeded(&code(&["box", "src", "--print"])?)?;
    let expected = format!(
        "vscode://vscode-remote/ssh-remote+box.{}.devserver/home/dev/src",
        user.namespace
    );
    ensure!(address == expected, "{address}");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_knocks_at_the_gateway_and_tells_a_key_that_is_not_accepted() -> anyhow::Result<()> {
    let visitor = Visitor::new("doctor").await?;
    let user = &visitor.user;
    let line = || -> anyhow::Result<serde_json::Value> {
        let output = user.devctl(["doctor", "-o", "json"])?;
        let checks: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        let mut lines = checks.into_iter();
        lines
            .find(|check| check["name"] == "gateway")
            .context("no line")
    };
    let well = line()?;
    ensure!(
        well["verdict"] == "ok" && well["found"].to_string().contains(&visitor.owner),
        "{well}"
    );
    // Another key under the same name: it is no longer the one that the machine knows.
    for end in ["", ".pub"] {
        std::fs::remove_file(user.key() + end)?;
    }
    user.run(
        "ssh-keygen",
        ["-q", "-t", "ed25519", "-N", "", "-f", &user.key()],
    )?;
    let denied = line()?;
    ensure!(
        denied["verdict"] == "fail" && denied["found"].to_string().contains("none of your keys"),
        "{denied}"
    );
    ensure!(
        denied["remedy"]
            .to_string()
            .contains("devctl ssh box -i FILE"),
        "{denied}"
    );
    visitor.user.leave().await;
    Ok(())
}
