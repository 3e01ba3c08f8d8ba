//! What happens to an environment that nobody uses, with the real operator, an agent's stand-in, and the time moved.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{
    DevServer, DevServerFlavor, DevServerStatus, IdleStage, IdleState, Phase, condition,
};
use devserver_e2e::{Rig, condition, events, is_running};
use devserver_testkit::{
    Scene,
    agent::Agent,
    kubelet::Fortune,
    proxy::{
        request::Verb,
        rule::{Action, Count, Match, Rule},
    },
    sample,
    scene::PATIENCE,
    wait, with_namespace,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::idle_sinks::{Mailbox, Receiver};

pub(super) const HOUR: i64 = 3600;
/// The ladder of document 003.
pub(super) const CONFIG: &str = "
activity: {}
idle:
  intervalSeconds: 1
  stages: {alert: 30m, notify: 2h, downscale: 8h, warn: 23h, terminate: 24h}
";

/// An environment that runs, with an agent that says somebody has just typed.
pub(super) struct Quiet {
    pub(super) rig: Rig,
    pub(super) agent: Agent,
}

impl Quiet {
    pub(super) async fn new(scene: &Scene, config: &str) -> anyhow::Result<Self> {
        let rig = Rig::attentive(scene.clone(), config).await?;
        let agent = Agent::start().await?;
        rig.kubelet.set(Fortune::ReadyAt(agent.address()));
        let least =
            Patch::Merge(json!({"spec": {"minimumResources": {"cpu": "100m", "memory": "64Mi"}}}));
        Api::<DevServerFlavor>::all(scene.client())
            .patch(&rig.small, &PatchParams::default(), &least)
            .await?;
        rig.running().await?;
        Ok(Self { rig, agent })
    }

    /// So much later it is for everybody.
    pub(super) fn pass(&self, seconds: i64) -> anyhow::Result<()> {
        self.agent.pass(&self.rig.operator, seconds)
    }

    pub(super) async fn is(
        &self,
        what: &str,
        expected: IdleState,
        reached: Option<IdleStage>,
    ) -> anyhow::Result<DevServer> {
        let holds = |status: &DevServerStatus| {
            status
                .idle
                .as_ref()
                .is_some_and(|idle| idle.state == expected && idle.stage == reached)
        };
        self.rig.scene.status(sample::NAME, what, holds).await
    }

    /// Asks to wait.
    async fn snooze(&self, until: jiff::Timestamp) -> anyhow::Result<()> {
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let spec = json!({"spec": {"idle": {"snoozedUntil": until}}});
        self.rig.scene.patch(sample::NAME, spec).await.map(drop)
    }

    async fn cpu(&self, expected: &str) -> anyhow::Result<()> {
        let has = |pod: &Pod| {
            let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
            let mut dev = containers.filter(|container| container.name == "dev");
            let requests = dev
                .next()
                .and_then(|c| c.resources.as_ref()?.requests.clone());
            requests.is_some_and(|r| r.get("cpu").is_some_and(|cpu| cpu.0 == expected))
        };
        let what = format!("requests {expected} of CPU");
        self.rig
            .scene
            .object("workbench-0", &what, has)
            .await
            .map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_31_to_s3_34_each_stage_comes_once_and_the_stop_keeps_the_home() -> anyhow::Result<()> {
    with_namespace("ladder", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        let (pod, home) = quiet.rig.precious().await?;
        quiet.is("is in use", IdleState::Active, None).await?;
        for (after, stage, reason) in [
            (HOUR / 2, IdleStage::Alert, "DevEnvIdle"),
            (2 * HOUR, IdleStage::Notify, "IdleNotice"),
            (8 * HOUR, IdleStage::Downscale, "IdleDownscale"),
            (23 * HOUR, IdleStage::Warn, "IdleWarning"),
        ] {
            quiet.pass(after)?;
            quiet
                .is(&format!("{stage:?}"), IdleState::Idle, Some(stage))
                .await?;
            quiet.rig.operator.restart().await?;
            quiet
                .is(&format!("{stage:?} still"), IdleState::Idle, Some(stage))
                .await?;
            let told = events(&scene, sample::NAME, reason).await?;
            ensure!(told == 1, "{reason}: {told} events");
            let (same, _) = quiet.rig.precious().await?;
            ensure!(same == pod, "the pod was restarted at {stage:?}");
        }
        quiet.cpu("100m").await?;
        quiet.pass(24 * HOUR + 60)?;
        scene.gone::<Pod>("workbench-0").await?;
        let stopped = quiet
            .is("is stopped", IdleState::Stopped, Some(IdleStage::Terminate))
            .await?;
        ensure!(stopped.spec.suspend, "not by suspending it");
        let kept = scene
            .api::<PersistentVolumeClaim>()
            .get("home-workbench-0")
            .await?;
        ensure!(kept.metadata.uid == Some(home), "the home is another");
        let stops = events(&scene, sample::NAME, "IdleStopped").await?;
        ensure!(stops == 1, "{stops} events");
        // Started again it is as new, and is not stopped for what was before.
        quiet.agent.type_now();
        scene
            .patch(sample::NAME, json!({"spec": {"suspend": false}}))
            .await?;
        scene.status(sample::NAME, "runs again", is_running).await?;
        quiet.is("is in use again", IdleState::Active, None).await?;
        wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(4)).await?;
        quiet.cpu("500m").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sign_of_life_grows_it_back_without_a_restart() -> anyhow::Result<()> {
    with_namespace("grow back", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        let (pod, _) = quiet.rig.precious().await?;
        quiet.pass(9 * HOUR)?;
        quiet
            .is("is shrunk", IdleState::Idle, Some(IdleStage::Downscale))
            .await?;
        quiet.cpu("100m").await?;
        quiet.agent.type_now();
        quiet.cpu("500m").await?;
        let back = quiet.is("is in use", IdleState::Active, None).await?;
        let status = back.status.context("no status")?;
        ensure!(condition(&status, condition::IDLE).is_none(), "{status:?}");
        let (same, _) = quiet.rig.precious().await?;
        ensure!(same == pod, "the pod was restarted");
        wait::quiet(quiet.rig.operator.trace(), Duration::from_secs(3), PATIENCE).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_a_snooze_and_a_silent_agent_stop_all_of_it() -> anyhow::Result<()> {
    with_namespace("held", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        quiet.agent.held_for(20 * HOUR);
        quiet.pass(10 * HOUR)?;
        quiet.is("is held", IdleState::Held, None).await?;
        quiet.cpu("500m").await?;
        quiet.agent.held_for(0);
        // The end of a hold is where being idle begins.
        quiet.pass(10 * HOUR + 23 * HOUR + HOUR / 2)?;
        quiet
            .is("is warned", IdleState::Idle, Some(IdleStage::Warn))
            .await?;
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(38);
        quiet.snooze(until).await?;
        quiet
            .is("is snoozed", IdleState::Snoozed, Some(IdleStage::Warn))
            .await?;
        quiet.cpu("500m").await?;
        quiet.agent.set_silent(true);
        quiet.rig.operator.set_time(100 * HOUR)?;
        let unknown = |s: &DevServerStatus| {
            s.idle
                .as_ref()
                .is_some_and(|i| i.state == IdleState::Unknown)
        };
        let told = scene.status(sample::NAME, "nobody knows", unknown).await?;
        let status = told.status.unwrap_or_default();
        let said = condition(&status, condition::IDLE).context("no condition")?;
        ensure!(
            said.reason == "ActivityUnknown" && said.status == "Unknown",
            "{said:?}"
        );
        wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(4)).await?;
        let server = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(!server.spec.suspend, "it was stopped");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_shrunk_unseen_grows_back_when_it_is_snoozed() -> anyhow::Result<()> {
    with_namespace("shrunk unseen", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        let proxy = quiet.rig.operator.proxy();
        proxy.arm(Rule {
            when: Match {
                verb: Some(Verb::Watch),
                plural: Some("pods".to_owned()),
                ..Match::default()
            },
            nth: Count::Every,
            then: Action::fail(503, "ServiceUnavailable"),
        });
        proxy.cut_watches();
        quiet.pass(10 * HOUR)?;
        quiet
            .is("is idle", IdleState::Idle, Some(IdleStage::Downscale))
            .await?;
        quiet.cpu("100m").await?;
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20);
        quiet.snooze(until).await?;
        let told = quiet
            .is("is snoozed", IdleState::Snoozed, Some(IdleStage::Downscale))
            .await?;
        let idle = told.status.and_then(|status| status.idle);
        ensure!(
            idle.is_some_and(|idle| idle.downscaled.is_some()),
            "what it was is forgotten, and nobody saw that it is that again"
        );
        proxy.calm();
        quiet.cpu("500m").await?;
        let grown = |status: &DevServerStatus| {
            let idle = status.idle.as_ref();
            idle.is_some_and(|idle| idle.downscaled.is_none())
        };
        scene
            .status(sample::NAME, "has its size again", grown)
            .await
            .map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_clock_alone_stops_nobody() -> anyhow::Result<()> {
    with_namespace("idle clock", async |scene| {
        let config = CONFIG.replace("warn: 23h, ", "");
        let quiet = Quiet::new(&scene, &config).await?;
        quiet.pass(20 * HOUR)?;
        quiet
            .is("is idle", IdleState::Idle, Some(IdleStage::Downscale))
            .await?;
        // The API server's clock says that it is over, and the operator's own does not.
        quiet.agent.set_silent(true);
        quiet.rig.operator.proxy().set_clock(25 * HOUR);
        quiet.agent.set_clock(25 * HOUR);
        quiet.agent.set_silent(false);
        wait::quiet(quiet.rig.operator.trace(), Duration::from_secs(4), PATIENCE).await?;
        let writes = quiet.rig.operator.trace().writes_since(0);
        let stops = writes
            .iter()
            .filter(|w| w.step() == "patch devservers")
            .count();
        ensure!(stops == 0, "it was to be stopped on the word of one clock");
        quiet.rig.operator.set_clock(25 * HOUR)?;
        scene.gone::<Pod>("workbench-0").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_use_nothing_is_written_and_without_a_policy_no_agent_is_asked() -> anyhow::Result<()> {
    with_namespace("in use", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        quiet.is("is in use", IdleState::Active, None).await?;
        wait::quiet(quiet.rig.operator.trace(), Duration::from_secs(2), PATIENCE).await?;
        let before = quiet.agent.asked();
        for _ in 0..3 {
            quiet.agent.type_now();
            wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(2)).await?;
        }
        ensure!(
            quiet.agent.asked() > before + 2,
            "it is not asked each second"
        );
        let page = quiet.rig.operator.page("/metrics").await?;
        ensure!(
            page.contains(r#"devserver_operator_idle_environments{state="Active"} 1"#),
            "{page}"
        );
        Ok(())
    })
    .await?;
    with_namespace("no policy", async |scene| {
        let quiet = Quiet::new(&scene, "").await?;
        quiet.pass(100 * HOUR)?;
        wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(4)).await?;
        let server = scene.api::<DevServer>().get(sample::NAME).await?;
        let status = server.status.unwrap_or_default();
        ensure!(
            status.idle.is_none() && quiet.agent.asked() == 0,
            "{status:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_32_the_owner_gets_a_mail_and_the_webhook_a_signed_event_once_each() -> anyhow::Result<()>
{
    with_namespace("notified", async |scene| {
        let (mailbox, receiver) = (Mailbox::start().await?, Receiver::start().await?);
        // The first answer is an error: it is sent again, under the same identity.
        receiver.fail_next();
        let key = tempfile::NamedTempFile::new()?;
        std::fs::write(key.path(), "a key of the webhook\n")?;
        let config = format!(
            "{CONFIG}notifications:\n  webhooks:\n    - {{url: '{}', keyFile: '{}'}}\n    - {{form: Slack, url: '{}'}}\n  \
             mail: {{host: 127.0.0.1, port: {}, encryption: None, from: devservers@example.com}}\n",
            receiver.url("/events"),
            key.path().display(),
            receiver.url("/slack"),
            mailbox.port(),
        );
        let quiet = Quiet::new(&scene, &config).await?;
        quiet.pass(3 * HOUR)?;
        let delivered = |wanted: IdleStage| {
            move |s: &DevServerStatus| s.idle.as_ref().and_then(|i| i.notified_stage) == Some(wanted)
        };
        scene.status(sample::NAME, "its owner was told", delivered(IdleStage::Notify)).await?;
        quiet.rig.operator.restart().await?;
        wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(3)).await?;
        let mails = mailbox.mails();
        let [mail] = mails.as_slice() else {
            anyhow::bail!("{} mails: {mails:?}", mails.len());
        };
        for words in [
            "To: alice@example.com",
            "From: devservers@example.com",
            "Subject: workbench is idle",
            "devctl snooze workbench",
            "Message-ID: <",
        ] {
            ensure!(mail.contains(words), "no {words:?} in {mail}");
        }
        let events = receiver.got("/events");
        ensure!(events.len() == 2, "{} events", events.len());
        for event in &events {
            event.is_signed("a key of the webhook")?;
            let body: serde_json::Value = serde_json::from_str(&event.body)?;
            ensure!(body["specversion"] == "1.0" && body["type"] == "io.devserver.idle.noticed", "{body}");
            ensure!(body["data"]["name"] == sample::NAME && body["data"]["stage"] == "Notify", "{body}");
            ensure!(body["id"] == event.id.as_str(), "{body}");
        }
        ensure!(events.first().map(|e| &e.id) == events.last().map(|e| &e.id), "another identity");
        let slack = receiver.got("/slack");
        ensure!(slack.len() == 1, "{} to Slack", slack.len());
        quiet.pass(23 * HOUR + HOUR / 2)?;
        scene.status(sample::NAME, "its owner was warned", delivered(IdleStage::Warn)).await?;
        ensure!(mailbox.mails().len() == 2, "{:?}", mailbox.mails());
        quiet.pass(25 * HOUR)?;
        let stopped = |s: &DevServerStatus| s.phase == Some(Phase::Suspended) && delivered(IdleStage::Terminate)(s);
        scene.status(sample::NAME, "its owner knows of the stop", stopped).await?;
        let mails = mailbox.mails();
        ensure!(mails.len() == 3 && mails.iter().any(|m| m.contains("devctl resume workbench")), "{mails:?}");
        Ok(())
    })
    .await
}
