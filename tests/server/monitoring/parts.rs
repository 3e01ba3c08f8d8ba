//! The gateway and the console, as far as their metrics go: the real programs, with nobody who uses them.

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context as _, ensure};
use devserver_testkit::{
    cluster::KUBECONFIG,
    port::free_address,
    scene::PATIENCE,
    wait::{self, Seen},
};
use serde_json::json;
use tokio::process::{Child, Command};

use super::prometheus::get;

/// Both, until they are dropped.
pub struct Parts {
    /// Where the gateway's metrics are.
    pub gateway: SocketAddr,
    /// Where the console's are.
    pub console: SocketAddr,
    _processes: [Child; 2],
}

impl Parts {
    pub async fn start(namespace: &str, folder: &Path) -> anyhow::Result<Self> {
        let (gateway, console) = (free_address()?, free_address()?);
        let of_gateway = run(
            "devserver-gateway",
            "DEVSERVER_GATEWAY",
            folder,
            &[
                format!("--ssh={}", free_address()?),
                format!("--listen={gateway}"),
                format!("--watch-namespace={namespace}"),
                format!("--host-key-secret={namespace}/gateway-host-keys"),
                format!("--audit-file={}", folder.join("gateway.audit").display()),
            ],
        )?;
        let config = json!({
            "consoleUrl": "https://console.example.test", "editorDomain": "editors.example.test", "sessionKeyFile": folder.join("session-key"),
            "adminGroups": [], "trustedProxies": ["127.0.0.1/32"], "forwardAuth": {"userHeader": "X-User"},
        });
        std::fs::write(folder.join("session-key"), [7_u8; 64])?;
        std::fs::write(folder.join("console.yaml"), config.to_string())?;
        let of_console = run(
            "devserver-console",
            "DEVSERVER_CONSOLE",
            folder,
            &[
                format!("--serve={}", free_address()?),
                format!("--listen={console}"),
                format!("--watch-namespace={namespace}"),
                format!("--config={}", folder.join("console.yaml").display()),
                format!("--audit-file={}", folder.join("console.audit").display()),
            ],
        )?;
        for (name, pages) in [
            ("devserver-gateway", gateway),
            ("devserver-console", console),
        ] {
            let log = folder.join(format!("{name}.log"));
            wait::until(&format!("{name} is ready"), PATIENCE, async || {
                let ready = get(pages, "/readyz").await;
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                Ok(Seen::when(ready.is_ok(), format!("{ready:?}\n{log}")))
            })
            .await?;
        }
        Ok(Self {
            gateway,
            console,
            _processes: [of_gateway, of_console],
        })
    }
}

fn run(name: &str, variable: &str, folder: &Path, arguments: &[String]) -> anyhow::Result<Child> {
    let beside = || -> anyhow::Result<std::path::PathBuf> {
        let test = std::env::current_exe()?;
        let built = test
            .parent()
            .and_then(Path::parent)
            .context("the test has no folder")?;
        Ok(built.join(name))
    };
    let binary = std::env::var_os(variable).map_or_else(beside, |path| Ok(path.into()))?;
    ensure!(
        binary.is_file(),
        "there is no {}; build it with `cargo build -p {name}`",
        binary.display()
    );
    let cluster = std::env::var_os(KUBECONFIG).context("no control plane")?;
    Command::new(&binary)
        .arg("run")
        .args(arguments)
        .env("KUBECONFIG", cluster)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join(format!("{name}.log")))?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {}", binary.display()))
}
