//! Attack G2: secrets that turn up where they do not belong.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{kubelet::Fortune, sample, with_namespace};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Event, Pod, Secret, Service},
    events::v1::Event as NewEvent,
};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

/// In the comment of the authorized key; nothing but the Secret that sshd reads has business with it.
const COMMENT: &str = "canary-7f3a9c51d2";

fn is_suspended(status: &devserver_api::DevServerStatus) -> bool {
    status.phase == Some(devserver_api::Phase::Suspended)
}

/// Pieces of the private host keys that would betray them wherever they are: the lines of their text.
async fn host_keys(rig: &Rig) -> anyhow::Result<Vec<String>> {
    let secret = rig.scene.api::<Secret>().get("workbench-host-keys").await?;
    let texts: BTreeMap<String, String> = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| Ok((name, String::from_utf8(value.0)?)))
        .collect::<anyhow::Result<_>>()?;
    let (public, private): (Vec<_>, Vec<_>) = texts
        .iter()
        .partition(|(name, _)| name.strip_suffix(".pub").is_some());
    let mut lines = Vec::new();
    for (name, text) in private {
        ensure!(text.contains("PRIVATE KEY"), "{name} is no private key");
        // A private key holds its public half too; a line that is all of it betrays nothing.
        let secret = text.lines().filter(|line| {
            !line.starts_with("-----") && !public.iter().any(|(_, half)| half.contains(line))
        });
        // The first line is the same for all keys of a kind.
        lines.extend(secret.skip(1).map(str::to_owned));
    }
    ensure!(lines.len() >= 2, "no private host keys");
    Ok(lines)
}

/// A machine's whole life with its troubles, so that the operator has reason to say much.
async fn live(rig: &Rig) -> anyhow::Result<()> {
    let scene = &rig.scene;
    let mut server = rig.sample();
    let key = sample::KEY.replace("alice@example.com", COMMENT);
    server.spec.ssh.public_key = Some(key);
    scene.create(&server).await?;
    scene.status(sample::NAME, "runs", is_running).await?;
    scene
        .patch(sample::NAME, json!({"spec": {"flavor": "none-such"}}))
        .await?;
    let invalid = |s: &_| devserver_e2e::has_reason(s, "Valid", "FlavorNotFound");
    scene.status(sample::NAME, "is invalid", invalid).await?;
    scene
        .patch(sample::NAME, json!({"spec": {"flavor": rig.small}}))
        .await?;
    rig.kubelet
        .set(Fortune::CrashLoop(1, "it broke".to_owned()));
    let fails = |s: &_| !is_running(s);
    scene.status(sample::NAME, "fails", fails).await?;
    rig.kubelet.set(Fortune::Ready);
    scene.status(sample::NAME, "runs again", is_running).await?;
    rig.operator.restart().await?;
    scene
        .patch(sample::NAME, json!({"spec": {"suspend": true}}))
        .await?;
    scene
        .status(sample::NAME, "is suspended", is_suspended)
        .await?;
    Ok(())
}

/// Everything that somebody without a right to Secrets may hear, and where.
async fn heard(rig: &Rig) -> anyhow::Result<Vec<(String, String)>> {
    let all = ListParams::default();
    let mut heard = vec![
        (
            "log".to_owned(),
            std::fs::read_to_string(rig.operator.log())?,
        ),
        (
            "events".to_owned(),
            serde_json::to_string(&rig.scene.api::<Event>().list(&all).await?.items)?,
        ),
        (
            "events.k8s.io".to_owned(),
            serde_json::to_string(&rig.scene.api::<NewEvent>().list(&all).await?.items)?,
        ),
        (
            "pods".to_owned(),
            serde_json::to_string(&rig.scene.api::<Pod>().list(&all).await?.items)?,
        ),
        (
            "config maps".to_owned(),
            serde_json::to_string(&rig.scene.api::<ConfigMap>().list(&all).await?.items)?,
        ),
        (
            "services".to_owned(),
            serde_json::to_string(&rig.scene.api::<Service>().list(&all).await?.items)?,
        ),
    ];
    let server = rig.scene.api::<DevServer>().get(sample::NAME).await?;
    heard.push(("status".to_owned(), serde_json::to_string(&server.status)?));
    for page in [
        "/metrics",
        "/metrics/environments",
        "/healthz",
        "/readyz",
        "/",
        "/debug",
        "/debug/pprof",
        "/config",
    ] {
        heard.push((page.to_owned(), rig.operator.page(page).await?));
    }
    Ok(heard)
}

#[tokio::test]
async fn g2_no_secret_is_in_logs_events_metrics_or_any_open_object() -> anyhow::Result<()> {
    with_namespace("g2", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        live(&rig).await?;
        let mut canaries = host_keys(&rig).await?;
        canaries.push(COMMENT.to_owned());
        let heard = heard(&rig).await?;
        ensure!(heard[0].1.len() > 200, "the log is empty: {}", heard[0].1);
        for (place, text) in &heard {
            for canary in &canaries {
                ensure!(!text.contains(canary), "{canary} is in {place}");
            }
        }
        // The search finds what is there: the comment is in the one Secret.
        let secret = scene
            .api::<Secret>()
            .get("workbench-authorized-keys")
            .await?;
        let keys = secret
            .data
            .unwrap_or_default()
            .remove("authorized_keys")
            .context("no keys")?;
        ensure!(
            String::from_utf8(keys.0)?.contains(COMMENT),
            "the comment is nowhere"
        );
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::default())
            .await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        let log = std::fs::read_to_string(rig.operator.log())?;
        let told = canaries.iter().find(|canary| log.contains(canary.as_str()));
        ensure!(told.is_none(), "{told:?} is in the log");
        Ok(())
    })
    .await
}
