//! The weekly report, by mail and by webhook, with the real operator and the time moved: each way once per week and team.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, usage::UsageReport};
use devserver_e2e::is_running;
use devserver_testkit::{
    Operator,
    kubelet::Fortune,
    operator::Settings,
    sample,
    wait::{self, Seen},
    with_namespace,
};
use kube::{Api, api::PostParams};
use serde_json::Value;

use super::idle_sinks::{Got, Mailbox, Receiver};

const DAY: i64 = 86_400;
const KEY: &str = "a key of the webhook";

/// Nobody looks until that much later.
async fn away(operator: &Operator, seconds: i64) -> anyhow::Result<()> {
    operator.kill().await?;
    operator.set_time(seconds)?;
    operator.spawn().await?;
    operator.wait_ready().await
}

/// Waits until so many events have come, and no more.
async fn events(receiver: &Receiver, wanted: usize) -> anyhow::Result<Vec<Got>> {
    wait::until(
        "the weekly event is there",
        Duration::from_mins(5),
        async || {
            let got = receiver.got("/usage");
            ensure!(got.len() <= wanted, "{} events: {got:?}", got.len());
            Ok(Seen::when(
                got.len() == wanted,
                format!("{} events", got.len()),
            ))
        },
    )
    .await?;
    Ok(receiver.got("/usage"))
}

/// What is in the ledger before the first week ends.
async fn until_counted(operator: &Operator) -> anyhow::Result<()> {
    wait::until("something is counted", Duration::from_mins(4), async || {
        let page = operator.page("/metrics").await?;
        let mut lines = page.lines();
        let line = lines
            .find(|line| line.starts_with("devserver_operator_usage_writes_total{outcome=\"ok\"}"));
        Ok(Seen::when(line.is_some(), page))
    })
    .await
}

fn is_of_the_team(event: &Got) -> anyhow::Result<Value> {
    event.is_signed(KEY)?;
    let body: Value = serde_json::from_str(&event.body)?;
    for (field, expected) in [
        ("specversion", "1.0"),
        ("type", "io.devserver.usage.weekly"),
        ("id", event.id.as_str()),
        ("source", "/teams/genomics"),
    ] {
        let told = body.get(field).and_then(Value::as_str);
        ensure!(told == Some(expected), "{field}: {body}");
    }
    let report = body.pointer("/data/report").context("no report")?;
    let report: UsageReport = serde_json::from_value(report.clone())?;
    let line = report.lines.first().context("no line")?;
    ensure!(
        line.name.ends_with(&format!("/{}", sample::NAME)) && line.running_seconds > 0,
        "{report:?}"
    );
    Ok(body)
}

#[tokio::test]
async fn s3_30_each_week_a_team_gets_one_mail_and_one_signed_event_across_restarts()
-> anyhow::Result<()> {
    with_namespace("usage weekly", async |scene| {
        let (mailbox, receiver) = (Mailbox::start().await?, Receiver::start().await?);
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key");
        std::fs::write(&key, format!("{KEY}\n"))?;
        let config = format!(
            "usage:\n  databaseFile: {}\n  currency: EUR\n  weeklyReport:\n    hour: 0\n    recipients: {{genomics: [lead@example.com]}}\n    \
             mail: {{host: 127.0.0.1, port: {}, encryption: None, from: devservers@example.com}}\n    \
             webhook: {{url: '{}', keyFile: '{}'}}\n",
            folder.path().join("ledger.db").display(),
            mailbox.port(),
            receiver.url("/usage"),
            key.display(),
        );
        let settings = Settings {
            config: Some(config),
            ..Settings::alone(scene.namespace())
        };
        let operator = scene.operator_with(&settings).await?;
        let _kubelet = scene.kubelet(Fortune::Ready);
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        let mut server = sample::devserver(sample::NAME, &flavor);
        server.spec.team = Some("genomics".to_owned());
        let servers: Api<DevServer> = scene.api();
        servers.create(&PostParams::default(), &server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        until_counted(&operator).await?;
        ensure!(receiver.got("/usage").is_empty(), "a week that is not over is told");
        away(&operator, 8 * DAY).await?;
        let first = events(&receiver, 1).await?;
        // Another process, which knows of nothing that was sent but what the ledger tells.
        operator.restart().await?;
        until_counted(&operator).await?;
        wait::no_writes(operator.trace(), Duration::from_secs(3)).await?;
        away(&operator, 15 * DAY).await?;
        let both = events(&receiver, 2).await?;
        let bodies = both.iter().map(is_of_the_team).collect::<anyhow::Result<Vec<_>>>()?;
        let weeks: BTreeSet<&str> = bodies.iter().filter_map(|b| b["data"]["week"].as_str()).collect();
        ensure!(weeks.len() == 2 && first[0].id == both[0].id, "{weeks:?}");
        wait::until("both weeks are mailed", Duration::from_mins(4), async || {
            let mails = mailbox.mails();
            ensure!(mails.len() <= 2, "{} mails", mails.len());
            Ok(Seen::when(mails.len() == 2, format!("{} mails", mails.len())))
        })
        .await?;
        let mails = mailbox.mails();
        ensure!(mails.iter().all(|mail| mail.contains("To: lead@example.com")), "{mails:?}");
        Ok(())
    })
    .await
}
