//! `devctl events`, `why`, `logs`, `port-forward` and `version` with an ordinary user's rights.

use std::process::Output;

use anyhow::ensure;
use devserver_api::{DevServer, Phase};
use devserver_e2e::{Rig, short_lived};
use devserver_testkit::{
    Scene, devctl,
    kubelet::Fortune,
    sample,
    users::{self, User},
    with_namespace,
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Event};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

/// Reason of the event about the end that comes.
const EXPIRES: &str = devserver_api::condition::EXPIRING;

async fn alice(scene: &Scene) -> anyhow::Result<User> {
    users::user(scene, "alice", users::developer()).await
}

fn said(output: &Output) -> String {
    format!(
        "{:?}: {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Demands that exit code and these words.
fn demand(output: &Output, code: i32, words: &[&str]) -> anyhow::Result<()> {
    let text = said(output);
    ensure!(output.status.code() == Some(code), "not {code}: {text}");
    for word in words {
        ensure!(text.contains(word), "no {word:?}: {text}");
    }
    ensure!(
        !text.contains('\x1b'),
        "colors without a terminal: {text:?}"
    );
    Ok(())
}

fn rules(output: &Output) -> anyhow::Result<Vec<String>> {
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let lines = report
        .get("lines")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let rule = |line: &Value| {
        line.get("rule")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(lines.iter().map(rule).collect())
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn devctl_why_says_what_runs_what_is_stopped_and_what_finds_no_node() -> anyhow::Result<()> {
    with_namespace("devctl why", async |scene| {
        let rig = Rig::with_fortune(
            scene.clone(),
            Fortune::Unschedulable("0/3 nodes are available: 3 Insufficient memory.".to_owned()),
        )
        .await?;
        let alice = alice(&scene).await?;
        scene.create(&short_lived(&rig, "8h")).await?;
        let reason = |word: &'static str| {
            move |s: &devserver_api::DevServerStatus| devserver_e2e::has_reason(s, "Ready", word)
        };
        scene
            .status(sample::NAME, "no node fits", reason("Unschedulable"))
            .await?;
        let why = async |more: &[&str]| {
            devctl::run(&scene, &alice, &[&["why", sample::NAME][..], more].concat()).await
        };
        let words = [
            "is Pending",
            "3 Insufficient memory",
            "next:",
            "devctl flavors",
            "(in ",
            "its home stays",
        ];
        demand(&why(&[]).await?, 0, &words[..4])?;
        let found = rules(&why(&["-o", "json"]).await?)?;
        ensure!(
            found.first().is_some_and(|r| r == "Unschedulable"),
            "{found:?}"
        );
        ensure!(found.last().is_some_and(|r| r == "Expires"), "{found:?}");

        rig.kubelet.set(Fortune::Ready);
        scene
            .status(sample::NAME, "runs", devserver_e2e::is_running)
            .await?;
        demand(
            &why(&[]).await?,
            0,
            &["is Running", "devctl ssh", "its home stays"],
        )?;

        let output = devctl::run(&scene, &alice, &["suspend", sample::NAME]).await?;
        demand(&output, 0, &[])?;
        scene
            .status(sample::NAME, "is stopped", |s| {
                s.phase == Some(Phase::Suspended)
                    && devserver_e2e::has_reason(s, "Ready", "Suspended")
            })
            .await?;
        let found = rules(&why(&["-o", "json"]).await?)?;
        ensure!(found.first().is_some_and(|r| r == "Suspended"), "{found:?}");
        demand(
            &why(&[]).await?,
            0,
            &["stopped on request", "devctl resume"],
        )?;
        demand(
            &devctl::run(&scene, &alice, &["why", "nobody"]).await?,
            3,
            &["not found"],
        )
    })
    .await
}

#[tokio::test]
async fn devctl_why_names_the_image_that_cannot_be_pulled_and_the_crash() -> anyhow::Result<()> {
    with_namespace("devctl why failed", async |scene| {
        let fortune = Fortune::ImagePullFails("manifest unknown".to_owned());
        let rig = Rig::with_fortune(scene.clone(), fortune).await?;
        let alice = alice(&scene).await?;
        scene.create(&rig.sample()).await?;
        for (fortune, reason, words) in [
            (
                None,
                "ImagePullFailed",
                ["manifest unknown", "spec.imagePullSecrets"],
            ),
            (
                Some(Fortune::CrashLoop(3, "no space left".to_owned())),
                "CrashLoop",
                ["no space left", "devctl logs workbench --previous"],
            ),
        ] {
            if let Some(fortune) = fortune {
                rig.kubelet.set(fortune);
            }
            scene
                .status(sample::NAME, reason, |s| {
                    devserver_e2e::has_reason(s, "Ready", reason)
                })
                .await?;
            let output = devctl::run(&scene, &alice, &["why", sample::NAME]).await?;
            demand(&output, 0, &[&[reason, "is Failed"][..], &words].concat())?;
        }
        Ok(())
    })
    .await
}

/// An event as controllers write them. Theirs come when they come: under load late, or not at all.
async fn tell_of_workload(scene: &Scene) -> anyhow::Result<()> {
    let workload = scene.api::<StatefulSet>().get(sample::NAME).await?;
    let event = serde_json::from_value(json!({
        "metadata": {"generateName": "told-"}, "reason": "ToldByTest", "message": "told", "type": "Normal",
        "involvedObject": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": sample::NAME,
            "namespace": scene.namespace(), "uid": workload.metadata.uid,
        },
        "firstTimestamp": workload.metadata.creation_timestamp, "lastTimestamp": workload.metadata.creation_timestamp,
    }))?;
    scene
        .api::<Event>()
        .create(&PostParams::default(), &event)
        .await?;
    Ok(())
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn devctl_events_tells_the_story_of_one_dev_server_also_when_it_is_gone() -> anyhow::Result<()>
{
    with_namespace("devctl events", async |scene| {
        let rig = Rig::with_config(scene.clone(), "expirationWarnings: [1h]").await?;
        let alice = alice(&scene).await?;
        scene.create(&short_lived(&rig, "30m")).await?;
        scene
            .status(sample::NAME, "runs", devserver_e2e::is_running)
            .await?;
        scene
            .status(sample::NAME, "ends soon", |s| {
                devserver_e2e::has_reason(s, "Expiring", "ExpiresSoon")
            })
            .await?;
        devserver_testkit::wait::until(
            "the event",
            devserver_testkit::scene::PATIENCE,
            async || {
                let count = devserver_e2e::events(&scene, sample::NAME, EXPIRES).await?;
                Ok(devserver_testkit::wait::Seen::when(count > 0, count))
            },
        )
        .await?;
        tell_of_workload(&scene).await?;
        let events = async |more: &[&str]| {
            devctl::run(
                &scene,
                &alice,
                &[&["events", sample::NAME][..], more].concat(),
            )
            .await
        };
        demand(&events(&[]).await?, 0, &["TIME", EXPIRES, "ToldByTest"])?;
        demand(
            &events(&["-o", "wide"]).await?,
            0,
            &["OBJECT", "devserver/workbench", "statefulset/workbench"],
        )?;
        let list: Value = serde_json::from_slice(&events(&["-o", "json"]).await?.stdout)?;
        let times: Vec<&str> = list
            .get("items")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|e| e.get("lastTimestamp").and_then(Value::as_str))
            .collect();
        ensure!(times.is_sorted(), "the oldest is not first: {times:?}");
        // What belongs to another one is not shown.
        demand(
            &devctl::run(&scene, &alice, &["events", "workbenc"]).await?,
            3,
            &["not found"],
        )?;
        let params = DeleteParams::default();
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &params)
            .await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        demand(&events(&[]).await?, 0, &["is gone", EXPIRES])
    })
    .await
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn devctl_logs_and_port_forward_say_why_there_is_nothing_to_reach() -> anyhow::Result<()> {
    with_namespace("devctl logs", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = alice(&scene).await?;
        let devctl = async |arguments: &[&str]| devctl::run(&scene, &alice, arguments).await;
        demand(&devctl(&["logs", "nobody"]).await?, 3, &["not found"])?;
        rig.running().await?;
        // In this ring no node has the pod, so nothing was ever logged.
        demand(
            &devctl(&["logs", sample::NAME]).await?,
            1,
            &["not started", "devctl why workbench"],
        )?;
        demand(
            &devctl(&["logs", sample::NAME, "--container", "ssh"]).await?,
            3,
            &["Sidecar"],
        )?;
        demand(
            &devctl(&["logs", sample::NAME, "--container", "other"]).await?,
            2,
            &["possible values"],
        )?;
        let suspend = json!({"spec": {"suspend": true}});
        scene.patch(sample::NAME, suspend).await?;
        scene
            .status(sample::NAME, "is stopped", |s| {
                s.phase == Some(Phase::Suspended)
            })
            .await?;
        scene
            .gone::<k8s_openapi::api::core::v1::Pod>("workbench-0")
            .await?;
        demand(
            &devctl(&["logs", sample::NAME]).await?,
            1,
            &["suspended", "devctl resume"],
        )?;
        demand(
            &devctl(&["port-forward", sample::NAME, "8080"]).await?,
            1,
            &["suspended", "devctl resume"],
        )?;
        demand(
            &devctl(&["port-forward", sample::NAME, "0:0"]).await?,
            2,
            &["port 0"],
        )?;
        demand(&devctl(&["top"]).await?, 2, &["devctl list --watch"])?;
        let version = devctl(&["version"]).await?;
        demand(
            &version,
            0,
            &["devctl ", "devserver.io/v1", "Kubernetes v1."],
        )?;
        ensure!(
            said(&devctl(&["version", "--client"]).await?)
                .lines()
                .count()
                == 1,
            "more than one version"
        );
        Ok(())
    })
    .await
}
