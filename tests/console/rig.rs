//! The console at work, with the rights that the chart gives it and no others.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::{
    Operator, Scene,
    account::Account,
    port::free_address,
    scene::PATIENCE,
    wait::{self, Seen},
};
use http::StatusCode;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    sync::OnceCell,
};

pub use crate::rights::{install_rights, kubeconfig, own_client};
use crate::{
    browser::{Answer, Browser, apart},
    ledger,
    provider::{Dex, Person},
};

/// Host of the console.
pub const CONSOLE: &str = "console.example.test";
/// Domain of the editors.
pub const EDITORS: &str = "editors.example.test";

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Everything at work.
pub struct Rig {
    pub scene: Scene,
    pub account: Account,
    pub other: Account,
    pub dex: Dex,
    /// The operator that counts usage, where one was asked for.
    pub ledger: Option<Operator>,
    pub address: SocketAddr,
    pub folder: TempDir,
    pub process: Child,
}

/// Configuration of an operator that counts usage in the test's own namespace, from the names of the two users.
pub type Configure<'a> = &'a (dyn Fn(&str, &str) -> String + Sync);

/// How the console is configured besides what every test needs.
#[derive(Clone, Copy, Default)]
pub struct More<'a> {
    pub config: &'a [(&'a str, &'a str)],
    /// Configuration of the operator.
    pub platform: Option<&'a str>,
    /// With an operator that counts usage.
    pub ledger: Option<Configure<'a>>,
}

impl<'a> More<'a> {
    /// These settings, and no ledger.
    pub fn of(config: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }
}

impl Rig {
    pub async fn new(scene: &Scene) -> anyhow::Result<Self> {
        Self::with(scene, More::default()).await
    }

    /// Two users, of whom the second is in the group `ops` that administrates.
    pub async fn with(scene: &Scene, more: More<'_>) -> anyhow::Result<Self> {
        INSTALLED
            .get_or_try_init(|| install_rights(scene.client()))
            .await?;
        let (account, other) = (Account::new(scene).await?, Account::new(scene).await?);
        scene
            .operator_with(&account.settings(more.platform))
            .await?;
        account.ready(json!({})).await?;
        other.ready(json!({})).await?;
        let people = [
            Person {
                name: &account.username,
                groups: &["dev"],
            },
            Person {
                name: &other.username,
                groups: &["dev", "ops"],
            },
        ];
        let dex = Dex::start(CONSOLE, &people).await?;
        let folder = tempfile::tempdir()?;
        let (address, pages) = (free_address()?, free_address()?);
        write_files(folder.path(), &dex.issuer(), more)?;
        let ledger = match more.ledger {
            Some(config) => {
                let config = config(&account.username, &other.username);
                Some(ledger::start(scene, config, folder.path()).await?)
            }
            None => None,
        };
        std::fs::write(
            folder.path().join("kubeconfig"),
            kubeconfig(&scene.client()).await?,
        )?;
        let process = start(folder.path(), address, pages)?;
        until_ready(pages, folder.path()).await?;
        Ok(Self {
            scene: scene.clone(),
            account,
            other,
            dex,
            ledger,
            address,
            folder,
            process,
        })
    }

    /// Lines of the audit, once they are as expected: a line is written after the answer that it tells of, by a thread of its own.
    pub async fn audited(
        &self,
        what: &str,
        expected: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let path = self.folder.path().join("audit");
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        wait::until(what, PATIENCE, async || {
            let audit = read();
            Ok(Seen::when(expected(&audit), audit))
        })
        .await?;
        Ok(read())
    }

    /// A browser in which nobody is logged in.
    pub fn stranger(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser in which somebody has logged in.
    pub async fn login(&self, name: &str) -> anyhow::Result<Browser> {
        let mut browser = self.stranger();
        let callback = self.at_provider(&mut browser, name, "/").await?;
        let answer = browser.get(CONSOLE, &callback).await?.expect(303)?;
        ensure!(answer.location()? == "/", "led to {}", answer.location()?);
        Ok(browser)
    }

    /// As far as the way back from the provider, which is not gone yet.
    pub async fn at_provider(
        &self,
        browser: &mut Browser,
        name: &str,
        next: &str,
    ) -> anyhow::Result<String> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("next", next)
            .finish();
        let begin = browser
            .get(CONSOLE, &format!("/login?{query}"))
            .await?
            .expect(303)?
            .location()?;
        let back = self.dex.log_in(&begin, name, "password").await?;
        let (host, path) = apart(&back)?;
        ensure!(host == CONSOLE, "the provider leads to {back}");
        Ok(path)
    }

    /// The word that forms of the page send back.
    pub async fn word(&self, browser: &mut Browser) -> anyhow::Result<String> {
        let page = browser.get(CONSOLE, "/").await?.expect(200)?;
        field(&page, "csrf")
    }

