//! Document 004 by one command on a real node that knew nothing of us: `kubectl apply -k`, and then its editor, its Docker daemon and its
//! rights. hack/test.sh runs it on a cluster of its own, with the images under the names that the overlay has.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use devserver_testkit::wait::{Seen, until};

use crate::administrator;

const PLACE: &str = "coder";
/// Longest wait for everything: a platform, a Job, a pod with three images.
const START: Duration = Duration::from_mins(5);

fn kubectl(words: &[&str]) -> anyhow::Result<String> {
    administrator::run("kubectl", PLACE, words)
}

/// What a command in its terminal prints, with the environment that the editor has.
fn terminal(command: &str) -> anyhow::Result<String> {
    kubectl(&[
        "exec",
        "ide-0",
        "--container",
        "dev",
        "--",
        "su",
        "coder",
        "-c",
        command,
    ])
}

/// The way of deploy/kustomize/README.md to the editor; ends when dropped.
struct Forward {
    child: Child,
    port: u16,
    /// kubectl ends when nobody reads what it says of each connection.
    _said: BufReader<ChildStdout>,
}

impl Forward {
    fn start() -> anyhow::Result<Self> {
        let mut kubectl = administrator::command("kubectl", PLACE)?;
        kubectl.args(["port-forward", "pod/ide-0", ":8080"]);
        let mut child = kubectl.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().context("it says nothing")?;
        let mut said = BufReader::new(said);
        said.read_line(&mut line)?;
        // Forwarding from 127.0.0.1:40123 -> 8080
        let port = line
            .split(':')
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let port = port.and_then(|port| port.parse().ok());
        Ok(Self {
            child,
            port: port.with_context(|| format!("no port in {line:?}"))?,
            _said: said,
        })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a cluster that has nothing of us: hack/test.sh runs it"]
async fn one_command_gives_an_editor_with_docker_and_rights() -> anyhow::Result<()> {
    let apply = ["apply", "-k", "deploy/kustomize/overlays/plain"];
    administrator::run("kubectl", "", &apply)?;
    until("the environment runs", START, async || {
        let phase = kubectl(&[
            "get",
            "devserver/ide",
            "--output",
            "jsonpath={.status.phase} {.status.message}",
        ]);
        let said = phase.unwrap_or_else(|error| format!("{error:#}"));
        Ok(Seen::when(said.starts_with("Running"), said))
    })
    .await?;
    until("the editor answers", START, async || {
        // Made anew each time: kubectl ends when nobody listens yet.
        let forward = Forward::start()?;
        let url = format!("http://127.0.0.1:{}/", forward.port);
        let output = std::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--location",
                "--max-time",
                "20",
                &url,
            ])
            .output()?;
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Seen::when(
            page.contains("code-server") && page.contains("workbench"),
            page,
        ))
    })
    .await?;
    let said = terminal("kubectl get pods --output name")?;
    ensure!(said.contains("pod/ide-0"), "{said}");
    let refused = terminal("kubectl get secrets --all-namespaces");
    ensure!(refused.is_err(), "{refused:?}");
    until("Docker answers", START, async || {
        let said = terminal("docker info --format '{{.ServerVersion}}'");
        let said = said.unwrap_or_else(|error| format!("{error:#}"));
        Ok(Seen::when(
            said.starts_with(|c: char| c.is_ascii_digit()),
            said,
        ))
    })
    .await?;
    // Settings and projects are on the volume, as document 004 has them.
    let mounted = terminal("findmnt --noheadings --output TARGET --target /home/coder")?;
    ensure!(mounted == "/home/coder", "{mounted}");
    Ok(())
}
