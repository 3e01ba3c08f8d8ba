//! From create to a successful ssh, against pods of the same image from create to Ready, in turn on one node. The bare pod has a
//! volume of the same class and a user namespace: the kubelet looks for mounted volumes every 300 ms, so a pod with a home cannot be as
//! fast as one without. One with none of it is measured too, and one with the runtime's seccomp profile, which takes the node some 50 ms.

use std::{
    ffi::OsStr,
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
    usage,
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
    /// An `ssh` to log in with besides the machine's own, which may be an old one: before OpenSSH 10.0 its key exchange costs the
    /// client some 70 ms of processor time.
    #[arg(long, env = "DEVSERVER_SSH_CLIENT")]
    client: Option<PathBuf>,
}

/// Measures all sides in turn; the operator of the cluster does the work.
pub async fn measure(options: Options) -> Result<Value> {
    let client = Client::try_default().await?;
    let flavor = cluster::flavor(&client).await?;
    let namespace = format!("bench-{}-start", std::process::id());
    cluster::namespace(&client, &namespace).await?;
    let mut clients = Vec::new();
    for path in options.client.into_iter().map(Some).chain([None]) {
        clients.push(SshClient::new(path).await?);
    }
    let bench = Bench {
        client: client.clone(),
        namespace: namespace.clone(),
        devctl: options.devctl,
        keys: tempfile::tempdir()?,
        image: options.image,
    };
    bench.make_key().await?;
    let (mut plain, mut bare, mut confined, mut ready) = (vec![], vec![], vec![], vec![]);
    for round in 0..options.rounds {
        let pod = async |like| {
            bench
                .pod(&format!("{like:?}-{round}").to_lowercase(), like)
                .await
        };
        plain.push(pod(Like::Plain).await?);
        confined.push(pod(Like::Confined).await?);
        let pod = pod(Like::Bare).await?;
        bare.push(pod);
        for (side, ssh) in clients.iter_mut().enumerate() {
            let name = format!("server-{round}-{side}");
            let (running, login) = bench.devserver(&name, flavor, ssh).await?;
            let (version, ratio) = (&ssh.version, login / pod);
            eprintln!(
                "round {round}: bare pod {pod:.2} s, Running {running:.2} s, {version} {login:.2} s, ratio {ratio:.2}"
            );
            ready.push(running);
            ssh.seconds.push(login);
        }
    }
    cluster::remove(&client, &namespace).await;
    let pods = [
        ("ratio_to_plain_pod", &plain),
        ("ratio_to_confined_pod", &confined),
        ("ratio", &bare),
    ];
    let clients: Vec<Value> = clients.iter().map(|ssh| ssh.result(pods)).collect();
    Ok(json!({
        "rounds": options.rounds,
        "plain_pod_ready_seconds": rounded(median(&plain)),
        "confined_pod_ready_seconds": rounded(median(&confined)),
        "bare_pod_ready_seconds": rounded(median(&bare)),
        "devserver_running_seconds": rounded(median(&ready)),
        "ssh_clients": clients,
    }))
}

/// What a pod has besides the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Like {
    /// Nothing.
    Plain,
    /// A volume and a user namespace.
    Bare,
    /// These and the runtime's seccomp profile.
    Confined,
}

/// A client, and the seconds it took to log in.
struct SshClient {
    /// Its folder; `None`: the machine's own.
    folder: Option<PathBuf>,
    version: String,
    seconds: Vec<f64>,
}

impl SshClient {
    async fn new(program: Option<PathBuf>) -> Result<Self> {
        let folder = program.and_then(|path| path.parent().map(PathBuf::from));
        let mut client = Self {
            folder,
            version: String::new(),
            seconds: Vec::new(),
        };
        let said = client.command("ssh")?.arg("-V").output().await;
        let said = said.context("failed to run ssh")?.stderr;
        let said = String::from_utf8_lossy(&said);
        let version = said.split([' ', ',']).next().unwrap_or_default();
        version.clone_into(&mut client.version);
        Ok(client)
    }

    /// A program that finds this client first.
    fn command(&self, program: impl AsRef<OsStr>) -> Result<tokio::process::Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = self
            .folder
            .iter()
            .cloned()
            .chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).context("the folder of ssh has a colon")?;
        let mut command = tokio::process::Command::new(program);
        command.env("PATH", path);
        Ok(command)
    }

    fn result(&self, pods: [(&str, &Vec<f64>); 3]) -> Value {
        let mut result = json!({
            "version": self.version,
            "devserver_ssh_seconds": rounded(median(&self.seconds)),
        });
        for (name, pods) in pods {
            let ratios = self.seconds.iter().zip(pods).map(|(ssh, pod)| ssh / pod);
            result[name] = json!(rounded(median(&ratios.collect::<Vec<_>>())));
        }
        result
    }
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

    async fn pod(&self, name: &str, like: Like) -> Result<f64> {
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
        if like == Like::Confined {
            pod["spec"]["securityContext"] = json!({"seccompProfile": {"type": "RuntimeDefault"}});
        }
        let has_volume = like != Like::Plain;
        if has_volume {
            let spec = &mut pod["spec"];
            spec["hostUsers"] = json!(false);
            spec["volumes"] =
                json!([{"name": "home", "persistentVolumeClaim": {"claimName": name}}]);
            spec["containers"][0]["volumeMounts"] =
                json!([{"name": "home", "mountPath": "/home/dev"}]);
        }
        let changes = changes(&api, name);
        pin_mut!(changes);
        let started = Instant::now();
        if has_volume {
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
    async fn devserver(&self, name: &str, flavor: &str, ssh: &SshClient) -> Result<(f64, f64)> {
        let api: Api<DevServer> = Api::namespaced(self.client.clone(), &self.namespace);
        let key = std::fs::read_to_string(self.keys.path().join("id.pub"))?;
        let mut server = cluster::server(name, flavor, key.trim())?;
        server.spec.image = Some(self.image.clone());
        // The home is kept, as it is where nobody says otherwise; the namespace takes it with it.
        server.spec.lifecycle = None;
        let changes = changes(&api, name);
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
            self.ssh(name, ssh).await?;
            anyhow::Ok(started.elapsed().as_secs_f64())
        };
        let (running, login) = tokio::try_join!(running, login)?;
        api.delete(name, &DeleteParams::background()).await?;
        self.gone(&format!("{name}-0")).await?;
        Ok((running, login))
    }

    /// Waits until the cluster has cleaned up after a pod, so that no side is measured with the other's end: the objects of an environment
    /// and a pod's network go when the pod is gone already.
    async fn gone(&self, pod: &str) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let gone = await_condition(api, pod, |pod: Option<&Pod>| pod.is_none());
        tokio::time::timeout(Duration::from_mins(2), gone)
            .await
            .with_context(|| format!("the pod {pod} is not gone after two minutes"))??;
        usage::quiet().await
    }

    /// As its user would: `devctl ssh NAME -- true`, which waits until it runs, with strict host keys.
    async fn ssh(&self, name: &str, ssh: &SshClient) -> Result<()> {
        let ended = ssh
            .command(&self.devctl)?
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
