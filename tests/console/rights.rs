//! The console's account as the chart makes it, and ways to be it.

use anyhow::{Context as _, ensure};
use devserver_testkit::{Cluster, chart, cluster::root};
use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{
    Api, Client, ResourceExt as _,
    api::PostParams,
    config::{AuthInfo, Kubeconfig},
    core::DynamicObject,
};

/// Account of the console in the chart.
pub const ACCOUNT: &str = "devserver-console";

/// What the chart installs for the console, from its committed rendering.
pub async fn install_rights(client: Client) -> anyhow::Result<()> {
    chart::install_namespace(&client).await?;
    let path = root().join("charts/devserver-platform/tests/golden-console.yaml");
    let all: Vec<DynamicObject> = serde_saphyr::from_multiple(&std::fs::read_to_string(path)?)?;
    let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"];
    let is_due = |o: &DynamicObject| {
        kinds.contains(&chart::kind_of(o))
            && (o.name_any().starts_with(ACCOUNT) || o.name_any() == "devserver-admin")
    };
    let due: Vec<_> = all.iter().filter(|o| is_due(o)).collect();
    ensure!(
        due.len() >= 4,
        "the chart has only {} objects of the console",
        due.len()
    );
    for object in due {
        chart::install(&client, object).await?;
    }
    Ok(())
}

/// A token of the console's account.
async fn token(client: &Client) -> anyhow::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), chart::NAMESPACE);
    let (params, request) = (PostParams::default(), TokenRequest::default());
    let asked = accounts.create_token_request(ACCOUNT, &params, &request);
    let status = asked.await?.status;
    status.and_then(|status| status.token).context("no token")
}

/// The way to the control plane with such a token.
pub async fn kubeconfig(client: &Client) -> anyhow::Result<String> {
    let token = token(client).await?;
    let path =
        std::env::var_os(devserver_testkit::cluster::KUBECONFIG).context("no control plane")?;
    let mut config = Kubeconfig::read_from(path)?;
    for user in &mut config.auth_infos {
        user.auth_info = Some(AuthInfo {
            token: Some(token.clone().into()),
            ..AuthInfo::default()
        });
    }
    // JSON is YAML.
    Ok(serde_json::to_string(&config)?)
}

/// A client with the console's own rights.
pub async fn own_client(cluster: &Cluster, client: &Client) -> anyhow::Result<kube::Config> {
    let token = token(client).await?;
    let mut config = cluster.config.clone();
    config.auth_info = AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    };
    Ok(config)
}
