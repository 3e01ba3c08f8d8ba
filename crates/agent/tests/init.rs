//! The real binary as first process of a PID namespace: reaping, graceful end, exit status, health.

// A test may end by panic: that is how it fails, in its helper functions too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

#[path = "rig/eventually.rs"]
mod eventually;

use eventually::eventually;

/// The agent as process 1 of namespaces of its own.
struct Agent {
    unshare: Child,
    started: Instant,
}

impl Agent {
    /// Starts `script` below the agent, with `DIR` naming a folder it may write to.
    fn start(script: &str, folder: &Path, grace_seconds: u32) -> Self {
        let mut unshare = in_namespaces();
        unshare
            .args(["/bin/bash", "-c", script])
            .env("DIR", folder)
            .env("DEVSERVER_GRACE_SECONDS", grace_seconds.to_string())
            .stdin(Stdio::null());
        let unshare = unshare.spawn().expect("unshare of util-linux is needed");
        Self {
            unshare,
            started: Instant::now(),
        }
    }

    /// The agent's process id as seen from here.
    fn pid(&self) -> Pid {
        let pid = self.unshare.id();
        let children = format!("/proc/{pid}/task/{pid}/children");
        let child = eventually("the agent runs", || {
            let child = fs::read_to_string(&children).ok()?.trim().parse().ok()?;
            let program = fs::read_link(format!("/proc/{child}/exe")).ok()?;
            program.ends_with("devserver-agent").then_some(child)
        });
        Pid::from_raw(child)
    }

    fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
    }

    /// Waits for the end and returns the status and how long it took since the start.
    fn wait(&mut self) -> (ExitStatus, Duration) {
        let status = eventually("the agent ends", || self.unshare.try_wait().unwrap());
        (status, self.started.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// A command that runs the agent's `init` as process 1, still to be told the program.
fn in_namespaces() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--net", "--fork", "--kill-child", "--mount-proc"]);
    if !Uid::effective().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare
        .args([
            "--",
            "/bin/sh",
            "-c",
            "ip link set lo up && exec \"$0\" init -- \"$@\"",
        ])
        .arg(env!("CARGO_BIN_EXE_devserver-agent"));
    unshare
}

fn wait_for_file(path: &Path) {
    eventually(&format!("{} is there", path.display()), || {
        path.exists().then_some(())
    });
}

#[test]
fn exit_status_of_the_program_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    for (script, expected) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let (status, _) = Agent::start(script, folder.path(), 5).wait();
        assert_eq!(status.code(), Some(expected), "{script}");
    }
}

#[test]
fn program_that_does_not_exist_is_an_error_that_names_it() {
    let output = in_namespaces()
        .arg("/nonexistent/startup.sh")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("failed to start /nonexistent/startup.sh: No such file"),
        "{said}"
    );
}

#[test]
fn orphans_are_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let script = "
        for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.0$i & echo $! >>$DIR/orphans); done
        while grep -qs . $(sed 's,.*,/proc/&/stat,' $DIR/orphans); do sleep 0.02; done
        exit 0";
    let (status, _) = Agent::start(script, folder.path(), 5).wait();
    assert_eq!(status.code(), Some(0), "zombies keep their entry in /proc");
}

#[test]
fn sigterm_ends_the_program_and_services_it_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let script = "
        setsid bash -c 'trap \"touch $DIR/service-ended; exit\" TERM; touch $DIR/service
            while :; do sleep 0.05; done' &
        trap 'touch $DIR/ended; exit 3' TERM
        touch $DIR/ready
        while :; do sleep 0.05; done";
    let mut agent = Agent::start(script, folder.path(), 15);
    wait_for_file(&folder.path().join("ready"));
    wait_for_file(&folder.path().join("service"));
    agent.terminate();
    let (status, took) = agent.wait();
    assert_eq!(status.code(), Some(3));
    assert!(
        took < Duration::from_secs(7),
        "all had gone, yet it waited: {took:?}"
    );
    assert!(folder.path().join("ended").exists() && folder.path().join("service-ended").exists());
}

#[test]
fn stubborn_and_stopped_processes_are_killed_when_the_grace_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let script = "
        setsid bash -c 'kill -STOP $$' &
        trap '' TERM HUP
        touch $DIR/ready
        while :; do sleep 0.05; done";
    let mut agent = Agent::start(script, folder.path(), 2);
    wait_for_file(&folder.path().join("ready"));
    let asked = Instant::now();
    agent.terminate();
    let (status, _) = agent.wait();
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(137), "signal {:?}", status.signal());
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[test]
fn health_says_why_until_sshd_answers() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: entering the agent's network needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start("exec sleep 100", folder.path(), 5);
    let network = fs::File::open(format!("/proc/{}/ns/net", agent.pid())).unwrap();
    // A thread has its network namespace to itself.
    let visitor = thread::spawn(move || {
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        let answer = eventually("the health endpoint answers", health);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("nothing listens on port 22"), "{answer}");

        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 22)).unwrap();
        let greeter = thread::spawn(move || {
            for greeting in ["220 mail.example.com ESMTP\r\n", "SSH-2.0-OpenSSH_10.0\r\n"] {
                listener
                    .accept()
                    .unwrap()
                    .0
                    .write_all(greeting.as_bytes())
                    .unwrap();
            }
            listener
        });
        // A question asked too early is not sent away: it is answered when what listens is sshd.
        let answer = health().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        // Answered once: from now on no connection is made, nobody would take it.
        let listener = greeter.join().unwrap();
        assert!(health().unwrap().starts_with("HTTP/1.1 200"));
        drop(listener);
        let answer = health().unwrap();
        assert!(answer.contains("nothing listens on port 22"), "{answer}");
    });
    visitor.join().unwrap();
}

fn health() -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 9022)).ok()?;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: agent\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
