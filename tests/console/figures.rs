//! What the way through the console costs: of each figure the same is measured without the console, in the same run. Nightly:
//! on a machine that does something else they say nothing. With `DEVSERVER_CONSOLE` it is the release build that is measured.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::{
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{
    browser::Browser,
    editors::{echo, websocket},
    rig::{CONSOLE, More, Rig},
    upstream::Upstream,
};

/// Many connections of one user.
const LIMITS: More<'_> = More {
    config: &[(
        "limits",
        r#"{"loginsPerMinute": 100000, "writesPerMinute": 100000, "editorConnectionsPerUser": 2000}"#,
    )],
    platform: None,
    ledger: None,
};
const ROUNDS: usize = 3000;
const MANY: usize = 1000;

/// The part of a sorted list below which so much of it lies.
fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let place = (times.len() as f64 * part) as usize;
    times.get(place).map_or(0.0, Duration::as_secs_f64) * 1000.0
}

async fn echoes(browser: &Browser, host: &str) -> anyhow::Result<Vec<Duration>> {
    let origin = format!("https://{host}");
    let mut socket = websocket(browser, host, Some(&origin))
        .await?
        .map_err(|status| anyhow::anyhow!("no websocket: {status}"))?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        echo(&mut socket).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

#[tokio::test]
#[ignore = "nightly: figures of a quiet machine"]
async fn a_key_that_is_typed_is_at_most_three_milliseconds_later_through_the_console()
-> anyhow::Result<()> {
    with_namespace("figures-echo", async |scene| {
        let rig = Rig::with(&scene, LIMITS).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let direct = Browser::new(upstream.address);
        // Once to warm up, then in turn.
        echoes(&direct, &host).await?;
        echoes(&alice, &host).await?;
        let (mut near, mut through) = (
            echoes(&direct, &host).await?,
            echoes(&alice, &host).await?,
        );
        let figures = json!({
            "direct_p50_ms": percentile(&mut near, 0.5), "direct_p99_ms": percentile(&mut near, 0.99),
            "console_p50_ms": percentile(&mut through, 0.5), "console_p99_ms": percentile(&mut through, 0.99),
        });
        println!("echo: {figures}");
        let added = percentile(&mut through, 0.99) - percentile(&mut near, 0.99);
        ensure!(added < 3.0, "{added} ms more: {figures}");
        Ok(())
    })
    .await
}

/// MiB per second of a body in that direction.
async fn speed(browser: &mut Browser, host: &str, path: &str, size: usize) -> anyhow::Result<f64> {
    let body = "x".repeat(size);
    let mebibytes = 64.0;
    let begun = Instant::now();
    let origin = format!("https://{host}");
    let headers = [
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    browser
        .send(Method::POST, host, path, &headers, body)
        .await?
        .expect(200)?;
    Ok(mebibytes / begun.elapsed().as_secs_f64())
}

#[tokio::test]
#[ignore = "nightly: figures of a quiet machine"]
async fn files_go_through_the_console_at_half_the_speed_of_no_hop_at_least() -> anyhow::Result<()> {
    with_namespace("figures-copy", async |scene| {
        let rig = Rig::with(&scene, LIMITS).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let mut direct = Browser::new(upstream.address);
        for (path, size) in [("/count", 64 << 20), ("/blob", 0)] {
            let (mut near, mut through) = (Vec::new(), Vec::new());
            for _ in 0..5 {
                near.push(speed(&mut direct, &host, path, size).await?);
                through.push(speed(&mut alice, &host, path, size).await?);
            }
            near.sort_by(f64::total_cmp);
            through.sort_by(f64::total_cmp);
            println!(
                "copy {path}: direct {:.0} MiB/s, console {:.0} MiB/s",
                near[2], through[2]
            );
            ensure!(
                through[2] >= 0.5 * near[2],
                "{path}: {through:?} of {near:?}"
            );
        }
        Ok(())
    })
    .await
}

/// Resident memory of the console in MiB.
fn resident(rig: &Rig) -> anyhow::Result<f64> {
    let pid = rig.process.id().context("the console has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let text = line.and_then(|l| l.split_whitespace().next());
    Ok(text.context("no VmRSS")?.parse::<f64>()? / 1024.0)
}

#[tokio::test]
#[ignore = "nightly: figures of a quiet machine"]
async fn a_thousand_idle_websockets_take_less_than_150_mebibytes() -> anyhow::Result<()> {
    with_namespace("figures-idle", async |scene| {
        let rig = Rig::with(&scene, LIMITS).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let before = resident(&rig)?;
        let origin = format!("https://{host}");
        let mut sockets = Vec::with_capacity(MANY);
        for _ in 0..MANY {
            let opened = websocket(&alice, &host, Some(&origin)).await?;
            sockets.push(opened.map_err(|status| anyhow::anyhow!("no websocket: {status}"))?);
        }
        // Longer than the right to them is looked at.
        tokio::time::sleep(Duration::from_secs(12)).await;
        let with = resident(&rig)?;
        println!("idle: {before:.0} MiB before, {with:.0} MiB with {MANY} websockets");
        for socket in &mut sockets {
            echo(socket).await?;
        }
        ensure!(with < 150.0, "{with} MiB");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "nightly: figures of a quiet machine"]
async fn the_list_of_a_thousand_environments_comes_within_a_second() -> anyhow::Result<()> {
    with_namespace("figures-list", async |scene| {
        let rig = Rig::with(&scene, LIMITS).await?;
        let servers: Api<DevServer> = scene.api();
        let owner = &rig.account.username;
        stream::iter(0..MANY)
            .map(|number| {
                let servers = servers.clone();
                async move {
                    let object = json!({
                        "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": format!("box-{number}")},
                        "spec": {"owner": owner, "suspend": true, "ssh": {"mode": "Disabled"}},
                    });
                    servers.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
                    anyhow::Ok(())
                }
            })
            .buffer_unordered(16)
            .try_collect::<Vec<_>>()
            .await?;
        let mut alice = rig.login(owner).await?;
        wait::until("all are on the page", PATIENCE, async || {
            let page = alice.get(CONSOLE, "/").await?.expect(200)?;
            let count = page.text.matches("class=\"card\"").count();
            Ok(Seen::when(count >= MANY, format!("{count} cards")))
        })
        .await?;
        let mut times = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            alice.get(CONSOLE, "/").await?.expect(200)?;
            times.push(begun.elapsed());
        }
        let (half, most) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
        println!("list of {MANY}: p50 {half:.0} ms, p99 {most:.0} ms, {:.0} MiB", resident(&rig)?);
        ensure!(most < 1000.0, "p99 {most} ms");
        Ok(())
    })
    .await
}
