//! Namespaces and DevServers to measure with.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use devserver_api::{DevServer, DevServerFlavor};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

/// A namespace that is removed at the end.
pub async fn namespace(client: &Client, name: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let wanted = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    api.create(&PostParams::default(), &wanted)
        .await
        .with_context(|| format!("failed to create namespace {name}"))?;
    Ok(())
}

/// Removes a namespace and waits until it is gone: its garbage collection must not slow what is measured next.
pub async fn remove(client: &Client, name: &str) {
    let api: Api<Namespace> = Api::all(client.clone());
    if let Err(error) = api.delete(name, &DeleteParams::background()).await {
        eprintln!("failed to remove namespace {name}: {error}");
        return;
    }
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_mins(2) {
        if matches!(api.get_opt(name).await, Ok(None)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    eprintln!("namespace {name} was not gone after two minutes");
}

/// The flavor all measurements use; not the default one.
pub async fn flavor(client: &Client) -> Result<&'static str> {
    const NAME: &str = "bench-small";
    let api: Api<DevServerFlavor> = Api::all(client.clone());
    if api.get_opt(NAME).await?.is_none() {
        let flavor = serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": NAME},
            "spec": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}},
        }))?;
        api.create(&PostParams::default(), &flavor).await?;
    }
    Ok(NAME)
}

/// A DevServer as a user would ask for it.
pub fn server(name: &str, flavor: &str, key: &str) -> Result<DevServer> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": name},
        "spec": {"owner": "bench@example.com", "flavor": flavor, "ssh": {"publicKey": key},
                 "persistentHomeSize": "1Gi", "lifecycle": {"volumeRetention": "Delete"}},
    }))?)
}

/// Waits until as many DevServers as named satisfy the condition.
pub async fn wait_for(
    client: &Client,
    namespace: &str,
    count: usize,
    deadline: Duration,
    holds: impl Fn(&DevServer) -> bool,
) -> Result<()> {
    let api: Api<DevServer> = Api::namespaced(client.clone(), namespace);
    let started = std::time::Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await?;
        let done = all.items.iter().filter(|s| holds(s)).count();
        if done >= count {
            return Ok(());
        }
        if started.elapsed() > deadline {
            bail!(
                "only {done} of {count} DevServers were there after {} s",
                deadline.as_secs()
            );
        }
        // Not often: listing hundreds of objects costs the API server more than it takes to write some.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}
