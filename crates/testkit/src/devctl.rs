//! The real `devctl` binary, as a user of the scene runs it.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use kube::config::{Kubeconfig, NamedAuthInfo};
use tokio::process::Command;

use crate::{Scene, binary, users::User};

/// Names the devctl binary; absent, the one that cargo built next to the test.
pub const BINARY: &str = "DEVSERVER_DEVCTL";
/// Longest run.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs it in the scene's namespace with the user's credentials and a home of its own.
pub async fn run(scene: &Scene, user: &User, arguments: &[&str]) -> anyhow::Result<Output> {
    let home = tempfile::tempdir()?;
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, text(scene, user)?)?;
    let binary = binary::find(BINARY, "devctl")?;
    let running = Command::new(&binary)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("KUBECONFIG", &kubeconfig)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, running)
        .await
        .with_context(|| format!("devctl {arguments:?} does not end"))?
        .with_context(|| format!("failed to run {}", binary.display()))
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
