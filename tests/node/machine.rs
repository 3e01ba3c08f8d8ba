//! An ordinary user with a machine: own namespace, own credentials, own key, own home for `devctl`'s files.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use devserver_testkit::{
    Cluster,
    wait::{Seen, until},
};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Namespace, Pod, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

/// Longest wait for a machine; several start at once on two cores.
pub const START: &str = "4m";

/// An ordinary user with the tools of one.
pub struct User {
    pub client: Client,
    pub namespace: String,
    home: PathBuf,
}

impl User {
    /// Makes the namespace and the user, with no more rights than the chart's role `devserver-user`.
    pub async fn new(stem: &str) -> anyhow::Result<Self> {
        let cluster = Cluster::connect().await?;
        let client = cluster.client.clone();
        let namespace = format!("{stem}-{}", std::process::id());
        let home = std::env::temp_dir().join(format!("devserver-{namespace}"));
        std::fs::create_dir_all(home.join(".ssh"))?;
        create(
            &Api::<Namespace>::all(client.clone()),
            json!({"metadata": {"name": namespace}}),
        )
        .await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        create(&accounts, json!({"metadata": {"name": "user"}})).await?;
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &namespace);
        create(&bindings, json!({
            "metadata": {"name": "user"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "devserver-user"},
            "subjects": [{"kind": "ServiceAccount", "name": "user", "namespace": namespace}],
        }))
        .await?;
        let request = TokenRequest::default();
        let answer = accounts
            .create_token_request("user", &PostParams::default(), &request)
            .await?;
        let token = answer
            .status
            .and_then(|status| status.token)
            .context("the API server gave no token")?;
        let user = Self {
            client,
            namespace,
            home,
        };
        user.write_kubeconfig(&cluster, &token)?;
        user.run(
            "ssh-keygen",
            ["-q", "-t", "ed25519", "-N", "", "-f", &user.key()],
        )?;
        flavor(&user.client).await?;
        Ok(user)
    }

    fn write_kubeconfig(&self, cluster: &Cluster, token: &str) -> anyhow::Result<()> {
        let admin: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(
            std::env::var("DEVSERVER_TEST_KUBECONFIG")?,
        )?)?;
        let mut server = admin["clusters"][0]["cluster"].clone();
        server["server"] = json!(cluster.config.cluster_url.to_string());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": server}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user", "namespace": self.namespace}}],
        });
        std::fs::write(
            self.home.join("kubeconfig"),
            serde_json::to_string(&config)?,
        )?;
        Ok(())
    }

    /// Private key of the user.
    pub fn key(&self) -> String {
        self.home.join(".ssh/id").display().to_string()
    }

    /// A file of the user's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Runs `devctl` and returns what came of it, good or bad.
    pub fn devctl<I: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> anyhow::Result<Output> {
        self.output(Command::new(program()?).args(arguments))
    }

    /// Creates a machine and waits until it runs.
    pub fn create(&self, name: &str, more: &[&str]) -> anyhow::Result<()> {
        self.create_of("node-test", name, more)
    }

    /// The same of another flavor.
    pub fn create_of(&self, flavor: &str, name: &str, more: &[&str]) -> anyhow::Result<()> {
        let key = self.key() + ".pub";
        let mut arguments = vec![
            "create",
            name,
            "--flavor",
            flavor,
            "--home-size",
            "64Mi",
            "--ssh-public-key-file",
            &key,
            "--wait",
            "--timeout",
            START,
        ];
        arguments.extend(more);
        succeeded(&self.devctl(arguments)?)?;
        Ok(())
    }

    /// Runs a command in the machine through `devctl ssh`.
    pub fn ssh(&self, name: &str, command: &str) -> anyhow::Result<Output> {
        let key = self.key();
        self.devctl([
            "ssh",
            name,
            "-i",
            &key,
            "-o",
            "IdentitiesOnly=yes",
            "--",
            command,
        ])
    }

    /// What a command in the machine prints.
    pub fn says(&self, name: &str, command: &str) -> anyhow::Result<String> {
        succeeded(&self.ssh(name, command)?)
    }

    /// The same through the API server.
    pub fn says_by_api(&self, name: &str, command: &str) -> anyhow::Result<String> {
        let mut devctl = Command::new(program()?);
        let key = self.key();
        let words = ["ssh", name, "-i", &key, "-o", "IdentitiesOnly=yes", "--"];
        devctl.args(words).arg(command).env("DEVCTL_SSH_VIA", "api");
        succeeded(&self.output(&mut devctl)?)
    }

    /// The ssh configuration that `devctl` wrote for the machine, and the host name in it.
    pub fn ssh_config(&self, name: &str) -> anyhow::Result<(PathBuf, String)> {
        succeeded(&self.devctl(["config", "ssh-refresh"])?)?;
        let folder = self.home.join("devctl").join("ssh");
        let host = format!("{name}.{}.devserver", self.namespace);
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("no folder {}", folder.display()))?
        {
            let path = entry?.path();
            let is_config = path.extension().is_some_and(|e| e == "config");
            if is_config && std::fs::read_to_string(&path)?.contains(&host) {
                return Ok((path, host));
            }
        }
        bail!(
            "devctl wrote no configuration for {host} into {}",
            folder.display()
        )
    }

    /// Runs any program as the user; it must succeed.
    pub fn run<I: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = I>,
    ) -> anyhow::Result<String> {
        succeeded(&self.output(Command::new(program).args(arguments))?)
    }

    /// Runs `devctl` with somebody who types the text.
    pub fn types<I: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
        text: &str,
    ) -> anyhow::Result<Output> {
        let typed = self.file("typed");
        std::fs::write(&typed, text)?;
        let mut command = Command::new(program()?);
        let output = self
            .prepare(command.args(arguments))
            .stdin(std::fs::File::open(typed)?)
            .output();
        output.with_context(|| format!("failed to run {command:?}"))
    }

    /// What somebody sees who logs in with a terminal and leaves at once.
    pub fn greeting(&self, name: &str) -> anyhow::Result<String> {
        let key = self.key();
        let shell = self.types(
            ["ssh", name, "-tt", "-i", &key, "-o", "LogLevel=ERROR"],
            "exit\n",
        )?;
        Ok(String::from_utf8_lossy(&shell.stdout).into_owned())
    }

    /// Suspends a machine, waits until its pod is gone, and resumes it.
    pub async fn suspend_and_resume(&self, name: &str) -> anyhow::Result<()> {
        succeeded(&self.devctl(["suspend", name])?)?;
        let (pods, pod) = (self.api::<Pod>(), format!("{name}-0"));
        until("no pod", Duration::from_mins(1), async || {
            Ok(Seen::when(pods.get_opt(&pod).await?.is_none(), "a pod"))
        })
        .await?;
        succeeded(&self.devctl(["resume", name, "--wait", "--timeout", START])?)?;
        Ok(())
    }

    /// Runs any command as the user.
    pub fn output(&self, command: &mut Command) -> anyhow::Result<Output> {
        let output = self.prepare(command).stdin(Stdio::null()).output();
        output.with_context(|| format!("failed to run {command:?}"))
    }

    /// The environment of the user, and nothing of whoever runs the tests.
    pub fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("HOME", &self.home)
            .env("KUBECONFIG", self.home.join("kubeconfig"))
            .env("DEVCTL_CONFIG_DIR", self.home.join("devctl"))
            .env("NO_COLOR", "1")
            .env_remove("SSH_AUTH_SOCK")
    }

    /// An API of the user's namespace, with the administrator's rights.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the machine answers again.
    pub async fn answers(&self, name: &str) -> anyhow::Result<()> {
        until("the machine answers", Duration::from_mins(2), async || {
            let output = self.ssh(name, "true")?;
            Ok(Seen::when(
                output.status.success(),
                String::from_utf8_lossy(&output.stderr),
            ))
        })
        .await
    }

    /// Removes everything.
    pub async fn leave(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if let Err(error) = namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await
        {
            eprintln!("failed to remove {}: {error}", self.namespace);
        }
        let _ = std::fs::remove_dir_all(Path::new(&self.home));
    }
}

/// The `devctl` to test.
pub fn program() -> anyhow::Result<OsString> {
    std::env::var_os("DEVSERVER_DEVCTL")
        .context("DEVSERVER_DEVCTL does not name the devctl to test")
}

/// What the program printed; an error with both outputs when it failed.
pub fn succeeded(output: &Output) -> anyhow::Result<String> {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "ended with {}\nstdout: {out}\nstderr: {err}",
        output.status
    );
    Ok(out.trim_end().to_owned())
}

async fn create<K>(api: &Api<K>, object: serde_json::Value) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

/// A flavor small enough for many machines on one node.
async fn flavor(client: &Client) -> anyhow::Result<()> {
    let flavors: Api<devserver_api::DevServerFlavor> = Api::all(client.clone());
    let made = create(&flavors, json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "node-test"},
        "spec": {"resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}}},
    }))
    .await;
    match made {
        Err(error) if !error.to_string().contains("already exists") => Err(error),
        _ => Ok(()),
    }
}
