//! What the way through the console costs a person who waits for their editor.

use std::net::IpAddr;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, Phase};
use devserver_testkit::{
    port,
    scene::PATIENCE,
    wait::{Seen, until},
};
use k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    client::Client,
    site::{CONSOLE, EDITORS, Site},
};

const SERVER: &str = "figures";
const NAMESPACE: &str = "dev-alice";
/// code-server's port, as the environment declares it.
const PORT: u16 = 8080;
const ROUNDS: usize = 7;
/// Goal of the way through the console, against direct.
const MOST: f64 = 1.2;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: it measures"]
async fn an_editor_is_usable_through_the_console_nearly_as_soon_as_directly() -> anyhow::Result<()>
{
    let client = Client::new()?;
    let site = Site::new().await?;
    let pod = environment(&site).await?;
    let direct = format!("http://{pod}:{PORT}/");
    let settings = json!({
        "console": format!("https://{CONSOLE}"),
        "address": site.address.to_string(),
        "certificate": site.certificate,
        "password": "password",
        "pictures": tempfile::tempdir()?.path().display().to_string(),
        "direct": direct,
        "through": format!("https://{SERVER}--{NAMESPACE}.{EDITORS}/"),
        "rounds": ROUNDS,
        // An editor needs what browsers give to secure origins only; directly it speaks plain HTTP.
        "arguments": [format!("--unsafely-treat-insecure-origin-as-secure={direct}")],
    });
    let found = tokio::task::spawn_blocking(move || client.run("figures.mjs", &settings)).await??;
    ensure!(found["ended"] == true, "{}", found["error"]);
    let (direct, through) = (median(&found["direct"])?, median(&found["console"])?);
    println!(
        "usable after, s: direct {direct:.2}, through the console {through:.2}, ratio {:.2}; {found}",
        through / direct
    );
    let servers: Api<DevServer> = Api::namespaced(site.client.clone(), NAMESPACE);
    servers.delete(SERVER, &DeleteParams::background()).await?;
    ensure!(through <= MOST * direct, "{found}");
    Ok(())
}

/// An environment with an editor that this machine may reach directly, too; the address of its pod.
async fn environment(site: &Site) -> anyhow::Result<IpAddr> {
    let params = PatchParams::apply("browser-test").force();
    let server = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": SERVER},
        "spec": {"owner": "alice", "flavor": "cpu-small", "ssh": {"mode": "Disabled"}, "editor": {"enabled": true}},
    });
    let servers: Api<DevServer> = Api::namespaced(site.client.clone(), NAMESPACE);
    servers
        .patch(SERVER, &params, &Patch::Apply(server))
        .await?;
    let here = port::address_towards(site.address.ip())?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "figures-direct"},
        "spec": {
            "podSelector": {"matchLabels": {"devserver.io/name": SERVER}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": format!("{here}/32")}}], "ports": [{"port": PORT}]}],
        },
    });
    let policies: Api<NetworkPolicy> = Api::namespaced(site.client.clone(), NAMESPACE);
    policies
        .patch("figures-direct", &params, &Patch::Apply(policy))
        .await?;
    until("the environment runs", PATIENCE, async || {
        let status = servers.get(SERVER).await?.status.unwrap_or_default();
        Ok(Seen::when(
            status.phase == Some(Phase::Running),
            format!("{status:?}"),
        ))
    })
    .await?;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), NAMESPACE);
    let status = pods.get(&format!("{SERVER}-0")).await?.status;
    let address = status
        .and_then(|s| s.pod_ip)
        .context("the pod has no address")?;
    Ok(address.parse()?)
}

fn median(seconds: &Value) -> anyhow::Result<f64> {
    let mut all: Vec<f64> = serde_json::from_value(seconds.clone())?;
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2)
        .copied()
        .context("nothing was measured")
}
