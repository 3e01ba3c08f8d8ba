//! The checkpoint command saves the work before a machine ends, and people are told that their time runs out.

use std::time::Duration;

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};
use serde_json::json;

use crate::{
    machine::{User, succeeded},
    session::Session,
    spec,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_command_saves_the_work_before_a_suspend() -> anyhow::Result<()> {
    for mode in ["InContainer", "Sidecar"] {
        let user = User::new(&format!("checkpoint-{}", mode.to_lowercase())).await?;
        let command = "sleep 2; id -u > saved; echo \"$0 $(pwd)\" >> saved; echo done";
        let lifecycle = json!({"checkpoint": {"command": ["sh", "-c", command, "$(id)"], "gracePeriodSeconds": 20}});
        let spec = json!({"ssh": {"mode": mode}, "lifecycle": lifecycle});
        spec::create(&user, "box", spec).await?;
        user.suspend_and_resume("box").await?;
        let said = user.says(
            "box",
            "cd /home/dev; cat saved .local/state/devserver/checkpoint.log",
        )?;
        ensure!(said == "1000\n$(id) /home/dev\ndone", "{mode}: {said}");
        user.leave().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_in_hears_that_the_time_runs_out_and_of_more_time() -> anyhow::Result<()> {
    let user = User::new("warned").await?;
    spec::create(&user, "box", json!({"lifecycle": {"timeToLive": "6m"}})).await?;
    let mut session = Session::start(&user, "box", "echo there; sleep 900")?;
    until("the first warning", Duration::from_mins(3), async || {
        Ok(Seen::when(
            session.heard().contains("is deleted in"),
            session.heard(),
        ))
    })
    .await?;
    succeeded(&user.devctl(["extend", "box", "1h"])?)?;
    until("the new end", Duration::from_mins(3), async || {
        Ok(Seen::when(
            session.heard().contains("in 1 hour"),
            session.heard(),
        ))
    })
    .await?;
    // A login shows the end, too.
    let seen = user.greeting("box")?;
    ensure!(seen.contains("This machine is deleted at "), "{seen}");
    session.process.kill()?;
    session.process.wait()?;
    user.leave().await;
    Ok(())
}
