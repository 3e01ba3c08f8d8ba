//! A real Prometheus with the rules of `deploy/monitoring`, which looks each second.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use devserver_testkit::{
    cluster::root,
    port::free_address,
    scene::PATIENCE,
    wait::{self, Seen},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
};

/// Names the program; absent: the one in the cache.
const BINARY: &str = "DEVSERVER_PROMETHEUS";

/// What is scraped.
pub struct Target {
    job: &'static str,
    address: SocketAddr,
    path: &'static str,
}

impl Target {
    pub fn new(job: &'static str, address: SocketAddr, path: &'static str) -> Self {
        Self { job, address, path }
    }
}

/// A running Prometheus; ends when dropped.
pub struct Prometheus {
    address: SocketAddr,
    log: PathBuf,
    _process: Child,
}

impl Prometheus {
    pub async fn start(folder: &Path, targets: &[Target]) -> anyhow::Result<Self> {
        let rules = std::fs::read_to_string(root().join("deploy/monitoring/rules.yaml"))?;
        // What is recorded each minute there is recorded each second here; nobody waits for it.
        std::fs::write(
            folder.join("rules.yaml"),
            rules.replace("interval: 1m", "interval: 1s"),
        )?;
        let jobs: Vec<Value> = targets
            .iter()
            .map(|target| {
                json!({
                    "job_name": target.job, "metrics_path": target.path, "honor_labels": target.job == "environments",
                    "static_configs": [{"targets": [target.address.to_string()]}],
                })
            })
            .collect();
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [folder.join("rules.yaml")], "scrape_configs": jobs,
        });
        std::fs::write(folder.join("prometheus.yaml"), config.to_string())?;
        let (address, log) = (free_address()?, folder.join("prometheus.log"));
        let process = Command::new(binary()?)
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yaml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("failed to start Prometheus")?;
        let prometheus = Self {
            address,
            log,
            _process: process,
        };
        wait::until("Prometheus is ready", PATIENCE, async || {
            let ready = get(address, "/-/ready").await;
            Ok(Seen::when(
                ready.is_ok(),
                format!("{ready:?}\n{}", prometheus.log()),
            ))
        })
        .await?;
        Ok(prometheus)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until so many targets were scraped, and the ledger has told of its budget.
    pub async fn scraped(&self, targets: usize) -> anyhow::Result<()> {
        wait::until("all is scraped", Duration::from_secs(90), async || {
            let up = self.count("up == 1").await?;
            let budgets = self
                .count("devserver_operator_usage_team_spent_micros")
                .await?;
            let seen = format!("{up} targets, {budgets} budgets");
            Ok(Seen::when(up == targets && budgets == 1, seen))
        })
        .await
    }

    /// What one of its pages answers.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = get(self.address, path).await?;
        serde_json::from_str(&answer).with_context(|| format!("{path} answers {answer}"))
    }

    /// The same with one parameter.
    pub async fn ask(&self, path: &str, parameter: &str, value: &str) -> anyhow::Result<Value> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(parameter, value)
            .finish();
        let answer = self.get(&format!("{path}?{query}")).await?;
        let is_well = answer.get("status").is_some_and(|s| s == "success");
        ensure!(is_well, "{answer}");
        answer.get("data").cloned().context("no data")
    }

    /// How many series a query has now.
    pub async fn count(&self, query: &str) -> anyhow::Result<usize> {
        let data = self.ask("/api/v1/query", "query", query).await?;
        let result = data.get("result").and_then(Value::as_array);
        Ok(result.map_or(0, Vec::len))
    }

    /// Whether an alert fires for an environment.
    pub async fn fires(&self, alert: &str, namespace: &str, name: &str) -> anyhow::Result<bool> {
        let query = format!(
            r#"ALERTS{{alertname="{alert}",alertstate="firing",namespace="{namespace}",name="{name}"}}"#
        );
        Ok(self.count(&query).await? == 1)
    }

    /// Every rule was evaluated, and none failed.
    pub async fn rules_are_well(&self) -> anyhow::Result<()> {
        wait::until("all rules are well", PATIENCE, async || {
            let answer = self.get("/api/v1/rules").await?;
            let groups = answer
                .pointer("/data/groups")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let rules: Vec<Value> = groups
                .iter()
                .filter_map(|group| group["rules"].as_array().cloned())
                .flatten()
                .collect();
            let ill: Vec<&Value> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
            Ok(Seen::when(
                rules.len() > 30 && ill.is_empty(),
                format!("{} rules, {ill:?}", rules.len()),
            ))
        })
        .await
    }
}

/// The body of a page, unless it says that something is wrong that its body does not.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let exchange = async {
        let mut socket = TcpStream::connect(address).await?;
        // The old protocol: one answer, in one piece, until the end.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange)
        .await
        .context("no answer")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let is_told = head.contains("application/json");
    ensure!(
        head.split(' ').nth(1) == Some("200") || is_told,
        "{head}\n{body}"
    );
    Ok(body.to_owned())
}

fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY) {
        return Ok(path.into());
    }
    let kubelab = std::env::var_os("KUBELAB").unwrap_or_else(|| root().join("bin/kubelab").into());
    let made = std::process::Command::new(kubelab)
        .args(["tools", "prometheus"])
        .current_dir(root())
        .output()
        .context("failed to run kubelab")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "kubelab made no Prometheus: {said}");
    let path = String::from_utf8(made.stdout)?;
    let path = path.lines().last().context("kubelab named no file")?;
    Ok(PathBuf::from(path))
}
