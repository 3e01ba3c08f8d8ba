//! The programs people have beside ours, of the versions that are pinned.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use devserver_testkit::cluster::root;

/// Path of helm or kubectl: `DEVSERVER_HELM` and `DEVSERVER_KUBECTL`, else what kubelab builds on first use.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(format!("DEVSERVER_{}", name.to_uppercase())) {
        return Ok(path.into());
    }
    let kubelab = std::env::var_os("KUBELAB").unwrap_or_else(|| root().join("bin/kubelab").into());
    let made = std::process::Command::new(kubelab)
        .args(["tools", name])
        .current_dir(root())
        .output()
        .context("failed to run kubelab")?;
    let words = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "kubelab made no {name}: {words}");
    let path = String::from_utf8(made.stdout)?;
    Ok(path.lines().last().context("no path")?.trim().into())
}
