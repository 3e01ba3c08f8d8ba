//! People who sit in an environment that nobody seems to use are told so, by its agent: what goes with the operator's questions.

use anyhow::{Context as _, ensure};
use devserver_api::{IdleStage, IdleState};
use devserver_testkit::{
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use serde_json::{Value, json};

use super::idle::{CONFIG, HOUR, Quiet};

impl Quiet {
    /// Waits until that is what goes with the questions: the stage and what comes next, or nothing.
    async fn tells(&self, expected: Option<(&str, &str)>) -> anyhow::Result<Option<Value>> {
        wait::until(&format!("{expected:?} is told"), PATIENCE, async || {
            let newest = self.agent.notices().pop().context("nobody asked")?;
            let notice: Option<Value> = newest.map(|t| serde_json::from_str(&t)).transpose()?;
            let is_it = match (&notice, expected) {
                (None, None) => true,
                (Some(notice), Some((stage, next))) => {
                    notice["stage"] == stage && notice.pointer("/next/0") == Some(&json!(next))
                }
                _ => false,
            };
            Ok(if is_it {
                Seen::Yes(notice)
            } else {
                Seen::NotYet(format!("{notice:?}"))
            })
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_on_terminals_are_told_of_each_stage_until_somebody_works() -> anyhow::Result<()> {
    with_namespace("told on terminals", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        quiet.is("is in use", IdleState::Active, None).await?;
        quiet.pass(HOUR / 2)?;
        quiet
            .is("is told of", IdleState::Idle, Some(IdleStage::Alert))
            .await?;
        quiet.tells(None).await?;
        quiet.pass(2 * HOUR)?;
        let first = quiet.tells(Some(("noticed", "downscale"))).await?;
        quiet.rig.operator.restart().await?;
        let again = quiet.tells(Some(("noticed", "downscale"))).await?;
        // The agent tells what has the same order but once.
        ensure!(first == again, "{first:?}, then {again:?}");
        quiet.pass(8 * HOUR)?;
        let smaller = quiet.tells(Some(("noticed", "warn"))).await?;
        let order = |notice: &Option<Value>| {
            let notice = notice.clone().unwrap_or_default();
            json!([notice["since"], notice["stage"], notice["round"]])
        };
        ensure!(order(&smaller) == order(&first), "{smaller:?}");
        quiet.pass(23 * HOUR)?;
        let warned = quiet.tells(Some(("warned", "terminate"))).await?;
        ensure!(order(&warned) != order(&first), "{warned:?}");
        quiet.agent.type_now();
        quiet.tells(None).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_on_a_terminal_is_told_anything_in_a_dry_run() -> anyhow::Result<()> {
    with_namespace("dry run", async |scene| {
        let config = CONFIG.replace("idle:", "idle:\n  dryRun: true");
        let quiet = Quiet::new(&scene, &config).await?;
        quiet.pass(23 * HOUR)?;
        quiet
            .is("would be warned", IdleState::Idle, Some(IdleStage::Warn))
            .await?;
        let asked = quiet.agent.asked();
        wait::until("it is asked again", PATIENCE, async || {
            let now = quiet.agent.asked();
            Ok(Seen::when(now > asked + 1, now))
        })
        .await?;
        let notices = quiet.agent.notices();
        ensure!(notices.iter().all(Option::is_none), "{notices:?}");
        Ok(())
    })
    .await
}
