//! charts/dev-env by the real helm: the launch of document 003, word for word.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, SshMode};
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{Scene, cluster::root, sample, with_namespace};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;

use crate::site::{administrate, guard};

const NAME: &str = "my-env";
const POD: &str = "my-env-0";
const HOME: &str = "home-my-env-0";
const CHART: &str = "helm/dev-env";
/// What the document's workflow says; the flavor and the namespace are the test's.
const LAUNCH: [&str; 13] = [
    "--create-namespace",
    "--set",
    "image.repository=cthomaspdx1/swish-python3",
    "--set",
    "resources.requests.memory=256Mi",
    "--set",
    "resources.requests.cpu=250m",
    "--set",
    "ssh.enabled=false",
    "--set",
    "team=genomics",
    "--set",
    "customPackages.pip={flask,requests}",
];

/// helm upgrade --install of the chart with those arguments.
async fn upgrade(scene: &Scene, arguments: &[&str]) -> anyhow::Result<String> {
    let chart = root().join(CHART);
    let chart = chart.to_str().context("no path")?;
    let all = [&["upgrade", "--install", NAME, chart][..], arguments].concat();
    administrate(scene, "helm", &all).await
}

async fn launch(rig: &Rig) -> anyhow::Result<String> {
    let flavor = format!("flavor={}", rig.small);
    let all = [&LAUNCH[..], &["--set", flavor.as_str()][..]].concat();
    upgrade(&rig.scene, &all).await
}

async fn has_packages(scene: &Scene, wanted: &str) -> anyhow::Result<()> {
    let holds = |config: &ConfigMap| {
        let data = config.data.as_ref();
        data.is_some_and(|d| d.get("pip-requirements.txt").is_some_and(|p| p == wanted))
    };
    let what = format!("has the packages {wanted:?}");
    scene
        .object("my-env-sshd-config", &what, holds)
        .await
        .map(drop)
}

async fn mode(scene: &Scene) -> anyhow::Result<Option<SshMode>> {
    Ok(scene.api::<DevServer>().get(NAME).await?.spec.ssh.mode)
}

async fn looks_as_asked(scene: &Scene) -> anyhow::Result<()> {
    ensure!(mode(scene).await? == Some(SshMode::Disabled));
    // The label of S3-39.
    let list = [
        "get",
        "pods",
        "-l",
        "app.kubernetes.io/instance=my-env",
        "-o",
        "name",
    ];
    let listed = administrate(scene, "kubectl", &list).await?;
    ensure!(listed.trim() == "pod/my-env-0", "{listed}");
    let pod = scene.api::<Pod>().get(POD).await?;
    let team = pod.labels().get("swish.io/team");
    ensure!(team.is_some_and(|t| t == "genomics"), "{:?}", pod.labels());
    let container = pod.spec.and_then(|s| s.containers.into_iter().next());
    let requests = container
        .and_then(|c| c.resources)
        .and_then(|r| r.requests)
        .context("no requests")?;
    ensure!(
        requests["cpu"].0 == "250m" && requests["memory"].0 == "256Mi",
        "{requests:?}"
    );
    has_packages(scene, "flask\nrequests\n").await
}

#[tokio::test]
async fn one_release_is_one_environment_with_the_values_of_document_003() -> anyhow::Result<()> {
    with_namespace("dev-env", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        guard(&scene).await?;
        let notes = launch(&rig).await?;
        ensure!(
            notes.contains("keeps its home, the claim home-my-env-0"),
            "{notes}"
        );
        scene.status(NAME, "runs", is_running).await?;
        looks_as_asked(&scene).await?;
        let pod = scene.api::<Pod>().get(POD).await?;

        // Another package, with a comma in it: by JSON. No restart.
        let package = "customPackages.pip=[\"httpx[http2]>=0.27,<1\"]";
        upgrade(&scene, &["--reuse-values", "--set-json", package]).await?;
        has_packages(&scene, "httpx[http2]>=0.27,<1\n").await?;
        let same = scene.api::<Pod>().get(POD).await?;
        ensure!(same.uid() == pod.uid(), "it was restarted");
        // ssh, and back.
        let key = format!("ssh.publicKeys=[\"{}\"]", sample::KEY);
        upgrade(
            &scene,
            &[
                "--reuse-values",
                "--set",
                "ssh.enabled=true",
                "--set-json",
                &key,
            ],
        )
        .await?;
        ensure!(mode(&scene).await? == Some(SshMode::Sidecar));
        administrate(&scene, "helm", &["rollback", NAME, "2"]).await?;
        ensure!(mode(&scene).await? == Some(SshMode::Disabled));

        // The end, and the same again.
        let home = scene.api::<PersistentVolumeClaim>().get(HOME).await?;
        administrate(&scene, "helm", &["uninstall", NAME]).await?;
        scene.gone::<DevServer>(NAME).await?;
        scene.gone::<Pod>(POD).await?;
        launch(&rig).await?;
        scene.status(NAME, "runs again", is_running).await?;
        let found = scene.api::<PersistentVolumeClaim>().get(HOME).await?;
        ensure!(found.uid() == home.uid(), "another home");
        Ok(())
    })
    .await
}
