//! The real `devctl` binary, as a user of the scene runs it.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use kube::config::{Kubeconfig, NamedAuthInfo};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{Scene, binary, users::User};

/// Names the devctl binary; absent, the one that cargo built next to the test.
pub const BINARY: &str = "DEVSERVER_DEVCTL";
/// Longest run.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs it in the scene's namespace with the user's credentials and a home of its own.
pub async fn run(scene: &Scene, user: &User, arguments: &[&str]) -> anyhow::Result<Output> {
    let (mut command, _home) = command(scene, user, arguments)?;
    let running = command.output();
    tokio::time::timeout(PATIENCE, running)
        .await
        .with_context(|| format!("devctl {arguments:?} does not end"))?
        .with_context(|| format!("failed to run devctl {arguments:?}"))
}

/// One that goes on until it is interrupted.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// All that it has printed.
    pub said: Vec<String>,
    _home: TempDir,
}

/// Starts one that does not end by itself.
pub fn start(scene: &Scene, user: &User, arguments: &[&str]) -> anyhow::Result<Running> {
    let (mut command, home) = command(scene, user, arguments)?;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("no standard output")?;
    Ok(Running {
        child,
        lines: BufReader::new(stdout).lines(),
        said: Vec::new(),
        _home: home,
    })
}

impl Running {
    /// Waits for a line that holds all these words.
    pub async fn says(&mut self, words: &[&str]) -> anyhow::Result<String> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                self.said.push(line.clone());
                if words.iter().all(|word| line.contains(word)) {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended without a line of {words:?}: {:?}", self.said)
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .with_context(|| format!("no line of {words:?}"))?
    }

    /// Ends it as Ctrl-C does; its exit code.
    pub async fn interrupt(mut self) -> anyhow::Result<Option<i32>> {
        let id = self.child.id().context("it has ended")?;
        kill(Pid::from_raw(id.cast_signed()), Signal::SIGINT)?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.context("it does not end")??.code())
    }
}

fn command(scene: &Scene, user: &User, arguments: &[&str]) -> anyhow::Result<(Command, TempDir)> {
    let home = tempfile::tempdir()?;
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, text(scene, user)?)?;
    let mut command = Command::new(binary::find(BINARY, "devctl")?);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("KUBECONFIG", &kubeconfig)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok((command, home))
}

/// The cluster's own kubeconfig with the user's credentials in place of the administrator's. JSON is YAML.
fn text(scene: &Scene, user: &User) -> anyhow::Result<String> {
    let path = std::env::var_os(crate::cluster::KUBECONFIG).context("no control plane")?;
    let mut config = Kubeconfig::read_from(path)?;
    config.auth_infos = vec![NamedAuthInfo {
        name: "user".to_owned(),
        auth_info: Some(user.config.auth_info.clone()),
        ..NamedAuthInfo::default()
    }];
    for context in config
        .contexts
        .iter_mut()
        .filter_map(|c| c.context.as_mut())
    {
        context.user = Some("user".to_owned());
        context.namespace = Some(scene.namespace().to_owned());
    }
    Ok(serde_json::to_string(&config)?)
}
