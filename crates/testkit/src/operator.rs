//! The real operator binary as a child process behind its own fault proxy.

use std::{
    fs::{File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    sync::{Mutex, Notify},
    task::JoinHandle,
};

use crate::{
    binary,
    port::free_address,
    proxy::{Kill, Proxy, trace::Trace},
    wait::{self, Seen},
};

/// Names the operator binary; absent, the one that cargo built next to the test.
pub const BINARY: &str = "DEVSERVER_OPERATOR";

/// Names the file by which the operator's clock is moved; absent: it is right.
const CLOCK: &str = "DEVSERVER_CLOCK_OFFSET_FILE";

/// How the operator is started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces it looks after.
    pub namespaces: Vec<String>,
    /// Labels of the DevServerUsers it looks after; absent: of none.
    pub user_selector: Option<String>,
    /// Labels of the flavors it tells of; absent: of none.
    pub flavor_selector: Option<String>,
    /// Namespace of the Lease.
    pub lease_namespace: String,
    /// Whether it works only while it holds the Lease.
    pub leader_elect: bool,
    /// Its name in the Lease.
    pub identity: String,
    /// Its configuration file's text.
    pub config: Option<String>,
    /// Seconds between looks when nothing changes.
    pub resync: u64,
}

impl Settings {
    /// One operator for one namespace, without election.
    pub fn alone(namespace: &str) -> Self {
        Self {
            namespaces: vec![namespace.to_owned()],
            user_selector: None,
            flavor_selector: None,
            lease_namespace: namespace.to_owned(),
            leader_elect: false,
            identity: "first".to_owned(),
            config: None,
            resync: 600,
        }
    }
}

/// The operator under test. Clones are the same process; it is killed with the last of them.
#[derive(Clone)]
pub struct Operator(Arc<Inner>);

struct Inner {
    proxy: Proxy,
    arguments: Vec<String>,
    kubeconfig: PathBuf,
    clock: PathBuf,
    log: PathBuf,
    listen: SocketAddr,
    process: Arc<Process>,
}

/// The child, if there is one, and how often a fault killed it.
#[derive(Default)]
struct Process {
    child: Mutex<Option<Child>>,
    kills: AtomicU64,
    killed: Notify,
}

impl Process {
    async fn kill(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().await.take() {
            child.start_kill().context("failed to kill the operator")?;
            child.wait().await?;
        }
        Ok(())
    }
}

impl Operator {
    /// Starts a proxy and the operator behind it, and waits until it is ready. Files go to `folder`.
    pub async fn start(
        config: &kube::Config,
        folder: &Path,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let proxy = Proxy::start(config).await?;
        let stem = format!("operator-{}", crate::sample::word(6));
        let kubeconfig = folder.join(format!("{stem}.kubeconfig"));
        proxy.write_kubeconfig(&kubeconfig)?;
        let listen = free_address()?;
        let mut arguments = arguments(settings, listen);
        if let Some(text) = &settings.config {
            let path = folder.join(format!("{stem}.yaml"));
            std::fs::write(&path, text)?;
            arguments.extend(["--config".to_owned(), path.display().to_string()]);
            // Who asks agents has a key for them.
            if text.contains("activity:") {
                let key = folder.join(format!("{stem}.key"));
                std::fs::write(&key, crate::sample::word(48))?;
                arguments.push(format!("--activity-key-file={}", key.display()));
            }
        }
        let process = Arc::new(Process::default());
        proxy.set_kill(killer(&process));
        let log = folder.join(format!("{stem}.log"));
        let operator = Self(Arc::new(Inner {
            proxy,
            arguments,
            kubeconfig,
            clock: folder.join(format!("{stem}.clock")),
            log,
            listen,
            process,
        }));
        operator.spawn().await?;
        operator.wait_ready().await?;
        Ok(operator)
    }

    /// The proxy it speaks through.
    pub fn proxy(&self) -> &Proxy {
        &self.0.proxy
    }

    /// Every request it made.
    pub fn trace(&self) -> &Trace {
        self.0.proxy.trace()
    }

    /// File of its standard error.
    pub fn log(&self) -> &Path {
        &self.0.log
    }

    /// How often a fault killed it.
    pub fn kills(&self) -> u64 {
        self.0.process.kills.load(Ordering::SeqCst)
    }

