//! Answers that are errors, and answers that never come.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::{DevServer, DevServerStatus, Phase, condition};
use devserver_e2e::{Rig, has_reason, is_running};
use devserver_testkit::{
    Scene, canonical,
    diff::differences,
    kubelet::Fortune,
    proxy::rule::{Action, Count, Match, Rule},
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;
use serde_json::Value;

/// Writes of a creation; the golden file says so too.
const WRITES: u64 = 9;

fn faults() -> Vec<(&'static str, Action)> {
    let busy = Action::Fail {
        status: 429,
        reason: "TooManyRequests",
        message: "injected fault: too many requests".to_owned(),
        retry_after: Some(1),
    };
    vec![
        ("internal error", Action::fail(500, "InternalError")),
        ("conflict", Action::fail(409, "Conflict")),
        ("too many requests", busy),
        ("unavailable", Action::fail(503, "ServiceUnavailable")),
        ("timeout", Action::fail(504, "Timeout")),
        ("lost request", Action::LoseRequest),
        ("lost answer", Action::LoseResponse),
        ("late answer", Action::Delay(Duration::from_millis(700))),
    ]
}

async fn created(scene: &Scene, rig: &Rig) -> anyhow::Result<Value> {
    scene.create(&rig.sample()).await?;
    scene
        .status(sample::NAME, "has begun", |s| s.phase.is_some())
        .await?;
    rig.kubelet.set(Fortune::Ready);
    scene.status(sample::NAME, "runs", is_running).await?;
    wait::quiet(rig.operator.trace(), Duration::from_secs(1), PATIENCE).await?;
    canonical::state(&scene.client(), scene.namespace()).await
}

/// One creation whose k-th write meets the fault.
async fn one(
    what: &'static str,
    action: Action,
    k: Option<u64>,
    good: Option<Value>,
) -> anyhow::Result<Value> {
    with_namespace(&format!("{what} at {k:?}"), async |scene| {
        let rig = Rig::with_fortune(scene.clone(), Fortune::Hold).await?;
        if let Some(k) = k {
            rig.operator.proxy().arm(Rule::nth_write(k, action));
        }
        let state = created(&scene, &rig).await?;
        if let Some(good) = good {
            let differ = differences(&good, &state);
            ensure!(
                differ.is_empty(),
                "{what} at write {k:?}: {}",
                differ.join("\n")
            );
        }
        wait::no_writes(rig.operator.trace(), Duration::from_secs(1)).await?;
        Ok(state)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_one_write_is_answered_the_creation_ends_the_same() -> anyhow::Result<()> {
    let good = one("no fault", Action::LoseRequest, None, None).await?;
    let cases = faults()
        .into_iter()
        .flat_map(|(what, action)| (1..=WRITES).map(move |k| (what, action.clone(), k)));
    let runs = cases.map(|(what, action, k)| {
        let good = good.clone();
        async move {
            let failure = one(what, action, Some(k), Some(good)).await.err();
            failure.map(|why| format!("{what} at {k}: {why:#}"))
        }
    });
    let failed: Vec<String> = stream::iter(runs)
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    ensure!(
        failed.is_empty(),
        "{} cases:\n{}",
        failed.len(),
        failed.join("\n")
    );
    Ok(())
}

/// Refuses every write of this object, for good.
fn refuse(rig: &Rig, plural: &str, name: &str) {
    rig.operator.proxy().arm(Rule {
        when: Match {
            name: Some(name.to_owned()),
            ..Match::writes_of(plural)
        },
        nth: Count::Every,
        then: Action::fail(403, "Forbidden"),
    });
}

#[tokio::test]
async fn a_permanent_refusal_is_named_rarely_retried_and_hurts_nobody_else() -> anyhow::Result<()> {
    with_namespace("permanent refusal", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        refuse(&rig, "configmaps", "workbench-sshd-config");
        scene.create(&rig.sample()).await?;
        let told = scene
            .status(sample::NAME, "the refusal is named", |s| {
                has_reason(s, condition::READY, "WriteRefused")
            })
            .await?;
        let message = told.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(
            message.contains("ConfigMap") && message.contains("workbench-sshd-config"),
            "{message}"
        );
        let mut other = rig.sample();
        other.metadata.name = Some("neighbour".to_owned());
        scene.create(&other).await?;
        scene.status("neighbour", "runs", is_running).await?;
        let mark = rig.operator.trace().mark();
        wait::stays("it stays as it is", Duration::from_secs(12), async || {
            let phase = scene
                .api::<DevServer>()
                .get(sample::NAME)
                .await?
                .status
                .and_then(|s| s.phase);
            Ok(Seen::when(
                phase == Some(Phase::Pending),
                format!("{phase:?}"),
            ))
        })
        .await?;
        let writes = rig.operator.trace().writes_since(mark);
        let retries = writes
            .iter()
            .filter(|r| r.asked.plural == "configmaps")
            .count();
        // Every five seconds or so: what forbids it may be lifted at any time, and no watch would tell.
        ensure!(retries <= 4, "{retries} tries in 12 s");
        ensure!(
            writes.len() == retries,
            "other writes while it waits: {:?}",
            writes.iter().map(|r| r.asked.summary()).collect::<Vec<_>>()
        );
        rig.operator.proxy().calm();
        scene.status(sample::NAME, "heals", is_running).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_refused_service_is_named_and_keeps_no_machine_from_running() -> anyhow::Result<()> {
    with_namespace("refused service", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        refuse(&rig, "services", "workbench-ssh");
        scene.create(&rig.sample()).await?;
        let told = |status: &DevServerStatus| {
            let message = status.message.as_deref().unwrap_or_default();
            message.contains("runs, but") && message.contains("workbench-ssh")
        };
        scene
            .status(sample::NAME, "runs, and the refusal is named", |s| {
                is_running(s) && told(s)
            })
            .await?;
        rig.operator.proxy().calm();
        scene
            .status(sample::NAME, "heals", |s| is_running(s) && !told(s))
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_loses_nothing() -> anyhow::Result<()> {
    with_namespace("server away", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let before = rig.running().await?;
        let everything = Rule {
            when: Match::default(),
            nth: Count::Every,
            then: Action::LoseRequest,
        };
        rig.operator.proxy().arm(everything);
        rig.operator.proxy().cut_watches();
        let mut other = rig.sample();
        other.metadata.name = Some("neighbour".to_owned());
        scene.create(&other).await?;
        let mark = rig.operator.trace().mark();
        wait::stays("it waits", Duration::from_secs(5), async || {
            let page = rig.operator.page("/healthz").await?;
            Ok(Seen::when(page.starts_with("HTTP/1.1 200"), page))
        })
        .await?;
        let tries = rig.operator.trace().mark() - mark;
        // Ten watches with exponential backoff, not ten hot loops.
        ensure!(tries <= 120, "{tries} requests in 5 s of absence");
        rig.operator.proxy().calm();
        scene.status("neighbour", "runs", is_running).await?;
        let after = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(
            after.resource_version() == before.resource_version(),
            "the first one was written to"
        );
        Ok(())
    })
    .await
}
