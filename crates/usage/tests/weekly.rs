//! The weekly report: the same words for the same week, whenever and from whichever database it is made.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use anyhow::Context as _;
use common::{database::Database, subject};
use devserver_api::usage::UsageReport;
use devserver_core::message::Message;
use devserver_usage::{
    Meter, Moment, Phase, Seen, Store, Subject, Window,
    meter::Use,
    price::{Item, Point},
    weekly::{html, message, subject_line, text},
};

/// Monday.
const WEEK: i64 = 1_795_392_000;
const DAY: i64 = 86_400;
const CONSOLE: Option<&str> = Some("https://console.example.com/");

fn environment(uid: &str, owner: &str, team: &str, cores: i64, project: &str) -> Subject {
    Subject {
        owner: owner.to_owned(),
        namespace: format!("dev-{owner}"),
        project: project.to_owned(),
        ..subject(uid, team, cores)
    }
}

/// Who is there at an instant, and what they use: office hours, a night that nobody stopped, a training job.
fn seen(at: i64) -> Vec<Seen> {
    let (day, hour) = ((at - WEEK).div_euclid(DAY), at.rem_euclid(DAY) / 3_600);
    let is_office = (0..5).contains(&day.rem_euclid(7)) && (8..18).contains(&hour);
    let one = |subject: Subject, phase: Phase, cpu: i64, gib: i64| {
        let subject = if phase == Phase::Stopped {
            subject.stopped()
        } else {
            Subject { phase, ..subject }
        };
        Seen {
            created: Some(WEEK - 7 * DAY),
            since: None,
            used: (phase != Phase::Stopped).then_some(Use {
                cpu_milli: cpu,
                memory_bytes: gib << 30,
            }),
            subject,
        }
    };
    let at_night = |phase| if is_office { Phase::Running } else { phase };
    let (works, sleeps) = (at_night(Phase::Idle), at_night(Phase::Stopped));
    let (lead, busy) = ("genomics", if is_office { 900 } else { 20 });
    [
        ("notebook", "alice", lead, 8, "assembly", works, busy, 5),
        (
            "training",
            "bob",
            lead,
            16,
            "models",
            Phase::Running,
            15_200,
            60,
        ),
        ("web", "carol", lead, 2, "portal", sleeps, 1_100, 6),
        ("old", "<dave>", lead, 4, "portal", Phase::Idle, 5, 1),
        ("large", "erin", lead, 16, "assembly", sleeps, 700, 4),
        ("other", "frank", "imaging", 4, "", Phase::Running, 3_000, 9),
    ]
    .into_iter()
    .map(|(uid, owner, team, cores, project, phase, cpu, gib)| {
        one(
            environment(uid, owner, team, cores, project),
            phase,
            cpu,
            gib,
        )
    })
    .collect()
}

fn point(item: Item, starts: i64, micros: i64) -> Point {
    Point {
        item,
        currency: "EUR".to_owned(),
        starts,
        micros,
    }
}

async fn count(store: &Store, from: i64, to: i64) -> anyhow::Result<()> {
    let mut meter = Meter::new(store.state().await?);
    let mut at = from;
    while at <= to {
        let elapsed = meter.at().filter(|_| at > from).map(|before| at - before);
        meter.look(Moment { wall: at, elapsed }, &seen(at));
        at += 900;
    }
    let batch = meter.batch(true).unwrap_or_default();
    store.write(&batch).await?;
    Ok(())
}

/// The event says what the mail says.
fn is_the_same_report(event: &Message, plain: &str) -> anyhow::Result<()> {
    assert_eq!(
        (event.id.as_str(), event.source.as_str()),
        ("usage-2026-W48-genomics", "/teams/genomics")
    );
    assert_eq!(event.text, plain);
    let data = &event.data;
    let wasteful = data["wasteful"].as_array().context("no list")?;
    assert_eq!(wasteful.len(), 5);
    assert_eq!(
        wasteful[0]["link"],
        "https://console.example.com/environments/dev-alice/notebook"
    );
    assert_eq!(data["days"].as_array().map(Vec::len), Some(7));
    let report: UsageReport = serde_json::from_value(data["report"].clone())?;
    let lines = report.lines.iter().map(|line| line.total_cost_micros);
    assert_eq!(lines.sum::<i64>(), report.total.total_cost_micros);
    assert_eq!(
        (data["team"].as_str(), data["week"].as_str()),
        (Some("genomics"), Some("2026-W48"))
    );
    Ok(())
}

#[tokio::test]
async fn a_past_week_is_told_in_the_same_words_by_both_databases_whatever_came_later()
-> anyhow::Result<()> {
    let week = Window {
        since: WEEK,
        until: WEEK + 7 * DAY,
    };
    let mut told = Vec::new();
    for database in Database::both()? {
        let store = Store::open(&database.url).await?;
        store
            .write_prices(&[
                point(Item::CpuCoreHour, 0, 30_000),
                point(Item::MemoryGibHour, 0, 4_000),
                point(Item::VolumeGibMonth, 0, 80_000),
                point(Item::CpuCoreHour, WEEK + 3 * DAY, 35_000),
            ])
            .await?;
        count(&store, WEEK - 7 * DAY, WEEK + 8 * DAY).await?;
        let weekly = store.weekly("genomics", week, "EUR").await?;
        let (plain, page) = (text(&weekly, CONSOLE), html(&weekly, CONSOLE));
        let csv = weekly.report.wire(week.until).csv();
        let event = message(&weekly, CONSOLE);
        store
            .write_prices(&[point(Item::CpuCoreHour, WEEK + 9 * DAY, 99_000)])
            .await?;
        count(&store, WEEK + 8 * DAY + 60, WEEK + 20 * DAY).await?;
        let again = store.weekly("genomics", week, "EUR").await?;
        assert_eq!(weekly, again, "{}: the past has changed", database.name);
        assert_eq!(store.teams(week).await?, ["genomics", "imaging"]);
        told.push((subject_line(&weekly), plain, page, csv, event));
    }
    assert_eq!(
        told.first(),
        told.last(),
        "SQLite and PostgreSQL tell the same"
    );
    let Some((subject, plain, page, csv, event)) = told.pop() else {
        anyhow::bail!("nothing was told");
    };
    assert!(!page.contains("<dave>"), "names are text");
    if let Ok(path) = std::env::var("WEEKLY_HTML") {
        std::fs::write(path, &page)?;
    }
    insta::assert_snapshot!("subject", subject);
    insta::assert_snapshot!("text", plain);
    insta::assert_snapshot!("html", page);
    insta::assert_snapshot!("csv", csv);
    is_the_same_report(&event, &plain)?;
    Ok(())
}
