//! A writer that is killed before or after any statement: nothing is counted twice, nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use common::{
    Fact, World,
    database::{Database, read},
    subject,
};
use devserver_usage::{Meter, Moment, Phase, Store};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// An hour before midnight: a day ends in the middle of the story.
const BEGIN: i64 = 1_796_079_600;
const UNTIL: i64 = BEGIN + 7_200;
/// Seconds between two writes.
const WRITE: i64 = 600;
/// Seconds until a killed writer is back.
const DOWN: i64 = 20;

const URL: &str = "LEDGER_CRASH_URL";
const AT: &str = "LEDGER_CRASH_AT";
const CLOCK: &str = "LEDGER_CRASH_CLOCK";

/// Three environments, with a change in most of the stretches between two writes.
fn world() -> World {
    let fact = |from: i64, to: i64, subject: devserver_usage::Subject| Fact {
        from: BEGIN + from,
        to: BEGIN + to,
        subject,
    };
    let mut idle = subject("a", "x", 2);
    idle.phase = Phase::Idle;
    World::new(vec![
        fact(0, 1_500, subject("a", "x", 2)),
        fact(1_500, 2_900, idle),
        fact(2_900, 4_000, subject("a", "x", 2).stopped()),
        fact(4_000, 7_300, subject("a", "y", 8)),
        fact(700, 5_700, subject("b", "x", 4)),
        fact(6_300, 7_300, subject("b2", "x", 4)),
        fact(0, 7_300, subject("c", "z", 1)),
    ])
}

/// The writer: goes on from what the ledger and its clock say, and kills itself before the statement that it is told to.
#[tokio::test]
#[ignore = "started by the test below, as a process of its own"]
async fn writer() -> anyhow::Result<()> {
    let (Ok(url), Ok(clock)) = (std::env::var(URL), std::env::var(CLOCK)) else {
        return Ok(());
    };
    let at: Option<u32> = std::env::var(AT).ok().and_then(|text| text.parse().ok());
    let steps = Arc::new(AtomicU32::new(0));
    let counter = steps.clone();
    let store = Store::open(&url).await?.witnessed(Arc::new(move |_| {
        if at == Some(counter.fetch_add(1, Ordering::SeqCst)) {
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }));
    let mut now: i64 = std::fs::read_to_string(&clock)?.trim().parse()?;
    let (world, mut last) = (world(), None);
    let mut meter = Meter::new(store.state().await?);
    loop {
        let moment = Moment {
            wall: now,
            elapsed: last.map(|last| now - last),
        };
        meter.look(moment, &world.seen(now, 0));
        last = Some(now);
        if (now - BEGIN) % WRITE == 0 || now >= UNTIL {
            std::fs::write(&clock, now.to_string())?;
            let batch = meter.batch(true).context("nothing to write")?;
            store.write(&batch).await?;
            meter.wrote(batch.number);
        }
        if now >= UNTIL {
            store.close().await;
            println!("steps={}", steps.load(Ordering::SeqCst));
            return Ok(());
        }
        now += 5;
    }
}

/// Runs the writer to its end or to its death; how many statements there were, or `None` when it was killed.
fn write(url: &str, clock: &Path, at: Option<u32>) -> anyhow::Result<Option<u32>> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--ignored", "--exact", "writer", "--nocapture"])
        .env(URL, url)
        .env(CLOCK, clock)
        .stderr(Stdio::inherit());
    if let Some(at) = at {
        command.env(AT, at.to_string());
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let steps = text.split("steps=").nth(1);
    if let Some(steps) = steps.and_then(|rest| rest.split_whitespace().next()) {
        return Ok(Some(steps.parse()?));
    }
    ensure!(
        std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9),
        "{text}"
    );
    Ok(None)
}

async fn judge(url: &str, what: &str) -> anyhow::Result<()> {
    let book = read(url).await?;
    book.check(false);
    let until = book.at.unwrap_or_default();
    ensure!(
        (UNTIL..=UNTIL + DOWN).contains(&until),
        "{what}: counted to {until}"
    );
    let uid = |s: &devserver_usage::Subject| s.uid.clone();
    let (truth, counted) = (world().cpu((BEGIN, until), uid), book.cpu(uid));
    let all: i64 = truth.values().sum();
    for (uid, truth) in &truth {
        let error = counted.get(uid).copied().unwrap_or_default() - truth;
        ensure!(
            error.abs() * 100 < all,
            "{what}: {uid} is counted {error} wrong, of {all}"
        );
    }
    ensure!(counted.len() == truth.len(), "{what}: {counted:?}");
    Ok(())
}

async fn crash_at_every_statement(make: fn() -> anyhow::Result<Database>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = folder.path().join("clock");
    let server = make()?;
    let begin = || std::fs::write(&clock, BEGIN.to_string());
    begin()?;
    let steps = write(&server.url, &clock, None)?.context("the writer was killed by nobody")?;
    judge(&server.url, "without a crash").await?;
    for at in 0..steps {
        let url = fresh(&server, at).await?;
        begin()?;
        ensure!(
            write(&url, &clock, Some(at))?.is_none(),
            "nobody was killed at {at}"
        );
        let died: i64 = std::fs::read_to_string(&clock)?.trim().parse()?;
        std::fs::write(&clock, (died + DOWN).to_string())?;
        write(&url, &clock, None)?.context("the second writer was killed, too")?;
        judge(
            &url,
            &format!("{} killed before statement {at} of {steps}", server.name),
        )
        .await?;
    }
    println!("{}: killed before each of {steps} statements", server.name);
    Ok(())
}

/// Another, empty ledger of the same server.
async fn fresh(server: &Database, number: u32) -> anyhow::Result<String> {
    if let Some(path) = server.url.strip_prefix("sqlite:") {
        return Ok(format!(
            "sqlite:{}",
            path.replace("ledger.db", &format!("ledger{number}.db"))
        ));
    }
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&server.url).await?;
    let text = format!("CREATE DATABASE ledger{number}");
    sqlx::query(sqlx::AssertSqlSafe(text))
        .execute(&pool)
        .await?;
    pool.close().await;
    Ok(server
        .url
        .replace("/postgres?", &format!("/ledger{number}?")))
}

#[tokio::test]
async fn sqlite_a_writer_killed_at_any_statement_counts_nothing_twice_and_loses_nothing()
-> anyhow::Result<()> {
    crash_at_every_statement(Database::sqlite).await
}

#[tokio::test]
async fn postgres_a_writer_killed_at_any_statement_counts_nothing_twice_and_loses_nothing()
-> anyhow::Result<()> {
    crash_at_every_statement(Database::postgres).await
}
