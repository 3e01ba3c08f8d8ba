//! SQLite and PostgreSQL: the same promises, the same tests.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use common::{
    database::{Database, read},
    subject,
};
use devserver_usage::{
    Batch, By, Filter, Meter, Moment, Seen, Store, StoreError, Window,
    meter::Use,
    price::{Item, Point},
    store::{Turn, Way},
};

const BEGIN: i64 = 1_796_040_000;

fn seen(uid: &str, team: &str, cores: i64) -> Seen {
    Seen {
        subject: subject(uid, team, cores),
        created: Some(BEGIN),
        since: Some(BEGIN),
        used: Some(Use {
            cpu_milli: 250 * cores,
            memory_bytes: cores << 31,
        }),
    }
}

fn look(meter: &mut Meter, at: i64, seen: &[Seen]) {
    let elapsed = meter.at().map(|before| at - before);
    meter.look(Moment { wall: at, elapsed }, seen);
}

async fn write(meter: &mut Meter, store: &Store) -> Result<Batch, StoreError> {
    let batch = meter.batch(true).unwrap_or_default();
    store.write(&batch).await?;
    meter.wrote(batch.number);
    Ok(batch)
}

fn point(item: Item, starts: i64, micros: i64) -> Point {
    Point {
        item,
        currency: "EUR".to_owned(),
        starts,
        micros,
    }
}

#[tokio::test]
async fn what_is_written_is_read_and_a_batch_counts_once() -> anyhow::Result<()> {
    for database in Database::both()? {
        let store = Store::open(&database.url).await?;
        let mut meter = Meter::new(store.state().await?);
        look(&mut meter, BEGIN, &[seen("a", "x", 2), seen("b", "y", 4)]);
        let first = write(&mut meter, &store).await?;
        look(
            &mut meter,
            BEGIN + 3_600,
            &[seen("a", "x", 2), seen("b", "z", 4)],
        );
        let second = write(&mut meter, &store).await?;
        for again in [&first, &second] {
            let refused = store.write(again).await;
            anyhow::ensure!(
                matches!(refused, Err(StoreError::Conflict)),
                "{}: {refused:?}",
                database.name
            );
        }
        let book = read(&database.url).await?;
        book.check(false);
        let sums = book.cpu(|s| s.team.clone());
        let expected = [("x", 3_600 * 2_000), ("y", 3_600 * 4_000), ("z", 0)];
        let expected = expected.map(|(team, sum)| (team.to_owned(), sum));
        assert_eq!(sums, expected.into(), "{}", database.name);
        let state = store.state().await?;
        assert_eq!(state.open.len(), 2, "{}", database.name);
        assert_eq!(Meter::new(state).at(), meter.at());
    }
    Ok(())
}

#[tokio::test]
async fn of_two_that_believe_to_lead_one_is_refused_and_goes_on_from_the_others_word()
-> anyhow::Result<()> {
    for database in Database::both()? {
        let (one, other) = (
            Store::open(&database.url).await?,
            Store::open(&database.url).await?,
        );
        let mut first = Meter::new(one.state().await?);
        look(&mut first, BEGIN, &[seen("a", "x", 2)]);
        write(&mut first, &one).await?;
        let mut second = Meter::new(other.state().await?);
        look(&mut first, BEGIN + 60, &[seen("a", "x", 2)]);
        look(
            &mut second,
            BEGIN + 61,
            &[seen("a", "x", 2), seen("b", "x", 2)],
        );
        let (a, b) = (
            first.batch(true).unwrap_or_default(),
            second.batch(true).unwrap_or_default(),
        );
        let (a, b) = tokio::join!(one.write(&a), other.write(&b));
        anyhow::ensure!(a.is_ok() != b.is_ok(), "{}: {a:?} {b:?}", database.name);
        let mut third = Meter::new(one.state().await?);
        look(
            &mut third,
            BEGIN + 120,
            &[seen("a", "x", 2), seen("b", "x", 2)],
        );
        write(&mut third, &one).await?;
        let book = read(&database.url).await?;
        book.check(false);
        let a = book.cpu(|s| s.uid.clone()).get("a").copied();
        assert_eq!(a, Some(120 * 2_000), "{}", database.name);
    }
    Ok(())
}

