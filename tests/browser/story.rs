//! What a developer and a colleague do, and what must have come of it.

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::cluster::root;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Api, api::AttachParams};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::{
    client::Client,
    site::{CONSOLE, EDITORS, Site},
};

const SERVER: &str = "first-day";
const NAMESPACE: &str = "dev-alice";
const TEXT: &str = "written by hand in the browser";

/// What is typed into the editor's terminal: an image of one program, made and run; what the role allows, and what it does not.
const COMMANDS: &str = "mkdir -p ~/image && cd ~/image && cp /opt/devserver/bin/devserver-agent agent; \
    printf 'FROM scratch\\nCOPY agent /agent\\nENTRYPOINT [\"/agent\"]\\n' > Dockerfile; \
    (docker build -q -t mine . && docker run --rm mine --version) > ~/docker.txt 2>&1; echo exit $? >> ~/docker.txt; \
    kubectl get pods > ~/pods.txt 2>&1; echo exit $? >> ~/pods.txt; \
    kubectl get secrets -A > ~/secrets.txt 2>&1; echo exit $? >> ~/secrets.txt; touch ~/finished.txt";

/// A file of the home, read in the pod.
async fn read(site: &Site, path: &str) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), NAMESPACE);
    let params = AttachParams::default().container("dev").stderr(false);
    let mut process = pods
        .exec(&format!("{SERVER}-0"), ["cat", path], &params)
        .await?;
    let mut text = String::new();
    if let Some(mut out) = process.stdout() {
        out.read_to_string(&mut text).await?;
    }
    process.join().await?;
    Ok(text)
}

fn is_clean(found: &Value) -> anyhow::Result<()> {
    for (page, findings) in found["findings"].as_object().into_iter().flatten() {
        ensure!(
            findings.as_array().is_some_and(Vec::is_empty),
            "{page}: {findings:#}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developers_first_day_in_the_browser_and_a_colleague_who_looks_where_they_may_not()
-> anyhow::Result<()> {
    let client = Client::new()?;
    let site = Site::new().await?;
    let settings = json!({
        "console": format!("https://{CONSOLE}"),
        "address": site.address.to_string(),
        "certificate": site.certificate,
        "password": "password",
        "server": SERVER,
        "namespace": NAMESPACE,
        "image": "docker.io/devserver/ide:lab",
        "role": "view",
        "commands": COMMANDS,
        "done": "finished.txt",
        "file": "/home/dev/note.txt",
        "text": TEXT,
        "pictures": root().join("tests/artifacts/browser").display().to_string(),
    });
    let found = tokio::task::spawn_blocking(move || client.run("story.mjs", &settings)).await??;
    println!("{found:#}");
    ensure!(found["ended"] == true, "{}", found["error"]);
    is_clean(&found)?;
    work_is_there(&site, &found).await?;
    origins_are_apart(&found)?;
    let back = found["broughtBack"].as_str().unwrap_or_default();
    ensure!(back.contains(SERVER), "brought back: {back}");
    ensure!(
        found["phoneScrollsSideways"] == false,
        "the list is wider than a phone"
    );
    Ok(())
}

/// What was typed has happened, and no more than the role allows; the restart has taken nothing.
async fn work_is_there(site: &Site, found: &Value) -> anyhow::Result<()> {
    let docker = read(site, "/home/dev/docker.txt").await?;
    ensure!(
        docker.contains("devserver-agent ") && docker.ends_with("exit 0\n"),
        "docker: {docker}"
    );
    let pods = read(site, "/home/dev/pods.txt").await?;
    ensure!(
        pods.contains("first-day-0") && pods.ends_with("exit 0\n"),
        "pods: {pods}"
    );
    let secrets = read(site, "/home/dev/secrets.txt").await?;
    ensure!(
        secrets.contains("forbidden") && secrets.ends_with("exit 1\n"),
        "secrets: {secrets}"
    );
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), NAMESPACE);
    let servers: Api<DevServer> = Api::namespaced(site.client.clone(), NAMESPACE);
    let (pod, server) = (
        pods.get(&format!("{SERVER}-0")).await?,
        servers.get(SERVER).await?,
    );
    let made = |time: Option<Time>| time.map(|time| time.0).context("no time of creation");
    let later = made(pod.metadata.creation_timestamp)?
        .duration_since(made(server.metadata.creation_timestamp)?);
    ensure!(
        later.as_secs() > 5,
        "the pod of before the restart: {later}"
    );
    let note = read(site, "/home/dev/note.txt").await?;
    ensure!(note == TEXT && found["themeKept"] == true, "{note}");
    Ok(())
}

/// C14: an editor's page reads neither its own cookie nor the console. To the colleague it is as if it were not there.
fn origins_are_apart(found: &Value) -> anyhow::Result<()> {
    let text = |name: &str| found[name].as_str().unwrap_or_default();
    let origin = format!("https://{SERVER}--{NAMESPACE}.{EDITORS}");
    ensure!(text("editor") == origin, "{}", text("editor"));
    let cookies = text("cookiesOfEditor");
    ensure!(!cookies.contains("devserver"), "{cookies}");
    let console = text("readsConsole");
    ensure!(console.starts_with("refused"), "{console}");
    let bob = text("bobSees");
    ensure!(!bob.is_empty() && !bob.contains(SERVER), "{bob}");
    for place in ["bobAtEditor", "bobAtPage"] {
        let status = found[place].as_i64();
        ensure!(matches!(status, Some(403 | 404)), "{place}: {status:?}");
    }
    Ok(())
}