    /// A DevServer of somebody in the test's own namespace, with a pod that has an editor at this address.
    pub async fn environment(
        &self,
        name: &str,
        owner: &str,
        editor: SocketAddr,
    ) -> anyhow::Result<DevServer> {
        let spec = json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": name},
            "spec": {"owner": owner, "ssh": {"mode": "Disabled"}},
        });
        let servers: Api<DevServer> = self.scene.api();
        let server = servers
            .create(&PostParams::default(), &serde_json::from_value(spec)?)
            .await?;
        let labels = json!({"devserver.io/name": name, "devserver.io/uid": server.uid()});
        let workload = json!({
            "metadata": {"name": name},
            "spec": {"serviceName": name, "replicas": 1, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "dev", "image": "x", "ports": [{"name": "http", "containerPort": editor.port()}]}]},
            }},
        });
        let workloads: Api<StatefulSet> = self.scene.api();
        workloads
            .create(&PostParams::default(), &serde_json::from_value(workload)?)
            .await?;
        let pods: Api<Pod> = self.scene.api();
        let pod = format!("{name}-0");
        wait::until("the pod is there", PATIENCE, async || {
            Ok(Seen::when(pods.get_opt(&pod).await?.is_some(), "no pod"))
        })
        .await?;
        let status = json!({"status": {"phase": "Running", "podIP": editor.ip().to_string(), "podIPs": [{"ip": editor.ip().to_string()}]}});
        pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(status))
            .await?;
        Ok(server)
    }

    /// Host of an environment of the test's own namespace.
    pub fn host(&self, name: &str) -> String {
        format!("{name}--{}.{EDITORS}", self.scene.namespace())
    }

    /// Through the console into an editor, as a browser goes.
    pub async fn enter(
        &self,
        browser: &mut Browser,
        host: &str,
        path: &str,
    ) -> anyhow::Result<Answer> {
        let (console, ask) = apart(&browser.get(host, path).await?.expect(303)?.location()?)?;
        ensure!(console == CONSOLE, "led to {console}");
        let (back, ticket) = apart(&browser.get(CONSOLE, &ask).await?.expect(303)?.location()?)?;
        ensure!(back == host, "led to {back}");
        let next = browser.get(host, &ticket).await?.expect(303)?.location()?;
        browser.get(host, &next).await
    }

    /// Waits until the console knows of the environment's editor.
    pub async fn until_known(&self, browser: &mut Browser, host: &str) -> anyhow::Result<()> {
        wait::until("the editor can be entered", PATIENCE, async || {
            // Who has come in before the editor answered need not come in again.
            let answer = match browser.get(host, "/").await {
                Ok(answer) if answer.status == StatusCode::OK => Ok(answer),
                _ => self.enter(browser, host, "/").await,
            };
            Ok(match answer {
                Ok(answer) => Seen::when(
                    answer.text == "the editor\n",
                    format!("{} {}", answer.status, answer.text),
                ),
                Err(error) => Seen::when(false, format!("{error:#}")),
            })
        })
        .await
    }
}

/// Waits until a console serves.
pub async fn until_ready(pages: SocketAddr, folder: &std::path::Path) -> anyhow::Result<()> {
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    wait::until("the console is ready", PATIENCE, async || {
        let mut browser = Browser::new(pages);
        let seen = match browser.get("pages", "/readyz").await {
            Ok(answer) => Seen::when(answer.status.is_success(), answer.text),
            Err(error) => Seen::when(false, format!("{error:#}\n{}", log())),
        };
        Ok(seen)
    })
    .await
}

/// The value of a hidden field.
pub fn field(page: &Answer, name: &str) -> anyhow::Result<String> {
    let rest = page.text.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let value = rest.and_then(|rest| rest.split('"').next());
    Ok(value
        .with_context(|| format!("the page has no field {name}: {}", page.text))?
        .to_owned())
}

fn write_files(folder: &std::path::Path, issuer: &str, more: More<'_>) -> anyhow::Result<()> {
    std::fs::write(folder.join("secret"), "shared\n")?;
    std::fs::write(folder.join("key"), [42_u8; 64])?;
    let mut config = json!({
        "consoleUrl": format!("https://{CONSOLE}"), "editorDomain": EDITORS, "sessionKeyFile": folder.join("key"), "allowSharedPorts": true,
        "adminGroups": ["ops"], "limits": {"loginsPerMinute": 100_000, "writesPerMinute": 100_000},
        "oidc": {"issuer": issuer, "clientId": "console", "clientSecretFile": folder.join("secret"), "usernameClaim": "preferred_username"},
    });
    for (key, value) in more.config {
        let value: Value = serde_json::from_str(value)?;
        config
            .as_object_mut()
            .context("no object")?
            .insert((*key).to_owned(), value);
    }
    std::fs::write(folder.join("console.yaml"), config.to_string())?;
    Ok(())
}

pub fn start(
    folder: &std::path::Path,
    address: SocketAddr,
    pages: SocketAddr,
) -> anyhow::Result<Child> {
    Command::new(binary()?)
        .args([
            "run",
            "--drain-delay=0",
            "--drain-timeout=1",
            "--log-format=text",
        ])
        .arg(format!("--serve={address}"))
        .arg(format!("--listen={pages}"))
        .arg("--config")
        .arg(folder.join("console.yaml"))
        .arg("--audit-file")
        .arg(folder.join("audit"))
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log"))?)
        .kill_on_drop(true)
        .spawn()
        .context("failed to start the console")
}

fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("DEVSERVER_CONSOLE") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test
        .parent()
        .and_then(|p| p.parent())
        .context("the test has no folder")?;
    let path = folder.join("devserver-console");
    ensure!(
        path.is_file(),
        "there is no {}; build it with `cargo build -p devserver-console`",
        path.display()
    );
    Ok(path)
}

/// How long a bound of some seconds may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);
