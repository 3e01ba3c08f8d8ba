//! What the owner is advised, in the status, with the real operator and an agent's stand-in.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::{Advice, DevServerStatus};
use devserver_testkit::{Scene, sample, wait, with_namespace};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::idle::{CONFIG, HOUR, Quiet};

fn reasons(status: &DevServerStatus) -> Vec<&str> {
    let advice = status.advice.iter();
    advice.map(|advice| advice.reason.as_str()).collect()
}

/// Waits until exactly that is advised.
async fn advised(scene: &Scene, what: &str, expected: &[&str]) -> anyhow::Result<Vec<Advice>> {
    let is_so = |status: &DevServerStatus| reasons(status) == expected;
    let server = scene.status(sample::NAME, what, is_so).await?;
    Ok(server.status.unwrap_or_default().advice)
}

fn home(percent: u64) -> Value {
    json!({"home": {"total": 100_u64 << 30, "used": percent << 30}})
}

#[tokio::test]
async fn a_home_that_fills_is_told_in_steps_and_written_once_for_each() -> anyhow::Result<()> {
    with_namespace("advice", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        quiet.agent.sees(home(82));
        let told = advised(&scene, "its home fills", &["HomeFilling"]).await?;
        let first = told
            .first()
            .map(|advice| advice.message.clone())
            .unwrap_or_default();
        ensure!(
            first == "the home volume (100 Gi) is more than 80 % full",
            "{first}"
        );
        // The agent is asked each second: what moves within the step is not written.
        for percent in [83, 84, 86, 79, 85] {
            quiet.agent.sees(home(percent));
            let asked = quiet.agent.asked();
            wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(2)).await?;
            ensure!(quiet.agent.asked() > asked, "nobody asked the agent");
        }
        quiet.agent.sees(home(91));
        advised(&scene, "it is nearly full", &["HomeNearlyFull"]).await?;
        // Another operator knows what the one before told.
        quiet.agent.set_silent(true);
        quiet.rig.operator.restart().await?;
        wait::no_writes(quiet.rig.operator.trace(), Duration::from_secs(2)).await?;
        advised(&scene, "it is still told", &["HomeNearlyFull"]).await?;
        quiet.agent.sees(home(50));
        quiet.agent.set_silent(false);
        advised(&scene, "there is room again", &[]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn memory_that_ran_out_names_a_flavor_and_unsaved_work_is_told_when_nobody_is_there()
-> anyhow::Result<()> {
    with_namespace("advice memory", async |scene| {
        let quiet = Quiet::new(&scene, CONFIG).await?;
        let fits = scene.flavor("roomy", "1", "5Ti").await?;
        let work = json!([{"path": "src/app", "uncommitted": 3, "unpushed": 1}]);
        quiet.agent.sees(json!({
            "memory": {"limit": 3_u64 << 40, "oomKills": 2, "lastOom": Timestamp::now()},
            "git": work, "gitCheckedAt": Timestamp::now(),
        }));
        let told = advised(&scene, "memory ran out", &["OutOfMemory"]).await?;
        let advice = told.first().cloned().unwrap_or_default();
        ensure!(
            advice.message.contains("all 3 Ti were in use"),
            "{advice:?}"
        );
        ensure!(
            advice.remedy.contains(&format!("{fits} has 5 Ti")),
            "{advice:?}"
        );
        // Somebody who works has work that is not committed; whoever left may have forgotten it.
        quiet
            .agent
            .sees(json!({"git": work, "gitCheckedAt": Timestamp::now()}));
        quiet.pass(HOUR)?;
        let told = advised(&scene, "work is nowhere else", &["UnsavedWork"]).await?;
        ensure!(
            told.iter().any(|advice| advice.message.contains("src/app")),
            "{told:?}"
        );
        quiet.agent.type_now();
        advised(&scene, "somebody is back", &[]).await?;
        Ok(())
    })
    .await
}