#[tokio::test]
async fn sums_take_of_an_interval_what_lies_in_the_window_and_money_follows_its_prices()
-> anyhow::Result<()> {
    for database in Database::both()? {
        let store = Store::open(&database.url).await?;
        let mut meter = Meter::new(store.state().await?);
        look(&mut meter, BEGIN, &[seen("a", "x", 2)]);
        for hour in 1..=4 {
            look(&mut meter, BEGIN + hour * 3_600, &[seen("a", "x", 2)]);
        }
        write(&mut meter, &store).await?;
        let prices = [
            point(Item::CpuCoreHour, 0, 10_000),
            point(Item::CpuCoreHour, BEGIN + 7_200, 30_000),
        ];
        store.write_prices(&prices).await?;
        store.write_prices(&prices).await?;
        let all = Filter::default();
        let window = |since: i64, until: i64| Window {
            since: BEGIN + since,
            until: BEGIN + until,
        };
        let report = store
            .report(window(0, 14_400), By::Team, &all, "EUR")
            .await?;
        // Two hours of two cores at 0.01 and two at 0.03.
        assert_eq!(report.total.cost.cpu, 160_000, "{}", database.name);
        assert_eq!(
            report.total.cpu_used(),
            Some(1_250 * 2),
            "{}",
            database.name
        );
        assert_eq!(report.total.memory_used(), Some(5_000), "{}", database.name);
        let part = store
            .report(window(5_400, 9_000), By::Environment, &all, "EUR")
            .await?;
        assert_eq!(part.total.running_seconds, 3_600, "{}", database.name);
        assert_eq!(part.total.cost.cpu, 40_000, "{}", database.name);
        assert_eq!(part.total.measured_seconds, 3_600, "{}", database.name);
        let beyond = store
            .report(window(14_400, 90_000), By::Team, &all, "EUR")
            .await?;
        assert_eq!(
            beyond.total.running_seconds, 0,
            "what goes on ends at the ledger's clock"
        );
        let other = Filter {
            team: Some("x' OR '1'='1".to_owned()),
            ..Filter::default()
        };
        let nothing = store
            .report(window(0, 14_400), By::Team, &other, "EUR' --")
            .await?;
        assert!(nothing.lines.is_empty(), "d12: text of a filter is text");
        assert!(store.size().await? > 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_report_is_sent_once_and_tried_again_only_when_it_is_known_to_have_failed()
-> anyhow::Result<()> {
    for database in Database::both()? {
        let store = Store::open(&database.url).await?;
        let (one, two) = tokio::join!(
            store.claim_report(("2026-W48", "x", Way::Mail), 100),
            store.claim_report(("2026-W48", "x", Way::Mail), 100)
        );
        let turns = [one?, two?];
        assert!(
            turns.contains(&Turn::Ours) && turns.contains(&Turn::Unknown),
            "{turns:?}"
        );
        store
            .report_ended(("2026-W48", "x", Way::Mail), false, 100)
            .await?;
        assert_eq!(
            store
                .claim_report(("2026-W48", "x", Way::Mail), 101)
                .await?,
            Turn::Waits
        );
        assert_eq!(
            store
                .claim_report(("2026-W48", "x", Way::Mail), 700)
                .await?,
            Turn::Ours
        );
        store
            .report_ended(("2026-W48", "x", Way::Mail), true, 701)
            .await?;
        assert_eq!(
            store
                .claim_report(("2026-W48", "x", Way::Mail), 9_000)
                .await?,
            Turn::Done
        );
        assert_eq!(
            store
                .claim_report(("2026-W48", "y", Way::Mail), 9_000)
                .await?,
            Turn::Ours
        );
        assert_eq!(
            store
                .claim_report(("2026-W49", "x", Way::Mail), 9_000)
                .await?,
            Turn::Ours
        );
        let last = ("2026-W50", "x", Way::Mail);
        for attempt in 1..=8 {
            let turn = store.claim_report(last, attempt * 700).await?;
            assert_eq!(turn, Turn::Ours, "attempt {attempt}");
            store.report_ended(last, false, attempt * 700).await?;
        }
        let turn = store.claim_report(last, 99_000).await?;
        assert_eq!(turn, Turn::GivenUp);
    }
    Ok(())
}

/// A ledger as it was before reports were sent in more than one way, with one that was mailed.
async fn old_ledger(database: &Database) -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    let kind = database
        .name
        .to_lowercase()
        .replace("postgresql", "postgres");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let all = sqlx::migrate::Migrator::new(folder.join(kind)).await?;
    let first = all.iter().filter(|one| one.version == 1).cloned().collect();
    let pool = sqlx::AnyPool::connect(&database.url).await?;
    sqlx::migrate::Migrator::with_migrations(first)
        .run(&pool)
        .await?;
    let text = "INSERT INTO report (week, team, state, attempts, changed) VALUES ('2026-W48', 'x', 'Sent', 1, 100)";
    sqlx::query(text).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

#[tokio::test]
async fn what_was_mailed_before_there_were_ways_is_not_mailed_again() -> anyhow::Result<()> {
    for database in Database::both()? {
        old_ledger(&database).await?;
        let store = Store::open(&database.url).await?;
        let mail = store.claim_report(("2026-W48", "x", Way::Mail), 9_000);
        assert_eq!(mail.await?, Turn::Done, "{}", database.name);
        let hook = store.claim_report(("2026-W48", "x", Way::Webhook), 9_000);
        assert_eq!(hook.await?, Turn::Ours, "{}", database.name);
        let again = store.claim_report(("2026-W48", "x", Way::Webhook), 9_000);
        assert_eq!(again.await?, Turn::Unknown, "{}", database.name);
    }
    Ok(())
}

#[tokio::test]
async fn an_address_of_something_else_is_refused() {
    for url in ["mysql://a@b/c", "/var/lib/ledger.db", ""] {
        assert!(
            matches!(Store::open(url).await, Err(StoreError::Url)),
            "{url}"
        );
    }
}
