//! A cluster that somebody else runs: kind, k3d, minikube, a cloud. The lab is skipped and their kubeconfig is used.

use std::{env, path::PathBuf, process::Command};

use crate::{
    build, command::finish, error::Error, paths::checkout, progress::Progress, tools::Catalog,
};

/// The caller's kubeconfig: `KUBECONFIG` as it is (it may be a list), else the usual file.
pub fn kubeconfig() -> String {
    env::var("KUBECONFIG")
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| {
            let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            home.join(".kube/config").to_string_lossy().into_owned()
        })
}

/// Checks that the cluster answers and lets us in; gives its version.
pub fn check(progress: &Progress) -> Result<String, Error> {
    let kubectl = build::kubectl(&Catalog::read(&checkout()?)?, progress)?;
    let mut ask = Command::new(&kubectl);
    ask.args(["--request-timeout=10s", "get", "--raw", "/version"])
        .env("KUBECONFIG", kubeconfig());
    let text = finish(&mut ask)?;
    let version: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let version = version
        .get("gitVersion")
        .and_then(serde_json::Value::as_str);
    Ok(version.unwrap_or("of unknown version").to_owned())
}
