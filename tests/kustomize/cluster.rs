//! A control plane with nothing of ours in it, and `kubectl` for it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use devserver_testkit::cluster::{KUBECONFIG, install_crypto, root};
use k8s_openapi::{
    api::{authentication::v1::TokenRequest, core::v1::ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};

use super::PLATFORM;

/// Names the program; absent, the one on the path.
const KUBECTL: &str = "DEVSERVER_KUBECTL";

/// The control plane, as its administrator.
pub struct Fresh {
    pub client: Client,
    config: Config,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
}

/// Path of an overlay.
pub fn overlay(name: &str) -> String {
    let path = root().join("deploy/kustomize/overlays").join(name);
    path.display().to_string()
}

impl Fresh {
    /// Connects to the control plane that the environment names, which must not know our kinds.
    pub async fn connect() -> anyhow::Result<Self> {
        install_crypto();
        let kubeconfig = std::env::var_os(KUBECONFIG).with_context(|| {
            format!("{KUBECONFIG} must name a control plane of its own: bin/kubelab up --lab kustomize --size control-plane")
        })?;
        let kubeconfig = PathBuf::from(kubeconfig);
        let read = Kubeconfig::read_from(&kubeconfig)?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config.clone())?;
        let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let known = kinds.list(&ListParams::default()).await?;
        ensure!(
            known
                .items
                .iter()
                .all(|crd| crd.spec.group != "devserver.io"),
            "something of the platform is there already; this test needs a control plane of its own"
        );
        Ok(Self {
            client,
            config,
            kubeconfig,
            folder: tempfile::tempdir()?,
        })
    }

    /// Runs it as the administrator; what it printed.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(program());
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        said(
            &format!("kubectl {}", args.join(" ")),
            &command.env("HOME", self.folder.path()).output()?,
        )
    }

    /// Runs a script as a container would, with the kubeconfig of an account.
    pub fn shell(&self, script: &str, kubeconfig: &Path) -> anyhow::Result<String> {
        let folder = self.folder.path().join("bin");
        std::fs::create_dir_all(&folder)?;
        let link = folder.join("kubectl");
        if !link.exists() {
            let found = Command::new("/bin/sh")
                .args(["-c", "command -v \"$0\""])
                .arg(program())
                .output()?;
            std::os::unix::fs::symlink(said("which kubectl", &found)?.trim(), &link)?;
        }
        let path = std::env::join_paths([folder, "/usr/bin".into(), "/bin".into()])?;
        let mut command = Command::new("/bin/sh");
        command.args(["-euc", script]).env_clear().env("PATH", path);
        command
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", kubeconfig);
        said(script, &command.output()?)
    }

    /// How an account of the platform's namespace reaches the API server.
    pub async fn config_of(&self, account: &str) -> anyhow::Result<Config> {
        let mut config = self.config.clone();
        config.auth_info = AuthInfo {
            token: Some(self.token(account).await?.into()),
            ..AuthInfo::default()
        };
        Ok(config)
    }

    /// The same as a file for programs.
    pub async fn kubeconfig_of(&self, account: &str) -> anyhow::Result<PathBuf> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let token = self.token(account).await?;
        let path = self.folder.path().join(format!("{account}.kubeconfig"));
        let mut value = serde_json::to_value(&kubeconfig)?;
        if let Some(users) = value["users"].as_array_mut() {
            for user in users {
                user["user"] = serde_json::json!({ "token": token });
            }
        }
        std::fs::write(&path, value.to_string())?;
        Ok(path)
    }

    async fn token(&self, account: &str) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), PLATFORM);
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &TokenRequest::default())
            .await?;
        answer
            .status
            .and_then(|status| status.token)
            .context("the API server gave no token")
    }
}

fn program() -> OsString {
    std::env::var_os(KUBECTL).unwrap_or_else(|| "kubectl".into())
}

fn said(what: &str, output: &Output) -> anyhow::Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    ensure!(
        output.status.success(),
        "{what}: {}\n{out}\n{err}",
        output.status
    );
    Ok(out)
}
