//! Ports through the gateway: `ssh -L`, `-R` and `-D`, which end in the machine and nowhere else.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use anyhow::ensure;
use devserver_testkit::{
    port::free_address,
    wait::{Seen, until},
};

use crate::visitor::{Running, Visitor};

/// Serves what is in its folder on port 8080 of the machine, for nobody but the machine itself.
const SERVER: &str = "mkdir -p /tmp/www && cd /tmp/www && echo from-the-machine >page && \
                      exec python3 -u -m http.server --bind 127.0.0.1 8080";

/// A port of this machine that nobody has now.
fn free_port() -> anyhow::Result<u16> {
    Ok(free_address()?.port())
}

/// An ssh that only forwards, once it does so. Somebody else may take the port meanwhile; then there is another one.
async fn forwarding(
    visitor: &Visitor,
    option: &str,
    value: impl Fn(u16) -> String,
) -> anyhow::Result<(Running, u16)> {
    for _ in 0..5 {
        let port = free_port()?;
        let words = [
            "-N",
            "-o",
            "ExitOnForwardFailure=yes",
            option,
            &value(port),
            "box",
        ];
        let mut ssh = visitor.starts(&words, &format!("forward{option}.log"))?;
        let listens = until("a port", Duration::from_mins(1), async || {
            if ssh.child.try_wait()?.is_some() {
                return Ok(Seen::Yes(false));
            }
            Ok(match TcpStream::connect(("127.0.0.1", port)) {
                Ok(_) => Seen::Yes(true),
                Err(error) => Seen::NotYet(format!("{error}; {}", ssh.heard())),
            })
        });
        if listens.await? {
            return Ok((ssh, port));
        }
    }
    anyhow::bail!("no port of five was free")
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_forwarded_there_and_back_and_by_socks() -> anyhow::Result<()> {
    let visitor = Visitor::new("ports").await?;
    let mut server = visitor.starts(&["box", SERVER], "server.log")?;
    server.says("Serving HTTP").await?;

    let (_there, port) =
        forwarding(&visitor, "-L", |port| format!("{port}:127.0.0.1:8080")).await?;
    let page = format!("http://127.0.0.1:{port}/page");
    ensure!(visitor.user.run("curl", ["-sSf", "-m", "20", &page])? == "from-the-machine");

    let (_socks, port) = forwarding(&visitor, "-D", |port| port.to_string()).await?;
    let proxy = format!("127.0.0.1:{port}");
    // The name is looked up in the machine: its own, which this one does not know.
    let words = [
        "-sSf",
        "-m",
        "20",
        "--socks5-hostname",
        &proxy,
        "http://localhost:8080/page",
    ];
    ensure!(visitor.user.run("curl", words)? == "from-the-machine");
    // What the machine's network policy forbids, this way does not open: the address of the API server.
    let words = ["-sSk", "-m", "5", "--socks5-hostname", &proxy];
    let forbidden = visitor.user.output(
        std::process::Command::new("curl")
            .args(words)
            .arg("https://169.254.169.254/"),
    )?;
    ensure!(!forbidden.status.success(), "{forbidden:?}");

    // Back: a listener of this machine, seen from inside.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let here = listener.local_addr()?.port();
    let answers = std::thread::spawn(move || -> std::io::Result<String> {
        let (mut peer, _) = listener.accept()?;
        peer.write_all(b"from-the-laptop\n")?;
        let mut said = String::new();
        peer.read_to_string(&mut said)?;
        Ok(said)
    });
    let remote = format!("0:127.0.0.1:{here}");
    let mut back = visitor.starts(&["-N", "-R", &remote, "box"], "back.log")?;
    back.says("Allocated port ").await?;
    let heard = back.heard();
    let inside: String = heard
        .split_once("Allocated port ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{inside}; read -r line <&3; echo \"$line\"; echo thanks >&3"
    );
    ensure!(visitor.says(&["box", "bash", "-c", &format!("'{script}'")])? == "from-the-laptop");
    let said = answers.join().map_err(|_| anyhow::anyhow!("it broke"))??;
    ensure!(said == "thanks\n", "{said:?}");
    visitor.user.leave().await;
    Ok(())
}
