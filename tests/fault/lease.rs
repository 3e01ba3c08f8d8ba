//! Two operators, one Lease: one works, the other takes over, and who lost it writes nothing more.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use devserver_e2e::is_running;
use devserver_testkit::{
    Operator, Scene, canonical,
    diff::differences,
    kubelet::Fortune,
    operator::Settings,
    proxy::{
        request::Verb,
        rule::{Action, Count, Match, Rule},
        trace::Fate,
    },
    sample,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::coordination::v1::Lease;
use nix::sys::signal::Signal;

/// Client-go's default, and ours.
const LEASE: Duration = Duration::from_secs(15);
/// Between two tries of who waits, with some patience for a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn replica(scene: &Scene, identity: &str) -> anyhow::Result<Operator> {
    let settings = Settings {
        leader_elect: true,
        identity: identity.to_owned(),
        ..Settings::alone(scene.namespace())
    };
    scene.operator_with(&settings).await
}

async fn holder(scene: &Scene) -> anyhow::Result<Option<String>> {
    let lease = scene.api::<Lease>().get_opt("devserver-operator").await?;
    Ok(lease.and_then(|l| l.spec).and_then(|s| s.holder_identity))
}

async fn held_by(scene: &Scene, identity: &str, deadline: Duration) -> anyhow::Result<()> {
    wait::until(&format!("{identity} leads"), deadline, async || {
        let holder = holder(scene).await?;
        Ok(Seen::when(
            holder.as_deref() == Some(identity),
            format!("{holder:?}"),
        ))
    })
    .await
}

/// Two replicas, of which `first` leads, and one DevServer that runs.
async fn pair(scene: &Scene) -> anyhow::Result<(Operator, Operator)> {
    let small = scene.flavor("small", "500m", "1Gi").await?;
    let first = replica(scene, "first").await?;
    held_by(scene, "first", SLACK).await?;
    let second = replica(scene, "second").await?;
    scene
        .create(&sample::devserver(sample::NAME, &small))
        .await?;
    scene.status(sample::NAME, "runs", is_running).await?;
    wait::quiet(
        first.trace(),
        Duration::from_secs(1),
        Duration::from_secs(30),
    )
    .await?;
    ensure!(
        second.trace().writes_since(0).is_empty(),
        "the standby wrote"
    );
    Ok((first, second))
}

/// A second DevServer runs: somebody leads and works.
async fn works(scene: &Scene) -> anyhow::Result<()> {
    let server = sample::devserver("neighbour", &scene.flavor_name("small"));
    scene.create(&server).await?;
    scene
        .status("neighbour", "runs", is_running)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_killed_leader_is_followed_within_the_lease_and_nothing_changes() -> anyhow::Result<()> {
    with_namespace("leader killed", async |scene| {
        let _kubelet = scene.kubelet(Fortune::Ready);
        let (first, second) = pair(&scene).await?;
        let before = canonical::state(&scene.client(), scene.namespace()).await?;
        let killed = Instant::now();
        first.kill().await?;
        held_by(&scene, "second", LEASE + SLACK).await?;
        println!("takeover after {} ms", killed.elapsed().as_millis());
        wait::no_writes(second.trace(), Duration::from_secs(2)).await?;
        let after = canonical::state(&scene.client(), scene.namespace()).await?;
        ensure!(
            differences(&before, &after).is_empty(),
            "{:?}",
            differences(&before, &after)
        );
        ensure!(
            second.trace().writes_since(0).is_empty(),
            "the takeover wrote"
        );
        works(&scene).await
    })
    .await
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over_at_once() -> anyhow::Result<()> {
    with_namespace("leader ends", async |scene| {
        let _kubelet = scene.kubelet(Fortune::Ready);
        let (first, second) = pair(&scene).await?;
        first.signal(Signal::SIGTERM).await?;
        let status = first.exit(Duration::from_secs(10)).await?;
        ensure!(status.code() == Some(0), "{status}");
        held_by(&scene, "second", SLACK).await?;
        works(&scene).await?;
        ensure!(!second.trace().writes_since(0).is_empty(), "who wrote?");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_leader_whose_last_renewal_was_not_answered_hands_over_at_once() -> anyhow::Result<()> {
    with_namespace("renewal unanswered", async |scene| {
        let _kubelet = scene.kubelet(Fortune::Ready);
        let (first, _second) = pair(&scene).await?;
        first.proxy().arm(Rule {
            when: Match {
                verb: Some(Verb::Update),
                plural: Some("leases".to_owned()),
                ..Match::default()
            },
            nth: Count::First(1),
            then: Action::LoseResponse,
        });
        wait::until("the renewal is written", LEASE, async || {
            let hit = first
                .trace()
                .since(0, |r| matches!(r.fate, Fate::Hit(_)))
                .len();
            Ok(Seen::when(hit == 1, "not yet"))
        })
        .await?;
        first.signal(Signal::SIGTERM).await?;
        let status = first.exit(Duration::from_secs(10)).await?;
        ensure!(status.code() == Some(0), "{status}");
        held_by(&scene, "second", SLACK).await?;
        works(&scene).await
    })
    .await
}

#[tokio::test]
async fn a_leader_that_slept_through_its_lease_writes_nothing_and_exits_with_1()
-> anyhow::Result<()> {
    with_namespace("leader sleeps", async |scene| {
        let _kubelet = scene.kubelet(Fortune::Ready);
        let (first, second) = pair(&scene).await?;
        first.signal(Signal::SIGSTOP).await?;
        held_by(&scene, "second", LEASE + SLACK).await?;
        // Work that waits for the sleeper in its watches when it wakes.
        works(&scene).await?;
        let mark = first.trace().mark();
        first.signal(Signal::SIGCONT).await?;
        let status = first.exit(Duration::from_secs(10)).await?;
        ensure!(status.code() == Some(1), "{status}");
        let writes = first.trace().writes_since(mark);
        ensure!(
            writes.is_empty(),
            "it wrote {:?}",
            writes.iter().map(|r| r.asked.summary()).collect::<Vec<_>>()
        );
        ensure!(
            holder(&scene).await?.context("no holder")? == "second",
            "the Lease moved"
        );
        ensure!(!second.trace().writes_since(0).is_empty(), "who wrote?");
        Ok(())
    })
    .await
}
