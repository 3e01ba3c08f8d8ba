//! From create to a successful ssh, against a pod of the same image from create to Ready, in turn on one node. That pod has
//! what costs the node time whoever asks for it: a volume of the same class, a user namespace, the runtime's seccomp profile. One
//! with none of these is measured too: the kubelet looks for mounted volumes every 300 ms, and the profile takes some 50 ms.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use devserver_api::{DevServer, Phase};
use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
    runtime::{WatchStreamExt, wait::await_condition, watcher},
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
    /// The devctl to log in with.
    #[arg(long, env = "DEVSERVER_DEVCTL")]
    devctl: PathBuf,
}

/// Measures both sides in turn; the operator of the cluster does the work.
pub async fn measure(options: Options) -> Result<Value> {
    let client = Client::try_default().await?;
    let flavor = cluster::flavor(&client).await?;
    let namespace = format!("bench-{}-start", std::process::id());
    cluster::namespace(&client, &namespace).await?;
    let keys = tempfile::tempdir()?;
    let bench = Bench {
        client: client.clone(),
        namespace: namespace.clone(),
        devctl: options.devctl,
        keys,
        image: options.image,
    };
    bench.make_key().await?;
    let (mut plain, mut bare, mut ready, mut ssh) = (vec![], vec![], vec![], vec![]);
    for round in 0..options.rounds {
        plain.push(bench.bare_pod(&format!("plain-{round}"), false).await?);
        let pod = bench.bare_pod(&format!("bare-{round}"), true).await?;
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
        "plain_pod_ready_seconds": rounded(median(&plain)),
        "bare_pod_ready_seconds": rounded(median(&bare)),
        "devserver_running_seconds": rounded(median(&ready)),
        "devserver_ssh_seconds": rounded(median(&ssh)),
        "ratio": rounded(median(&ratios)),
        "ratio_to_plain_pod": rounded(median(&ssh) / median(&plain)),
        "ratios": ratios.into_iter().map(rounded).collect::<Vec<_>>(),
    }))
}

struct Bench {
    client: Client,
    namespace: String,
    devctl: PathBuf,
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

    async fn bare_pod(&self, name: &str, like_ours: bool) -> Result<f64> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let claim = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}))?;
        let mut pod = json!({
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
                "containers": [{"name": "dev", "image": self.image, "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "3600"], "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}]},
        });
        if like_ours {
            let spec = &mut pod["spec"];
            spec["hostUsers"] = json!(false);
            spec["securityContext"] = json!({"seccompProfile": {"type": "RuntimeDefault"}});
            spec["volumes"] =
                json!([{"name": "home", "persistentVolumeClaim": {"claimName": name}}]);
            spec["containers"][0]["volumeMounts"] =
                json!([{"name": "home", "mountPath": "/home/dev"}]);
        }
        let changes = changes(&api, name);
        pin_mut!(changes);
        let started = Instant::now();
        if like_ours {
            claims.create(&PostParams::default(), &claim).await?;
        }
        api.create(&PostParams::default(), &serde_json::from_value(pod)?)
            .await?;
        until(changes, is_ready).await?;
        let took = started.elapsed().as_secs_f64();
        api.delete(name, &DeleteParams::default().grace_period(0))
            .await?;
        self.gone(name).await?;
        Ok(took)
    }

    /// Seconds to `Running`, and to the end of a successful `devctl ssh … true` that its user typed right after the create.
    async fn devserver(&self, round: usize, flavor: &str) -> Result<(f64, f64)> {
        let name = format!("server-{round}");
        let api: Api<DevServer> = Api::namespaced(self.client.clone(), &self.namespace);
        let key = std::fs::read_to_string(self.keys.path().join("id.pub"))?;
        let mut server = cluster::server(&name, flavor, key.trim())?;
        server.spec.image = Some(self.image.clone());
        // The home is kept, as it is where nobody says otherwise; the namespace takes it with it.
        server.spec.lifecycle = None;
        let changes = changes(&api, &name);
        pin_mut!(changes);
        let started = Instant::now();
        api.create(&PostParams::default(), &server).await?;
        let is_running =
            |s: &DevServer| s.status.as_ref().and_then(|s| s.phase) == Some(Phase::Running);
        let running = async {
            until(changes, is_running).await?;
            anyhow::Ok(started.elapsed().as_secs_f64())
        };
        let login = async {
            self.ssh(&name).await?;
            anyhow::Ok(started.elapsed().as_secs_f64())
        };
        let (running, login) = tokio::try_join!(running, login)?;
        api.delete(&name, &DeleteParams::background()).await?;
        self.gone(&format!("{name}-0")).await?;
        Ok((running, login))
    }

    /// Waits until the node has cleaned up after a pod, so that no side is measured with the other's end.
    async fn gone(&self, pod: &str) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let gone = await_condition(api, pod, |pod: Option<&Pod>| pod.is_none());
        tokio::time::timeout(Duration::from_mins(2), gone)
            .await
            .with_context(|| format!("the pod {pod} is not gone after two minutes"))??;
        Ok(())
    }

    /// As its user would: `devctl ssh NAME -- true`, which waits until it runs, with strict host keys.
    async fn ssh(&self, name: &str) -> Result<()> {
        let ended = tokio::process::Command::new(&self.devctl)
            .env("DEVCTL_CONFIG_DIR", self.keys.path().join("devctl"))
            .args([
                "--namespace",
                &self.namespace,
                "ssh",
                name,
                "-o",
                "IdentitiesOnly=yes",
                "-i",
            ])
            .arg(self.keys.path().join("id"))
            .args(["--", "true"])
            .stdin(Stdio::null())
            .status()
            .await
            .context("failed to run devctl")?;
        if ended.success() {
            Ok(())
        } else {
            bail!("devctl ssh ended with {ended}")
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
