//! The ledger of usage: what is counted, across a crash, who may read it, and what a budget does.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{
    DevServer, condition,
    usage::{AUDIENCE, PATH, SERVICE, TOKEN_HEADER, UsageReport},
};
use devserver_e2e::{has_reason, is_running};
use devserver_testkit::{
    Operator, Scene,
    account::Account,
    kubelet::{Fortune, Kubelet},
    operator::Settings,
    sample, scene,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

/// A ledger in a folder that goes with the test.
fn config(folder: &tempfile::TempDir, more: &str) -> String {
    let path = folder.path().join("ledger.db");
    format!(
        "usage: {{databaseFile: {}, currency: EUR, prices: [{{from: 2020-01-01, cpuMicrosPerCoreHour: 30000, memoryMicrosPerGibHour: 4000}}]}}\n{more}",
        path.display()
    )
}

/// A token of a ServiceAccount, made as `devctl usage` makes it.
async fn token(scene: &Scene, account: &str, audience: &str) -> anyhow::Result<String> {
    let api: Api<ServiceAccount> = Api::namespaced(scene.client(), scene.namespace());
    if api.get_opt(account).await?.is_none() {
        let made = ServiceAccount {
            metadata: ObjectMeta {
                name: Some(account.to_owned()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        api.create(&PostParams::default(), &made).await?;
    }
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(vec![audience.to_owned()]),
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let given = api
        .create_token_request(account, &PostParams::default(), &wanted)
        .await?;
    given
        .status
        .and_then(|status| status.token)
        .context("no token")
}

async fn report(operator: &Operator, token: &str, by: &str) -> anyhow::Result<UsageReport> {
    let now = jiff::Timestamp::now().as_second();
    let (since, until) = (now - 86_400, now + 10 * 86_400);
    let path = format!("{PATH}?since={since}&until={until}&by={by}");
    let answer = operator
        .usage(&path, &format!("{TOKEN_HEADER}: {token}\r\n"))
        .await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).context("no body")?;
    Ok(serde_json::from_str(body)?)
}

/// Nobody looks until that much later. Time that is moved before somebody's eyes is a clock that jumps, and does not count.
async fn away(operator: &Operator, seconds: i64) -> anyhow::Result<()> {
    operator.kill().await?;
    operator.set_time(seconds)?;
    operator.spawn().await?;
    operator.wait_ready().await
}

/// Waits until the report says so.
async fn until(
    operator: &Operator,
    token: &str,
    what: &str,
    holds: impl Fn(&UsageReport) -> bool,
) -> anyhow::Result<UsageReport> {
    wait::until(what, Duration::from_secs(150), async || {
        let report = report(operator, token, "environment").await?;
        Ok(Seen::when(holds(&report), format!("{:?}", report.total)))
    })
    .await?;
    report(operator, token, "environment").await
}

#[tokio::test]
async fn what_runs_is_counted_and_a_crash_counts_nothing_twice_and_loses_nothing()
-> anyhow::Result<()> {
    with_namespace("usage", async |scene| {
        let folder = tempfile::tempdir()?;
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        let settings = Settings {
            config: Some(config(&folder, "")),
            ..Settings::alone(scene.namespace())
        };
        let operator = scene.operator_with(&settings).await?;
        let _kubelet = Kubelet::start(&scene.client(), scene.namespace(), Fortune::Ready);
        let api: Api<DevServer> = Api::namespaced(scene.client(), scene.namespace());
        api.create(
            &PostParams::default(),
            &sample::devserver(sample::NAME, &flavor),
        )
        .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let token = token(&scene, SERVICE, AUDIENCE).await?;
        // Long enough for a look of the ledger's: the next one finds it an hour later as it was.
        let name = format!("{}/{}", scene.namespace(), sample::NAME);
        until(&operator, &token, "it is known", |r| {
            r.lines.iter().any(|line| line.name == name)
        })
        .await?;
        away(&operator, 3_600).await?;
        let running = |report: &UsageReport| report.total.running_seconds;
        let first = until(&operator, &token, "an hour is counted", |r| {
            running(r) >= 3_600
        })
        .await?;
        ensure!(
            first.lines.iter().any(|line| line.name == name),
            "{first:?}"
        );
        away(&operator, 7_200).await?;
        let second = until(&operator, &token, "another hour is counted", |r| {
            running(r) >= 7_200
        })
        .await?;
        // Two hours, and the little time for which the test itself has been running.
        ensure!(running(&second) < 7_200 + 400, "{second:?}");
        let cores = second.total.cpu_milli_seconds;
        ensure!(cores == running(&second) * 500, "half a core: {second:?}");
        let cost = second.total.total_cost_micros;
        // Half a core at 0.03 and one GiB at 0.004 an hour.
        let expected = running(&second) * 19_000 / 3_600;
        ensure!(
            (cost - expected).abs() <= expected / 100,
            "{cost} for {expected}"
        );
        let suspend = json!({"spec": {"suspend": true}});
        api.patch(
            sample::NAME,
            &PatchParams::default(),
            &Patch::Merge(suspend),
        )
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b2_reports_open_for_the_ledgers_own_token_and_for_nothing_else() -> anyhow::Result<()> {
    with_namespace("usage readers", async |scene| {
        let folder = tempfile::tempdir()?;
        let settings = Settings {
            config: Some(config(&folder, "")),
            ..Settings::alone(scene.namespace())
        };
        let operator = scene.operator_with(&settings).await?;
        let good = token(&scene, SERVICE, AUDIENCE).await?;
        let of_another = token(&scene, "somebody", AUDIENCE).await?;
        let for_another = token(
            &scene,
            SERVICE,
            "https://kubernetes.default.svc.cluster.local",
        )
        .await?;
        let path = format!("{PATH}?since=1");
        for (what, headers) in [
            ("none", String::new()),
            ("an empty one", format!("{TOKEN_HEADER}: \r\n")),
            ("no token", format!("{TOKEN_HEADER}: hunter2\r\n")),
            (
                "one of another account",
                format!("{TOKEN_HEADER}: {of_another}\r\n"),
            ),
            (
                "one for another audience",
                format!("{TOKEN_HEADER}: {for_another}\r\n"),
            ),
            (
                "a good one in the wrong place",
                format!("Authorization: Bearer {good}\r\n"),
            ),
        ] {
            let answer = operator.usage(&path, &headers).await?;
            ensure!(answer.starts_with("HTTP/1.1 401"), "{what}: {answer}");
        }
        let good = format!("{TOKEN_HEADER}: {good}\r\n");
        for (query, status) in [
            ("since=1", "400"),
            ("since=-5&until=5", "400"),
            ("since=5&until=5", "400"),
            ("since=5&until=9&team=a%27%20OR%201=1--", "200"),
            ("since=5&until=9&by=secrets", "400"),
            ("since=5&until=9&sql=1", "400"),
        ] {
            let answer = operator.usage(&format!("{PATH}?{query}"), &good).await?;
            ensure!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{query}: {answer}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_team_without_money_left_starts_nobody_new_and_keeps_what_runs() -> anyhow::Result<()> {
    with_namespace("usage budget", async |scene| {
        let folder = tempfile::tempdir()?;
        let account = Account::new(&scene).await?;
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        // A hundredth of a cent: spent in less than a minute, and at once when time is moved.
        let budget = "teams: {genomics: {budget: {microsPerMonth: 100}}}";
        let operator = scene
            .operator_with(&account.settings(Some(&config(&folder, budget))))
            .await?;
        account.ready(json!({"teams": ["genomics"]})).await?;
        let _kubelet = Kubelet::start(&scene.client(), &account.namespace(), Fortune::Ready);
        let servers: Api<DevServer> = account.api();
        let create = async |name: &str| {
            let mut server = sample::devserver(name, &flavor);
            server.spec.owner = Some(account.username.clone());
            servers.create(&PostParams::default(), &server).await
        };
        create("first").await?;
        scene::status(&servers, "first", "runs", is_running).await?;
        let token = token(&scene, SERVICE, AUDIENCE).await?;
        until(&operator, &token, "it is known", |r| !r.lines.is_empty()).await?;
        away(&operator, 600).await?;
        until(&operator, &token, "money is spent", |r| {
            r.total.total_cost_micros > 100
        })
        .await?;
        // What is spent is read when the ledger is opened, and every five minutes.
        operator.restart().await?;
        wait::until("the operator knows", Duration::from_secs(60), async || {
            let page = operator.page("/metrics").await?;
            let line = page
                .lines()
                .find(|line| line.starts_with("devserver_operator_usage_team_spent_micros{"))
                .unwrap_or_default()
                .to_owned();
            let spent: i64 = line
                .split(' ')
                .nth(1)
                .and_then(|n| n.parse().ok())
                .unwrap_or_default();
            Ok(Seen::when(spent > 100, line))
        })
        .await?;
        create("second").await?;
        let refused =
            |s: &devserver_api::DevServerStatus| has_reason(s, condition::VALID, "TeamBudgetSpent");
        scene::status(&servers, "second", "is refused", refused).await?;
        operator.restart().await?;
        scene::status(&servers, "first", "runs on", is_running).await?;
        Ok(())
    })
    .await
}
