//! The real operator as a process, so that its memory and processor time can be read.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::{page, usage};

/// A running operator; ended when dropped.
pub struct Operator {
    child: Child,
    listen: String,
}

impl Operator {
    /// Starts the operator for one namespace and waits until it is ready.
    pub async fn start(namespace: &str) -> Result<Self> {
        Self::run(namespace, &["--watch-namespace", namespace]).await
    }

    /// Starts the operator for all namespaces and waits until it is ready; `word` names its log.
    pub async fn start_everywhere(word: &str) -> Result<Self> {
        Self::run(word, &[]).await
    }

    async fn run(word: &str, scope: &[&str]) -> Result<Self> {
        let program = program("devserver-operator", "DEVSERVER_OPERATOR")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let listen = format!("127.0.0.1:{port}");
        let log =
            std::fs::File::create(std::env::temp_dir().join(format!("bench-operator-{word}.log")))?;
        let child = Command::new(&program)
            .args(["run", "--leader-elect=false", "--listen", &listen])
            .args(scope)
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let operator = Self { child, listen };
        for _ in 0..300 {
            if page::get(&operator.listen, "/readyz")
                .await
                .is_ok_and(|page| page.ends_with("ok\n"))
            {
                return Ok(operator);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the operator was not ready after 30 s")
    }

    /// Writes to the API server since it started.
    pub async fn writes(&self) -> Result<u64> {
        Ok(self.writes_by_kind().await?.values().sum())
    }

    /// The same by verb and kind, in the words of the metric.
    pub async fn writes_by_kind(&self) -> Result<BTreeMap<String, u64>> {
        let page = page::get(&self.listen, "/metrics").await?;
        page.lines()
            .filter_map(|line| line.strip_prefix("devserver_operator_writes_total"))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(labels, count)| Ok((labels.to_owned(), count.parse()?)))
            .collect()
    }

    /// Resident memory in MiB and processor seconds used.
    pub fn usage(&self) -> Result<(f64, f64)> {
        let pid = self.child.id().context("the operator has ended")?;
        Ok((usage::resident_mib(pid)?, usage::cpu_seconds(pid)?))
    }
}

/// A program to measure: the one that a variable names, else the one beside this program.
pub fn program(name: &str, variable: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()?.with_file_name(name);
    if beside.exists() {
        return Ok(beside);
    }
    bail!("no {name} to measure: build it beside this program or set {variable}")
}
