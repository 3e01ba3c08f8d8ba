//! The real binary in namespaces of its own, and a visitor of its endpoint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use devserver_activity::Report;
use nix::unistd::Uid;

pub const AGENT: &str = env!("CARGO_BIN_EXE_devserver-agent");

mod eventually;

pub use eventually::eventually;

/// Namespaces need root; where there is none the test says so.
pub fn is_root() -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        eprintln!("skipped: mounting terminals of its own needs root");
    }
    is_root
}

/// A shell in namespaces of its own, with terminals of its own.
pub fn in_namespaces(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([
            "--pid",
            "--net",
            "--mount",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .args(["/bin/bash", "-c"])
        .arg(format!(
            "set -e; ip link set lo up
             mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
             mount --bind /dev/pts/ptmx /dev/ptmx
             {script}"
        ))
        .arg(AGENT)
        .env("DEVSERVER_ACTIVITY_LOOK_MILLISECONDS", "200")
        .stdin(Stdio::null());
    command
}

/// A process whose end the test sees to.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The agent as first process of namespaces of its own, with that folder as its configuration; `before` is a script.
pub fn first_process(configuration: &Path, before: &str) -> (Running, i32) {
    let script = format!(
        "mount -t tmpfs tmpfs /etc; mkdir -p /etc/devserver/sshd; mount --bind {} /etc/devserver/sshd
         {before}
         exec \"$0\" init -- sleep 1000",
        configuration.display()
    );
    let unshare = in_namespaces(&script).spawn().unwrap();
    let id = unshare.id();
    let running = Running(unshare);
    let agent: i32 = eventually("the agent runs", || {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        let child = children.trim().parse().ok()?;
        let program = fs::read_link(format!("/proc/{child}/exe")).ok()?;
        program.ends_with("devserver-agent").then_some(child)
    });
    (running, agent)
}

/// The report, or the whole answer that has none.
pub fn ask(header: &str) -> Result<Report, String> {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 9022))?;
        write!(
            stream,
            "GET /activity HTTP/1.1\r\nHost: agent\r\n{header}\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = answer().map_err(|error| error.to_string())?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    match body {
        Some(body) if answer.starts_with("HTTP/1.1 200") => {
            Report::parse(body.as_bytes()).map_err(|error| format!("{error}: {body}"))
        }
        _ => Err(answer),
    }
}
