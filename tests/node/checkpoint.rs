//! The checkpoint command saves the work before a machine ends, and people are told that their time runs out.

use std::time::Duration;

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::{
    machine::{User, succeeded},
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
        succeeded(&user.devctl(["suspend", "box"])?)?;
        let pods = user.api::<Pod>();
        until("no pod", Duration::from_mins(1), async || {
            Ok(Seen::when(pods.get_opt("box-0").await?.is_none(), "a pod"))
        })
        .await?;
        succeeded(&user.devctl([
            "resume",
            "box",
            "--wait",
            "--timeout",
            crate::machine::START,
        ])?)?;
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
    let key = user.key();
    let program = std::env::var_os("DEVSERVER_DEVCTL").unwrap();
    let mut command = std::process::Command::new(program);
    command.args([
        "ssh",
        "box",
        "-tt",
        "-i",
        &key,
        "--",
        "echo there; sleep 900",
    ]);
    user.prepare(&mut command);
    let log = std::fs::File::create(user.file("session.log"))?;
    let mut session = command
        .stdin(std::process::Stdio::null())
        .stdout(log)
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let heard = || std::fs::read_to_string(user.file("session.log")).unwrap_or_default();
    until("the first warning", Duration::from_mins(3), async || {
        Ok(Seen::when(heard().contains("is deleted in"), heard()))
    })
    .await?;
    succeeded(&user.devctl(["extend", "box", "1h"])?)?;
    until("the new end", Duration::from_mins(3), async || {
        Ok(Seen::when(heard().contains("in 1 hour"), heard()))
    })
    .await?;
    // A login shows the end, too.
    let shell = user.types(
        ["ssh", "box", "-tt", "-i", &key, "-o", "LogLevel=ERROR"],
        "exit\n",
    )?;
    let seen = String::from_utf8_lossy(&shell.stdout).into_owned();
    ensure!(seen.contains("This machine is deleted at "), "{seen}");
    session.kill()?;
    session.wait()?;
    user.leave().await;
    Ok(())
}
