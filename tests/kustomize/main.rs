//! Document 004 by one command (S4-5): `kubectl apply -k` into a cluster that knows nothing of us. That needs a control plane of its
//! own, because what is applied is there once in a cluster.
#![allow(clippy::indexing_slicing)]

mod cluster;

use anyhow::{Context as _, ensure};
use cluster::{Fresh, overlay};
use devserver_api::DevServer;
use devserver_e2e::is_running;
use devserver_testkit::{
    Operator,
    kubelet::{Fortune, Kubelet},
    operator::Settings,
    scene,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim},
    networking::v1::NetworkPolicy,
    rbac::v1::RoleBinding,
};
use kube::Api;
use serde_json::Value;

const PLATFORM: &str = "devserver-system";
const SETUP: &str = "devserver-setup";
const PLACE: &str = "coder";
const NAME: &str = "ide";

/// All in one test, because each step stands on the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_gives_the_setup_of_document_004() -> anyhow::Result<()> {
    let fresh = Fresh::connect().await?;
    let plain = overlay("plain");
    fresh.kubectl(&["apply", "-k", &plain])?;
    applied_again_nothing_changes(&fresh, &plain)?;

    runs_the_job(&fresh).await?;
    may_nothing_else(&fresh)?;
    let folder = tempfile::tempdir()?;
    let operator = operator(&fresh, folder.path()).await?;
    let _kubelet = Kubelet::start(&fresh.client, PLACE, Fortune::Ready);
    let servers: Api<DevServer> = Api::namespaced(fresh.client.clone(), PLACE);
    scene::status(&servers, NAME, "runs", is_running).await?;
    is_that_of_document_004(&fresh).await?;
    drop(operator);

    for other in ["kind", "oauth-ingress"] {
        fresh.kubectl(&["apply", "--dry-run=server", "-k", &overlay(other)])?;
    }
    behind_oauth(&fresh)
}

/// kubectl sends what these kinds say anew each time, and calls that a change; their generation says that it is none.
const SENT_ANYWAY: [&str; 2] = ["poddisruptionbudget.", "validatingadmissionpolicy."];

fn applied_again_nothing_changes(fresh: &Fresh, overlay: &str) -> anyhow::Result<()> {
    let generations = || {
        let told = fresh.kubectl(&["get", "-k", overlay, "-o", "json"])?;
        let told: Value = serde_json::from_str(&told)?;
        let items = told["items"].as_array().context("no items")?;
        let of = |item: &Value| {
            let metadata = &item["metadata"];
            let name = format!("{} {}", item["kind"], metadata["name"]);
            (name, metadata["generation"].as_i64())
        };
        anyhow::Ok(items.iter().map(of).collect::<Vec<_>>())
    };
    let before = generations()?;
    let again = fresh.kubectl(&["apply", "-k", overlay])?;
    let changed: Vec<&str> = again
        .lines()
        .filter(|l| !l.ends_with(" unchanged"))
        .filter(|l| !SENT_ANYWAY.iter().any(|kind| l.starts_with(kind)))
        .collect();
    ensure!(changed.is_empty(), "applied again, it changes {changed:?}");
    let after = generations()?;
    ensure!(before == after, "before {before:?}, after {after:?}");
    Ok(())
}

/// What its container does, with the rights that it has and the files that it is given: only the image is not tried here.
async fn runs_the_job(fresh: &Fresh) -> anyhow::Result<()> {
    let jobs: Api<Job> = Api::namespaced(fresh.client.clone(), PLATFORM);
    let pod = jobs.get(SETUP).await?.spec.and_then(|s| s.template.spec);
    let pod = pod.context("the Job has no pod")?;
    ensure!(
        pod.service_account_name.as_deref() == Some(SETUP),
        "another account"
    );
    let container = pod.containers.into_iter().next().context("no container")?;
    let script = container
        .args
        .and_then(|mut args| args.pop())
        .context("no script")?;
    let maps: Api<ConfigMap> = Api::namespaced(fresh.client.clone(), PLATFORM);
    let files = maps.get(SETUP).await?.data.context("no files")?;
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text)?;
    }
    let mounted = container.volume_mounts.unwrap_or_default();
    ensure!(
        mounted
            .iter()
            .any(|m| m.mount_path == "/etc/devserver-setup"),
        "{mounted:?}"
    );
    let script = script.replace("/etc/devserver-setup", &folder.path().display().to_string());
    let kubeconfig = fresh.kubeconfig_of(SETUP).await?;
    // Twice: a Job that was interrupted begins anew.
    for _ in 0..2 {
        fresh.shell(&script, &kubeconfig)?;
    }
    Ok(())
}

