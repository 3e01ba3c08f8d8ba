//! `devctl usage`: through the API server's service proxy, with the rights of the Role and with none less.

use std::{net::UdpSocket, process::Output};

use anyhow::{Context as _, ensure};
use devserver_api::usage::{PORT, SERVICE};
use devserver_testkit::{
    Scene, devctl,
    operator::Settings,
    users::{self, User},
    with_namespace,
};
use k8s_openapi::api::{
    core::v1::{Endpoints, Pod, Service, ServiceAccount},
    rbac::v1::PolicyRule,
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

/// The rules of the Role `devserver-usage-reader`, as the chart has them.
fn reader() -> anyhow::Result<Vec<PolicyRule>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../charts/devserver-platform/templates/usage/rbac.yaml"
    );
    let text = std::fs::read_to_string(path)?;
    let role = text
        .split("name: devserver-usage-reader")
        .nth(1)
        .context("no Role")?;
    let rules = role
        .split("rules:")
        .nth(1)
        .and_then(|rest| rest.split("{{").next())
        .context("no rules")?;
    let rules: Vec<PolicyRule> = serde_saphyr::from_str(rules)?;
    ensure!(rules.len() == 2, "{rules:?}");
    Ok(rules)
}

/// The address of this machine at which the API server reaches what listens here.
fn own_address(scene: &Scene) -> anyhow::Result<String> {
    let uri = &scene.cluster().config.cluster_url;
    let (host, port) = (
        uri.host().context("no host")?,
        uri.port_u16().unwrap_or(443),
    );
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((host, port))?;
    Ok(socket.local_addr()?.ip().to_string())
}

/// A Service that leads to the operator of the test, as the chart's leads to its pods.
async fn service(scene: &Scene, port: u16) -> anyhow::Result<()> {
    let params = PostParams::default();
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": SERVICE}}))?;
    scene.api().create(&params, &account).await?;
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": SERVICE}, "spec": {"ports": [{"name": "usage", "port": PORT}]},
    }))?;
    scene.api().create(&params, &service).await?;
    // The proxy goes to addresses of pods only.
    let address = own_address(scene)?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": SERVICE}, "spec": {"containers": [{"name": "operator", "image": "x"}]},
    }))?;
    scene.api().create(&params, &pod).await?;
    let status =
        json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}});
    scene
        .api::<Pod>()
        .patch_status(SERVICE, &PatchParams::default(), &Patch::Merge(status))
        .await?;
    let target = json!({"kind": "Pod", "namespace": scene.namespace(), "name": SERVICE});
    let endpoints: Endpoints = serde_json::from_value(json!({
        "metadata": {"name": SERVICE},
        "subsets": [{"addresses": [{"ip": address, "targetRef": target}], "ports": [{"name": "usage", "port": port}]}],
    }))?;
    scene.api().create(&params, &endpoints).await?;
    Ok(())
}

fn said(output: &Output) -> String {
    format!(
        "{:?}: {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn devctl_usage_reads_reports_with_the_role_of_the_chart_and_with_no_less()
-> anyhow::Result<()> {
    with_namespace("devctl usage", async |scene| {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ledger.db");
        let config = format!("usage: {{databaseFile: {}, currency: EUR}}", path.display());
        let settings = Settings {
            config: Some(config),
            ..Settings::alone(scene.namespace())
        };
        let operator = scene.operator_with(&settings).await?;
        service(&scene, operator.usage_address()?.port()).await?;
        let rules = reader()?;
        let finance = users::user(&scene, "finance", rules.clone()).await?;
        let usage = async |user: &User, more: &[&str]| {
            let mut words = vec!["usage", "--platform-namespace", scene.namespace()];
            words.extend(more);
            devctl::run(&scene, user, &words).await
        };
        for (form, word) in [
            ("table", "TEAM"),
            ("csv", "totalCost"),
            ("json", "\"currency\": \"EUR\""),
            ("opencost", "\"status\": \"success\""),
        ] {
            let output = usage(&finance, &["-o", form]).await?;
            ensure!(
                output.status.success() && said(&output).contains(word),
                "{form}: {}",
                said(&output)
            );
        }
        // Each right is needed: without one of them nothing is told, and the remedy is.
        for (name, rights) in [
            ("nobody", users::developer()),
            ("proxy-only", rules.iter().skip(1).cloned().collect()),
            ("token-only", rules.iter().take(1).cloned().collect()),
        ] {
            let user = users::user(&scene, name, rights).await?;
            let output = usage(&user, &[]).await?;
            let text = said(&output);
            ensure!(
                output.status.code() == Some(4) && text.contains("devserver-usage-reader"),
                "{name}: {text}"
            );
        }
        let output = usage(
            &finance,
            &["--since", "2020-01-01", "--until", "2019-01-01"],
        )
        .await?;
        ensure!(output.status.code() == Some(2), "{}", said(&output));
        Ok(())
    })
    .await
}
