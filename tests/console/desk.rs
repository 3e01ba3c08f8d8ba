//! A console with TLS, a provider that the API server trusts, and a home in which somebody runs the real devctl.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use devserver_testkit::{Scene, account::Account, cluster, port::free_address};
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use crate::{
    provider::{Dex, Person},
    rig::{self, install_rights},
};

/// Longest run of one command; a login waits for the provider's own pace of five seconds.
const PATIENCE: Duration = Duration::from_secs(180);
/// Logins until the API server has read which provider it trusts now.
const TRIES: usize = 12;

/// A console with TLS, its provider, and a home of somebody's.
pub struct Desk {
    pub account: Account,
    pub dex: Dex,
    pub console: String,
    folder: TempDir,
    process: Child,
    /// The API server of the lab has one provider at a time.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::const_new(());

fn kubeconfig() -> anyhow::Result<PathBuf> {
    Ok(std::env::var_os(cluster::KUBECONFIG)
        .context("no control plane")?
        .into())
}

/// The address at which the control plane reaches this machine.
fn here(scene: &Scene) -> anyhow::Result<IpAddr> {
    let server = scene
        .cluster()
        .config
        .cluster_url
        .host()
        .context("no host")?
        .to_owned();
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Sends nothing: it asks the kernel for the way.
    socket.connect((server.as_str(), 6443))?;
    Ok(socket.local_addr()?.ip())
}

/// Tells the API server of the lab whose tokens it takes. It reads the file again by itself.
fn trust(dex: &Dex) -> anyhow::Result<()> {
    let file = kubeconfig()?.with_file_name("authentication.yaml");
    ensure!(
        file.is_file(),
        "this lab has no {}; make it anew",
        file.display()
    );
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
        "jwt": [{
            "issuer": {"url": dex.issuer(), "audiences": ["devctl"], "certificateAuthority": dex.authority},
            "claimMappings": {"username": {"claim": "preferred_username", "prefix": ""}, "groups": {"expression": "['devserver-users']"}},
        }],
    });
    let new = file.with_extension("new");
    std::fs::write(&new, config.to_string())?;
    std::fs::rename(&new, &file)?;
    Ok(())
}

fn authority_of_the_cluster() -> anyhow::Result<Vec<u8>> {
    let config = Kubeconfig::read_from(kubeconfig()?)?;
    let first = config
        .clusters
        .first()
        .and_then(|c| c.cluster.clone())
        .context("no cluster")?;
    match (
        first.certificate_authority_data,
        first.certificate_authority,
    ) {
        (Some(data), _) => Ok(STANDARD.decode(data)?),
        (None, Some(file)) => Ok(std::fs::read(file)?),
        _ => anyhow::bail!("the kubeconfig has no authority"),
    }
}

