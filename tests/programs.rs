//! The programs people have beside ours, of the versions that are pinned.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use devserver_testkit::cluster::{KUBECONFIG, root};
use serde_json::Value;

/// Path of helm or kubectl: `DEVSERVER_HELM` and `DEVSERVER_KUBECTL`, else what kubelab builds on first use.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(format!("DEVSERVER_{}", name.to_uppercase())) {
        return Ok(path.into());
    }
    let kubelab = std::env::var_os("KUBELAB").unwrap_or_else(|| root().join("bin/kubelab").into());
    let made = Command::new(kubelab)
        .args(["tools", name])
        .current_dir(root())
        .output()
        .context("failed to run kubelab")?;
    let words = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "kubelab made no {name}: {words}");
    let path = String::from_utf8(made.stdout)?;
    Ok(path.lines().last().context("no path")?.trim().into())
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("failed to run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The kubeconfig of the tests, and the lab that has it.
fn lab() -> anyhow::Result<(PathBuf, String)> {
    let kubeconfig = PathBuf::from(std::env::var_os(KUBECONFIG).context("there is no kubeconfig")?);
    let lab = kubeconfig.parent().and_then(Path::file_name);
    let lab = lab.context("no lab has that kubeconfig")?.to_string_lossy();
    let lab = lab.into_owned();
    Ok((kubeconfig, lab))
}

/// Builds images and loads them into the lab.
pub fn load_images(images: &[&str]) -> anyhow::Result<()> {
    let (_, lab) = lab()?;
    let mut kubelab = Command::new(root().join("bin/kubelab"));
    run(kubelab.args(["images", "load", "--lab", &lab]).args(images))
}

/// The platform with these values on top, by the very script of `make up`, so that nothing else changes.
pub fn install_platform(values: &Value) -> anyhow::Result<()> {
    let (kubeconfig, lab) = lab()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values.to_string())?;
    let mut platform = Command::new(root().join("hack/platform.sh"));
    platform.args(["--lab", &lab]).env("VALUES", &file);
    run(platform.env("KUBECONFIG", &kubeconfig))
}