/// Its rights are for these two objects.
fn may_nothing_else(fresh: &Fresh) -> anyhow::Result<()> {
    let account = format!("--as=system:serviceaccount:{PLATFORM}:{SETUP}");
    for question in [
        ["delete", "devservers.devserver.io/ide", "-n", PLACE],
        ["create", "devservers.devserver.io", "-n", "default"],
        ["patch", "devservers.devserver.io/other", "-n", PLACE],
        ["patch", "devserverflavors.devserver.io/other", "-n", PLACE],
        ["create", "pods", "-n", PLACE],
        ["get", "secrets", "-n", PLATFORM],
        [
            "create",
            "rolebindings.rbac.authorization.k8s.io",
            "-n",
            PLACE,
        ],
    ] {
        let mut args = vec!["auth", "can-i", &account];
        args.extend(question);
        let answer = fresh.kubectl(&args);
        ensure!(answer.is_err(), "the Job's account may {question:?}");
    }
    Ok(())
}

/// The operator with the rights and the configuration that were applied.
async fn operator(fresh: &Fresh, folder: &std::path::Path) -> anyhow::Result<Operator> {
    let maps: Api<ConfigMap> = Api::namespaced(fresh.client.clone(), PLATFORM);
    let map = maps.get("devserver-operator").await?;
    let config = map.data.and_then(|mut data| data.remove("config.yaml"));
    let settings = Settings {
        config,
        lease_namespace: PLATFORM.to_owned(),
        ..Settings::alone(PLACE)
    };
    let account = fresh.config_of("devserver-operator").await?;
    Operator::start(&account, folder, &settings).await
}

async fn is_that_of_document_004(fresh: &Fresh) -> anyhow::Result<()> {
    let client = || fresh.client.clone();
    let workload: StatefulSet = Api::namespaced(client(), PLACE).get(NAME).await?;
    let workload: Value = serde_json::to_value(workload)?;
    let pod = &workload["spec"]["template"]["spec"];
    let text = pod.to_string();
    for word in [
        "docker.io/devserver/ide:0.1.0",
        "docker.io/devserver/editor:0.1.0",
        "docker.io/devserver/docker:0.1.0",
        "\"mountPath\":\"/home/coder\"",
        "\"mountPath\":\"/home/coder/.kube\"",
        "\"mountPath\":\"/var/lib/docker\"",
        "\"hostUsers\":false",
    ] {
        ensure!(text.contains(word), "{word} is missing in {text}");
    }
    ensure!(!text.contains("\"privileged\":true"), "a privileged daemon");
    let claim: PersistentVolumeClaim = Api::namespaced(client(), PLACE).get("docker-ide-0").await?;
    ensure!(
        serde_json::to_string(&claim)?.contains("20Gi"),
        "the daemon's volume"
    );
    let binding: RoleBinding = Api::namespaced(client(), PLACE)
        .get("devserver-ide")
        .await?;
    ensure!(binding.role_ref.name == "edit", "{:?}", binding.role_ref);
    let policy: NetworkPolicy = Api::namespaced(client(), PLACE)
        .get("devserver-ide")
        .await?;
    ensure!(
        serde_json::to_string(&policy)?.contains("console"),
        "who reaches the editor"
    );
    Ok(())
}

/// The console takes names from the ingress alone, and only the ingress comes near.
fn behind_oauth(fresh: &Fresh) -> anyhow::Result<()> {
    let text = fresh.kubectl(&["kustomize", &overlay("oauth-ingress")])?;
    for word in [
        "userHeader: X-Auth-Request-Email",
        "trustedProxies:",
        "nginx.ingress.kubernetes.io/auth-url:",
        "kubernetes.io/metadata.name: ingress-nginx",
        "owner: coder@example.com",
    ] {
        ensure!(text.contains(word), "{word} is missing");
    }
    ensure!(!text.contains("oidc:"), "two ways to log in");
    Ok(())
}