impl Desk {
    pub async fn new(scene: &Scene) -> anyhow::Result<Self> {
        let turn = TURN.lock().await;
        install_rights(scene.client()).await?;
        let account = Account::new(scene).await?;
        scene.operator_with(&account.settings(None)).await?;
        account.ready(json!({})).await?;
        let (address, pages) = (free_address()?, free_address()?);
        let host = format!("localhost:{}", address.port());
        let people = [Person {
            name: &account.username,
            groups: &["dev"],
        }];
        let dex = Dex::start_secure(here(scene)?, &host, &people).await?;
        trust(&dex)?;
        let folder = tempfile::tempdir()?;
        let process = console(folder.path(), &host, &dex, scene, (address, pages)).await?;
        Ok(Self {
            account,
            dex,
            console: format!("https://{host}"),
            folder,
            process,
            _turn: turn,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn devctl(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(devctl()?);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("KUBECONFIG", self.path("config"))
            .env("DEVCTL_CACHE_DIR", self.path("cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(timeout(PATIENCE, self.devctl(arguments)?.output()).await??)
    }

    /// One login, with somebody at a browser.
    async fn login(&self) -> anyhow::Result<Output> {
        let certificate = self.path("console.crt");
        let certificate = certificate.to_str().context("no text")?;
        let mut command = self.devctl(&[
            "login",
            "--console",
            &self.console,
            "--certificate-authority",
            certificate,
        ])?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let mut said = String::new();
        while let Some(line) = timeout(PATIENCE, lines.next_line()).await?? {
            said.push_str(&line);
            said.push('\n');
            if let Some(address) = line.trim().strip_prefix("https://") {
                let invitation = format!("https://{address}");
                self.dex
                    .approve(&invitation, &self.account.username, "password")
                    .await?;
            }
        }
        let mut output = timeout(PATIENCE, child.wait_with_output()).await??;
        output.stderr = said.into_bytes();
        Ok(output)
    }

    /// Logs in, as often as the API server needs to know the provider.
    pub async fn logged_in(&self) -> anyhow::Result<String> {
        for _ in 0..TRIES {
            let output = self.login().await?;
            let (out, err) = texts(&output);
            if output.status.success() {
                return Ok(out);
            }
            ensure!(err.contains("must know this identity provider"), "{err}");
            ensure!(
                !self.path("config").exists(),
                "a context was written that does not work"
            );
        }
        anyhow::bail!("the API server does not take the provider's tokens")
    }

    /// Starts the console anew, and says nothing of devctl in its configuration.
    pub async fn forget_devctl(&mut self) -> anyhow::Result<()> {
        let file = self.path("console.yaml");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        config
            .as_object_mut()
            .context("no object")?
            .remove("devctl");
        std::fs::write(&file, config.to_string())?;
        self.process.kill().await?;
        let port = self.console.trim_start_matches("https://localhost:");
        let (address, pages) = (
            SocketAddr::from(([127, 0, 0, 1], port.parse()?)),
            free_address()?,
        );
        self.process = rig::start(self.folder.path(), address, pages)?;
        rig::until_ready(pages, self.folder.path()).await
    }

    /// The one file with tokens.
    pub fn tokens(&self) -> anyhow::Result<PathBuf> {
        let all = std::fs::read_dir(self.path("cache/tokens"))?;
        let mut files = all.filter_map(|entry| Some(entry.ok()?.path()));
        files
            .find(|path| path.extension().is_some_and(|e| e == "json"))
            .context("no tokens")
    }

    pub fn change_tokens(&self, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let file = self.tokens()?;
        let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        change(&mut kept);
        std::fs::write(file, kept.to_string())?;
        Ok(())
    }
}

async fn console(
    folder: &Path,
    host: &str,
    dex: &Dex,
    scene: &Scene,
    (address, pages): (SocketAddr, SocketAddr),
) -> anyhow::Result<Child> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let write = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let config = json!({
        "consoleUrl": format!("https://{host}"), "editorDomain": "editors.example.test",
        "sessionKeyFile": write("key", &[42; 64])?,
        "tls": {"certificateFile": write("console.crt", made.cert.pem().as_bytes())?, "privateKeyFile": write("console.key", made.signing_key.serialize_pem().as_bytes())?},
        "oidc": {
            "issuer": dex.issuer(), "clientId": "console", "clientSecretFile": write("secret", b"shared\n")?, "usernameClaim": "preferred_username",
            "caFile": write("provider.crt", dex.authority.as_deref().unwrap_or_default().as_bytes())?,
        },
        "devctl": {
            "clientId": "devctl", "server": scene.cluster().config.cluster_url.to_string(),
            "certificateAuthorityFile": write("cluster.crt", &authority_of_the_cluster()?)?,
        },
    });
    write("console.yaml", config.to_string().as_bytes())?;
    write(
        "kubeconfig",
        rig::kubeconfig(&scene.client()).await?.as_bytes(),
    )?;
    let process = rig::start(folder, address, pages)?;
    rig::until_ready(pages, folder).await?;
    Ok(process)
}

fn devctl() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(devserver_testkit::devctl::BINARY) {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("the test has no folder")?;
    let path = folder.join("devctl");
    ensure!(
        path.is_file(),
        "there is no {}; build it with `cargo build -p devctl`",
        path.display()
    );
    Ok(path)
}

/// What it has printed, and what it has said beside.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
