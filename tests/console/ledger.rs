//! An operator that counts usage in the test's own namespace, and the console's way to its reports.

use std::path::Path;

use anyhow::Context as _;
use devserver_api::usage::AUDIENCE;
use devserver_testkit::{Operator, Scene, chart, operator::Settings};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::rights::ACCOUNT;

/// Starts it, and tells the console of it: in the configuration that lies in the folder.
pub async fn start(scene: &Scene, config: String, folder: &Path) -> anyhow::Result<Operator> {
    let settings = Settings {
        config: Some(config),
        identity: "ledger".to_owned(),
        ..Settings::alone(scene.namespace())
    };
    let operator = scene.operator_with(&settings).await?;
    let token = folder.join("usage-token");
    std::fs::write(&token, own_token(&scene.client()).await?)?;
    let file = folder.join("console.yaml");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let port = operator.usage_address()?.port();
    let usage = json!({"url": format!("http://127.0.0.1:{port}"), "tokenFile": token});
    config
        .as_object_mut()
        .context("no object")?
        .insert("usage".to_owned(), usage);
    std::fs::write(file, config.to_string())?;
    Ok(operator)
}

/// A token as the kubelet puts it into the console's pod.
pub async fn own_token(client: &Client) -> anyhow::Result<String> {
    let accounts = Api::namespaced(client.clone(), chart::NAMESPACE);
    token(&accounts, ACCOUNT).await
}

/// A token of a ServiceAccount for reports of usage.
pub async fn token(accounts: &Api<ServiceAccount>, name: &str) -> anyhow::Result<String> {
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(vec![AUDIENCE.to_owned()]),
            expiration_seconds: Some(3_600),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let given = accounts
        .create_token_request(name, &PostParams::default(), &wanted)
        .await?;
    let token = given.status.and_then(|status| status.token);
    token.context("no token")
}
