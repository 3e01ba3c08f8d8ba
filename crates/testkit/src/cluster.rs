//! The control plane the tests run against, and the custom resources in it.

use std::{fs::File, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions, wait::await_condition},
};
use tokio::sync::OnceCell;

/// Names the kubeconfig of the control plane's administrator.
pub const KUBECONFIG: &str = "DEVSERVER_TEST_KUBECONFIG";

const MISSING: &str = "DEVSERVER_TEST_KUBECONFIG is not set, so there is no control plane to test against. \
    Run `make test`, or start one and say where it is:\n  \
    bin/kubelab up --lab ring2 --size control-plane\n  \
    export DEVSERVER_TEST_KUBECONFIG=/run/kubelab/ring2/admin.kubeconfig";

static CRDS: OnceCell<()> = OnceCell::const_new();

/// A real control plane, reached as its administrator and without faults.
#[derive(Clone)]
pub struct Cluster {
    /// Direct client.
    pub client: Client,
    /// What the client was made of; a fault proxy is made of the same.
    pub config: Config,
}

impl Cluster {
    /// Connects to the control plane that [`KUBECONFIG`] names, and makes sure that it knows our kinds.
    pub async fn connect() -> anyhow::Result<Self> {
        install_crypto();
        let path = std::env::var_os(KUBECONFIG)
            .filter(|p| !p.is_empty())
            .map(PathBuf::from);
        let Some(path) = path else { bail!(MISSING) };
        let kubeconfig = Kubeconfig::read_from(&path)
            .with_context(|| format!("failed to read {}\n{MISSING}", path.display()))?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config.clone())?;
        CRDS.get_or_try_init(|| install_crds(client.clone()))
            .await?;
        Ok(Self { client, config })
    }
}

/// Installs the one TLS provider; a second call changes nothing.
pub fn install_crypto() {
    // An error says that another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The committed definitions of our kinds, as the chart installs them.
pub fn committed_crds() -> anyhow::Result<Vec<CustomResourceDefinition>> {
    let folder = crds_folder();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder)
        .with_context(|| format!("failed to read {}", folder.display()))?
    {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let crd = serde_saphyr::from_str(&text)
            .with_context(|| format!("failed to understand {}", path.display()))?;
        found.push(crd);
    }
    Ok(found)
}

/// Folder of the committed definitions.
pub fn crds_folder() -> PathBuf {
    root().join("charts/devserver-platform/crds")
}

/// Root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn install_crds(client: Client) -> anyhow::Result<()> {
    // Test binaries may run side by side; two that install different versions at once would confuse both.
    let lock = std::env::temp_dir().join("devserver-testkit-crds.lock");
    let lock = File::create(&lock).with_context(|| format!("failed to open {}", lock.display()))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let params = PatchParams::apply("devserver-testkit").force();
    for crd in committed_crds()? {
        let name = crd.name_any();
        api.patch(&name, &params, &Patch::Apply(&crd))
            .await
            .with_context(|| format!("failed to install {name}"))?;
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(Duration::from_secs(30), established)
            .await
            .with_context(|| format!("{name} was not established within 30 s"))??;
    }
    drop(lock);
    Ok(())
}
