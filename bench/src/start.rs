//! From create to a successful ssh, against a bare pod of the same image from create to Ready, in turn on one node.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use devserver_api::{DevServer, Phase};
use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use crate::{
    cluster,
    results::{median, rounded},
};

/// How often, with what.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds of each side, taken in turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Image of both sides.
    #[arg(long, default_value = "docker.io/devserver/base:lab")]
    image: String,
}

/// Measures both sides in turn; the operator of the cluster does the work.
pub async fn measure(options: Options) -> Result<Value> {
    let client = Client::try_default().await?;
    let flavor = cluster::flavor(&client).await?;
    let namespace = format!("bench-{}-start", std::process::id());
    cluster::namespace(&client, &namespace).await?;
    let keys = tempfile::tempdir()?;
    let address = node_address(&client).await?;
    let bench = Bench {
        client: client.clone(),
        namespace: namespace.clone(),
        address,
        keys,
        image: options.image,
    };
    bench.make_key().await?;
    let (mut bare, mut ready, mut ssh) = (vec![], vec![], vec![]);
    for round in 0..options.rounds {
        let pod = bench.bare_pod(round).await?;
        let (running, login) = bench.devserver(round, flavor).await?;
        eprintln!(
            "round {round}: bare pod {pod:.2} s, Running {running:.2} s, ssh {login:.2} s, ratio {:.2}",
            login / pod
        );
        bare.push(pod);
        ready.push(running);
        ssh.push(login);
    }
    cluster::remove(&client, &namespace).await;
    let ratios: Vec<f64> = ssh.iter().zip(&bare).map(|(a, b)| a / b).collect();
    Ok(json!({
        "rounds": options.rounds,
        "bare_pod_ready_seconds": rounded(median(&bare)),
        "devserver_running_seconds": rounded(median(&ready)),
        "devserver_ssh_seconds": rounded(median(&ssh)),
        "ratio": rounded(median(&ratios)),
        "ratios": ratios.into_iter().map(rounded).collect::<Vec<_>>(),
    }))
}

struct Bench {
    client: Client,
    namespace: String,
    address: String,
    keys: tempfile::TempDir,
    image: String,
}

impl Bench {
    async fn make_key(&self) -> Result<()> {
        let path = self.keys.path().join("id");
        let made = tokio::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(path)
            .stdin(Stdio::null())
            .status()
            .await
            .context("failed to run ssh-keygen")?;
        if made.success() {
            Ok(())
        } else {
            bail!("ssh-keygen ended with {made}")
        }
    }

    async fn bare_pod(&self, round: usize) -> Result<f64> {
        let name = format!("bare-{round}");
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let pod = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "hostUsers": false, "automountServiceAccountToken": false,
                "containers": [{"name": "dev", "image": self.image, "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "3600"], "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}]},
        }))?;
        let changes = changes(&api, &name);
        pin_mut!(changes);
        let started = Instant::now();
        api.create(&PostParams::default(), &pod).await?;
        until(changes, is_ready).await?;
        let took = started.elapsed().as_secs_f64();
        api.delete(&name, &DeleteParams::default().grace_period(0))
            .await?;
        Ok(took)
    }

    /// Seconds to `Running`, and to the end of a successful `ssh … true`.
    async fn devserver(&self, round: usize, flavor: &str) -> Result<(f64, f64)> {
        let name = format!("server-{round}");
        let api: Api<DevServer> = Api::namespaced(self.client.clone(), &self.namespace);
        let key = std::fs::read_to_string(self.keys.path().join("id.pub"))?;
        let mut server = cluster::server(&name, flavor, key.trim())?;
        server.spec.image = Some(self.image.clone());
        let changes = changes(&api, &name);
        pin_mut!(changes);
        let started = Instant::now();
        api.create(&PostParams::default(), &server).await?;
        let is_running =
            |s: &DevServer| s.status.as_ref().and_then(|s| s.phase) == Some(Phase::Running);
        let server = until(changes, is_running).await?;
        let running = started.elapsed().as_secs_f64();
        self.ssh(&server).await?;
        let login = started.elapsed().as_secs_f64();
        api.delete(&name, &DeleteParams::background()).await?;
        Ok((running, login))
    }

    async fn ssh(&self, server: &DevServer) -> Result<()> {
        let status = server
            .status
            .as_ref()
            .and_then(|s| s.ssh.as_ref())
            .context("no ssh status")?;
        let port = status.node_port.context("no node port")?;
        let known = self
            .keys
            .path()
            .join(format!("known-{}", server.name_any()));
        let lines: String = status
            .host_keys
            .iter()
            .fold(String::new(), |all, key| all + "server " + key + "\n");
        std::fs::write(&known, lines)?;
        let option = |text: String| ["-o".to_owned(), text];
        let ended = tokio::process::Command::new("ssh")
            .args(["-F", "none", "-i"])
            .arg(self.keys.path().join("id"))
            .args(option(format!("UserKnownHostsFile={}", known.display())))
            .args(option("HostKeyAlias=server".to_owned()))
            .args(option("StrictHostKeyChecking=yes".to_owned()))
            .args(option("IdentitiesOnly=yes".to_owned()))
            .args([
                "-p",
                &port.to_string(),
                &format!("dev@{}", self.address),
                "true",
            ])
            .stdin(Stdio::null())
            .status()
            .await
            .context("failed to run ssh")?;
        if ended.success() {
            Ok(())
        } else {
            bail!("ssh ended with {ended}")
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

fn changes<K>(api: &Api<K>, name: &str) -> impl Stream<Item = Result<K, watcher::Error>> + use<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api.clone(), config).applied_objects()
}

async fn until<K>(
    mut changes: std::pin::Pin<&mut impl Stream<Item = Result<K, watcher::Error>>>,
    holds: impl Fn(&K) -> bool,
) -> Result<K> {
    let wait = async {
        while let Some(object) = changes.next().await {
            let object = object?;
            if holds(&object) {
                return Ok(object);
            }
        }
        bail!("the watch ended")
    };
    tokio::time::timeout(Duration::from_mins(2), wait)
        .await
        .context("not there after two minutes")?
}

async fn node_address(client: &Client) -> Result<String> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    let addresses = nodes
        .items
        .into_iter()
        .filter_map(|n| n.status?.addresses)
        .flatten();
    let internal = addresses.into_iter().find(|a| a.type_ == "InternalIP");
    Ok(internal.context("no node has an InternalIP")?.address)
}
