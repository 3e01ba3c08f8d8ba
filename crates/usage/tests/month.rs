//! Ten thousand environments for a month: how large the ledger gets, how long a report takes, how much memory that needs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use std::time::Instant;

use anyhow::{Context as _, ensure};
use common::{database::Database, subject};
use devserver_usage::{
    Batch, By, Filter, Interval, Phase, Store, Subject, Used, Window,
    price::{Item, Point},
};

const ENVIRONMENTS: i64 = 10_000;
const DAYS: i64 = 30;
/// Midnight, the first of a month.
const BEGIN: i64 = 1_793_491_200;
const DAY: i64 = 86_400;

/// A day of one environment: stopped, at work, idle, at work, idle, stopped.
fn day(number: i64) -> [(i64, Phase); 6] {
    let begin = 7 * 3_600 + number % 7_200;
    [
        (0, Phase::Stopped),
        (begin, Phase::Running),
        (begin + 14_400, Phase::Idle),
        (begin + 18_000, Phase::Running),
        (begin + 32_400, Phase::Idle),
        (begin + 43_200, Phase::Stopped),
    ]
}

fn of(number: i64, phase: Phase) -> Subject {
    let base = Subject {
        owner: format!("user-{:04}@example.com", number / 3),
        namespace: format!("dev-user-{:04}", number / 3),
        project: format!("project-{}", number % 200),
        ..subject(
            &format!("6f1c2d7e-0000-4000-8000-{number:012}"),
            &format!("team-{}", number % 40),
            2 << (number % 4),
        )
    };
    if phase == Phase::Stopped {
        base.stopped()
    } else {
        Subject { phase, ..base }
    }
}

fn batch(after: i64, today: i64) -> Batch {
    let begin = BEGIN + today * DAY;
    let mut batch = Batch {
        after,
        number: after + 1,
        at: begin + DAY,
        ..Batch::default()
    };
    for number in 0..ENVIRONMENTS {
        let spans = day(number);
        for (place, (start, phase)) in spans.iter().enumerate() {
            let subject = of(number, *phase);
            let end = spans.get(place + 1).map_or(DAY, |(start, _)| *start);
            let (id, seconds) = (subject.id(), end - start);
            let used = if *phase == Phase::Stopped {
                Used::default()
            } else {
                Used {
                    measured: seconds,
                    cpu_milli_seconds: seconds * 400,
                    memory_byte_seconds: seconds << 31,
                    peak_memory_bytes: 3 << 30,
                }
            };
            if today == 0 {
                batch.subjects.insert(id, subject);
            }
            batch.intervals.push(Interval {
                subject: id,
                batch: after + 1,
                start: begin + start,
                end: Some(begin + end),
                used,
            });
        }
    }
    batch
}

fn memory_kib() -> anyhow::Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

const WEEK: Window = Window {
    since: BEGIN + 7 * DAY,
    until: BEGIN + 14 * DAY,
};

async fn fill(store: &Store) -> anyhow::Result<()> {
    let point = |item, micros| Point {
        item,
        currency: "EUR".to_owned(),
        starts: 0,
        micros,
    };
    store
        .write_prices(&[
            point(Item::CpuCoreHour, 30_000),
            point(Item::MemoryGibHour, 4_000),
            point(Item::VolumeGibMonth, 80_000),
        ])
        .await?;
    let begun = Instant::now();
    for today in 0..DAYS {
        store.write(&batch(today, today)).await?;
    }
    println!(
        "written: {} intervals in {:.0?}",
        ENVIRONMENTS * DAYS * 6,
        begun.elapsed()
    );
    println!("size: {} MiB", store.size().await? >> 20);
    Ok(())
}

async fn tell_weekly(store: &Store) -> anyhow::Result<()> {
    let begun = Instant::now();
    let weekly = store.weekly("team-7", WEEK, "EUR").await?;
    println!(
        "weekly report of a team: {} environments in {:.2?}",
        weekly.environments.len(),
        begun.elapsed()
    );
    Ok(())
}

/// What a page of the console asks for besides a report.
async fn tell_days(store: &Store, month: Window) -> anyhow::Result<()> {
    let all = Filter::default();
    let begun = Instant::now();
    let days = store.days(month, &all, "EUR").await?;
    let took = begun.elapsed();
    println!("each day of the month: {} days in {took:.2?}", days.len());
    // As long as the console waits for it.
    ensure!(
        took.as_secs_f64() < 30.0,
        "each day of the month took {took:?}"
    );
    let one = Filter {
        team: Some("team-7".to_owned()),
        ..Filter::default()
    };
    let begun = Instant::now();
    let days = store.days(month, &one, "EUR").await?;
    let own = begun.elapsed();
    println!("the same of one team: {} days in {own:.2?}", days.len());
    ensure!(own < took, "one team took {own:?}, all took {took:?}");
    // What a page of the console begins with.
    let begun = Instant::now();
    let report = store.report(month, By::Environment, &one, "EUR").await?;
    let own = begun.elapsed();
    let lines = report.lines.len();
    println!("month by environment of one team: {lines} lines in {own:.2?}");
    ensure!(
        own.as_secs_f64() < 2.5,
        "the month of one team took {own:?}"
    );
    Ok(())
}

#[tokio::test]
#[ignore = "nightly: writes 1.8 million intervals"]
async fn ten_thousand_environments_for_a_month_are_reported_in_under_five_seconds_in_flat_memory()
-> anyhow::Result<()> {
    let database = Database::sqlite()?;
    let store = Store::open(&database.url).await?;
    fill(&store).await?;
    let (all, month) = (
        Filter::default(),
        Window {
            since: BEGIN,
            until: BEGIN + DAYS * DAY,
        },
    );
    let mut after_first = None;
    for (what, window, by) in [
        ("month by team", month, By::Team),
        ("month by environment", month, By::Environment),
        ("week by owner", WEEK, By::Owner),
        ("month by team, again", month, By::Team),
        ("month by flavor", month, By::Flavor),
        ("month by environment, again", month, By::Environment),
    ] {
        let begun = Instant::now();
        let report = store.report(window, by, &all, "EUR").await?;
        let (took, memory) = (begun.elapsed(), memory_kib()?);
        println!(
            "{what}: {} lines in {took:.2?}, {} MiB resident",
            report.lines.len(),
            memory >> 10
        );
        ensure!(took.as_secs_f64() < 5.0, "{what} took {took:?}");
        let running: i64 = ENVIRONMENTS * window.seconds() / DAY * 43_200;
        ensure!(
            report.total.running_seconds == running,
            "{what}: {} of {running}",
            report.total.running_seconds
        );
        if what == "month by environment" {
            after_first = Some(memory);
        }
    }
    tell_days(&store, month).await?;
    let (first, last) = (after_first.context("nothing was measured")?, memory_kib()?);
    ensure!(
        last < first + 32 * 1_024,
        "memory grew from {first} to {last} KiB"
    );
    tell_weekly(&store).await
}
