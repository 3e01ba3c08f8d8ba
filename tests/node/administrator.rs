//! helm, kubectl and devctl as the administrator of the cluster, in the checkout.

use std::process::Command;

use anyhow::Context as _;
use devserver_e2e::programs::program;
use devserver_testkit::cluster::{KUBECONFIG, root};

use crate::machine::succeeded;

/// The program, in that namespace; an empty one: in whichever the objects have.
pub fn command(name: &str, namespace: &str) -> anyhow::Result<Command> {
    let kubeconfig = std::env::var_os(KUBECONFIG).context("no kubeconfig")?;
    let mut command = Command::new(program(name)?);
    if !namespace.is_empty() {
        command.args(["--namespace", namespace]);
    }
    command
        .current_dir(root())
        .env("KUBECONFIG", kubeconfig)
        .env("NO_COLOR", "1")
        .env_remove("SSH_AUTH_SOCK");
    Ok(command)
}

/// What it printed; it must succeed.
pub fn run(name: &str, namespace: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = command(name, namespace)?.args(words).output()?;
    succeeded(&output).with_context(|| format!("{name} {words:?}"))
}