    /// Starts the process again with the same arguments; the one before must be gone.
    pub async fn spawn(&self) -> anyhow::Result<()> {
        let mut slot = self.0.process.child.lock().await;
        if slot.is_some() {
            bail!("the operator runs already");
        }
        let binary = binary::find(BINARY, "devserver-operator")?;
        let child = Command::new(&binary)
            .args(&self.0.arguments)
            .env("KUBECONFIG", &self.0.kubeconfig)
            .env(CLOCK, &self.0.clock)
            .stdin(Stdio::null())
            .stdout(self.log_file()?)
            .stderr(self.log_file()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", binary.display()))?;
        *slot = Some(child);
        Ok(())
    }

    /// Puts the operator's own clock ahead by so many seconds; it reads that at each look.
    pub fn set_clock(&self, ahead: i64) -> anyhow::Result<()> {
        let path = &self.0.clock;
        let next = path.with_extension("next");
        std::fs::write(&next, ahead.to_string())?;
        // Renamed, so that no look reads half a number.
        std::fs::rename(&next, path).with_context(|| format!("failed to write {}", path.display()))
    }

    /// Puts both clocks ahead: so much later it is, for all the operator can tell.
    pub fn set_time(&self, ahead: i64) -> anyhow::Result<()> {
        self.proxy().set_clock(ahead);
        self.set_clock(ahead)
    }

    /// Waits until its caches are filled.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        wait::until(
            "the operator is ready",
            Duration::from_secs(30),
            async || {
                let page = self.page("/readyz").await?;
                Ok(Seen::when(page.starts_with("HTTP/1.1 200"), page))
            },
        )
        .await
    }

    /// Process identifier of the one that runs, to read `/proc`.
    pub async fn pid(&self) -> anyhow::Result<u32> {
        let child = self.0.process.child.lock().await;
        child
            .as_ref()
            .and_then(Child::id)
            .context("the operator does not run")
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.0.process.kill().await
    }

    /// SIGKILL, then a new process.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.kill().await?;
        self.spawn().await?;
        self.wait_ready().await
    }

    /// Sends a signal, such as SIGTERM or SIGSTOP.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.0.process.child.lock().await;
        let id = child
            .as_ref()
            .and_then(Child::id)
            .context("the operator does not run")?;
        kill(Pid::from_raw(i32::try_from(id)?), signal).context("failed to signal the operator")
    }

    /// Waits until it ends by itself.
    pub async fn exit(&self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let mut slot = self.0.process.child.lock().await;
        let child = slot.as_mut().context("the operator does not run")?;
        let status = tokio::time::timeout(deadline, child.wait())
            .await
            .with_context(|| format!("the operator still runs after {} s", deadline.as_secs()))??;
        *slot = None;
        Ok(status)
    }

    /// Starts it again each time a fault has killed it, until the returned task is aborted.
    pub fn revive(&self) -> JoinHandle<()> {
        let operator = self.clone();
        tokio::spawn(async move {
            loop {
                operator.0.process.killed.notified().await;
                if let Err(why) = operator.spawn().await {
                    tracing::error!("failed to start the operator again: {why:#}");
                    return;
                }
            }
        })
    }

    /// Where its pages are.
    pub fn address(&self) -> SocketAddr {
        self.0.listen
    }

    /// One of its pages with the status line, such as `/metrics`.
    pub async fn page(&self, path: &str) -> anyhow::Result<String> {
        ask(self.0.listen, path, "").await
    }

    /// What its reports of usage answer, with the status line; `headers` are whole lines.
    pub async fn usage(&self, path: &str, headers: &str) -> anyhow::Result<String> {
        ask(self.usage_address()?, path, headers).await
    }

    /// Where it serves reports of usage.
    pub fn usage_address(&self) -> anyhow::Result<SocketAddr> {
        let log = std::fs::read_to_string(&self.0.log)?;
        // The newest: each process has a port of its own.
        let line = log
            .lines()
            .rev()
            .find(|line| line.contains("serves reports of usage"));
        let line: serde_json::Value =
            serde_json::from_str(line.context("it serves no reports of usage")?)?;
        let address = line
            .get("address")
            .and_then(serde_json::Value::as_str)
            .context("no address")?;
        Ok(address.parse()?)
    }

    fn log_file(&self) -> anyhow::Result<File> {
        let path = &self.0.log;
        let open = OpenOptions::new().create(true).append(true).open(path);
        open.with_context(|| format!("failed to open {}", path.display()))
    }
}

async fn ask(address: SocketAddr, path: &str, headers: &str) -> anyhow::Result<String> {
    let exchange = async {
        let mut socket = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: operator\r\n{headers}Connection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    tokio::time::timeout(Duration::from_secs(5), exchange)
        .await
        .context("no answer")?
}

fn killer(process: &Arc<Process>) -> Kill {
    let process = Arc::clone(process);
    Arc::new(move || {
        let process = Arc::clone(&process);
        // A task of its own: the proxy drops what serves a connection when its client is gone, which is what this does.
        let killing = tokio::spawn(async move {
            if let Err(why) = process.kill().await {
                tracing::error!("{why:#}");
                return;
            }
            process.kills.fetch_add(1, Ordering::SeqCst);
            process.killed.notify_one();
        });
        Box::pin(async move { drop(killing.await) })
    })
}

fn arguments(settings: &Settings, listen: SocketAddr) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    for namespace in &settings.namespaces {
        words.extend(["--watch-namespace".to_owned(), namespace.clone()]);
    }
    if let Some(labels) = &settings.user_selector {
        words.push(format!("--user-selector={labels}"));
    }
    if let Some(labels) = &settings.flavor_selector {
        words.push(format!("--flavor-selector={labels}"));
    }
    words.extend([
        format!("--lease-namespace={}", settings.lease_namespace),
        format!("--identity={}", settings.identity),
        format!("--leader-elect={}", settings.leader_elect),
        format!("--listen={listen}"),
        // Whichever is free; its log says which.
        "--usage-listen=0.0.0.0:0".to_owned(),
        format!("--resync={}", settings.resync),
        "--log-format=json".to_owned(),
    ]);
    words
}
