//! What is read: the present after a start, and sums for reports.

use std::fmt::Write as _;

use futures::TryStreamExt as _;
use sqlx::{Row, any::AnyRow};

use super::{Doing as _, Store, StoreError};
use crate::{
    fit::Offers,
    meter::{Open, State, Used},
    price::{Item, Point, Prices},
    report::{By, Filter, Report, Sum, Tally},
    subject::{Amounts, Phase, Subject},
    window::{DAY, Window},
};

const SUBJECT: &str = "s.uid, s.namespace, s.name, s.owner, s.team, s.project, s.flavor, s.spot, s.phase, \
    s.requested_cpu_milli, s.requested_memory_bytes, s.requested_gpus, s.limit_cpu_milli, s.limit_memory_bytes, s.limit_gpus, s.volume_bytes";

impl Store {
    /// The present as the ledger has it: what a meter goes on from.
    pub async fn state(&self) -> Result<State, StoreError> {
        const DOING: &str = "read the ledger";
        // One statement: what a second one saw could be another writer's.
        let text = format!(
            "SELECT l.counted_to, l.batch, i.subject, i.batch, i.started, i.measured, i.used_cpu_milli_seconds, i.used_memory_byte_seconds, i.peak_memory_bytes, {SUBJECT} \
             FROM ledger l LEFT JOIN intervals i ON i.ended IS NULL LEFT JOIN subject s ON s.id = i.subject"
        );
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(text)).fetch(&self.pool);
        let mut state = State::default();
        while let Some(row) = rows.try_next().await.doing(DOING)? {
            state.at = row.try_get(0).doing(DOING)?;
            state.batch = row.try_get(1).doing(DOING)?;
            let id: Option<i64> = row.try_get(2).doing(DOING)?;
            if let Some(id) = id {
                state.open.push(Open {
                    id,
                    batch: row.try_get(3).doing(DOING)?,
                    start: row.try_get(4).doing(DOING)?,
                    used: Used {
                        measured: row.try_get(5).doing(DOING)?,
                        cpu_milli_seconds: row.try_get(6).doing(DOING)?,
                        memory_byte_seconds: row.try_get(7).doing(DOING)?,
                        peak_memory_bytes: row.try_get(8).doing(DOING)?,
                    },
                    subject: subject(&row, 9)?,
                    written: true,
                });
            }
        }
        Ok(state)
    }

    /// Hands `each` what was counted for every subject in the window. Memory does not grow with the window.
    pub async fn sums(&self, window: Window, each: impl FnMut(Sum)) -> Result<(), StoreError> {
        self.sums_of(window, &Filter::default(), each).await
    }

    /// The same for subjects that the filter admits: whoever asks about little reads little.
    pub async fn sums_of(
        &self,
        window: Window,
        filter: &Filter,
        mut each: impl FnMut(Sum),
    ) -> Result<(), StoreError> {
        const DOING: &str = "read intervals";
        let wanted = [
            ("team", &filter.team),
            ("project", &filter.project),
            ("owner", &filter.owner),
        ];
        let wanted: Vec<(&str, &String)> = wanted
            .into_iter()
            .filter_map(|(column, value)| Some((column, value.as_ref()?)))
            .collect();
        let mut only = String::new();
        for (place, (column, _)) in wanted.iter().enumerate() {
            // Writing to a String does not fail.
            let _ = write!(only, "AND s.{column} = ${} ", place + 3);
        }
        // No interval is longer than a day, so those that reach into the window began a day before it at most. Amounts of one
        // that is cut by the window are shared out by its seconds. Subject by subject, in the order in which the intervals lie: by
        // their beginnings, each would be looked up by itself. The batches only bound what is read of each.
        let text = format!(
            "SELECT t.seconds, t.measured, t.cpu, t.memory, t.peak, {SUBJECT} FROM ( \
               SELECT subject, CAST(SUM(part) AS BIGINT) AS seconds, \
                 CAST(SUM(CASE WHEN part = whole THEN measured WHEN whole > 0 THEN measured * part / whole ELSE 0 END) AS BIGINT) AS measured, \
                 CAST(SUM(CASE WHEN part = whole THEN used_cpu WHEN whole > 0 THEN used_cpu / whole * part ELSE 0 END) AS BIGINT) AS cpu, \
                 CAST(SUM(CASE WHEN part = whole THEN used_memory WHEN whole > 0 THEN used_memory / whole * part ELSE 0 END) / 1024 AS BIGINT) AS memory, \
                 CAST(MAX(peak_memory_bytes) AS BIGINT) AS peak \
               FROM ( \
                 SELECT s.id AS subject, measured, peak_memory_bytes, used_cpu_milli_seconds AS used_cpu, used_memory_byte_seconds AS used_memory, \
                   COALESCE(ended, (SELECT counted_to FROM ledger)) - started AS whole, \
                   CASE WHEN COALESCE(ended, (SELECT counted_to FROM ledger)) < $2 THEN COALESCE(ended, (SELECT counted_to FROM ledger)) ELSE $2 END \
                   - CASE WHEN started > $1 THEN started ELSE $1 END AS part \
                 FROM subject s CROSS JOIN intervals i \
                 WHERE i.subject = s.id {only} AND +i.started < $2 AND +i.started >= $1 - {DAY} \
                   AND i.batch >= (SELECT MIN(batch) FROM intervals WHERE started < $2 AND started >= $1 - {DAY}) \
                   AND i.batch <= (SELECT MAX(batch) FROM intervals WHERE started < $2 AND started >= $1 - {DAY}) \
               ) AS parts WHERE part > 0 GROUP BY subject \
             ) AS t JOIN subject s ON s.id = t.subject"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(window.since)
            .bind(window.until);
        for (_, value) in wanted {
            query = query.bind(value.as_str());
        }
        let mut rows = query.fetch(&self.pool);
        while let Some(row) = rows.try_next().await.doing(DOING)? {
            each(Sum {
                seconds: row.try_get(0).doing(DOING)?,
                measured: row.try_get(1).doing(DOING)?,
                used_cpu_milli_seconds: row.try_get(2).doing(DOING)?,
                used_memory_kibibyte_seconds: row.try_get(3).doing(DOING)?,
                peak_memory_bytes: row.try_get(4).doing(DOING)?,
                subject: subject(&row, 5)?,
            });
        }
        Ok(())
    }

    /// All prices in a currency.
    pub async fn prices(&self, currency: &str) -> Result<Prices, StoreError> {
        const DOING: &str = "read prices";
        let rows = sqlx::query("SELECT item, starts, micros FROM price WHERE currency = $1")
            .bind(currency.to_owned())
            .fetch_all(&self.pool)
            .await
            .doing(DOING)?;
        let mut points = Vec::new();
        for row in rows {
            let item: String = row.try_get(0).doing(DOING)?;
            points.push(Point {
                item: Item::parse(&item)
                    .ok_or_else(|| StoreError::Unreadable(format!("price of {item:?}")))?,
                currency: currency.to_owned(),
                starts: row.try_get(1).doing(DOING)?,
                micros: row.try_get(2).doing(DOING)?,
            });
        }
        Ok(Prices::new(currency, &points))
    }

    /// Bytes the ledger takes.
    pub async fn size(&self) -> Result<i64, StoreError> {
        const DOING: &str = "read the ledger's size";
        let sqlite = "SELECT CAST(p.page_count * s.page_size AS BIGINT) FROM pragma_page_count p, pragma_page_size s";
        if let Ok(row) = sqlx::query(sqlite).fetch_one(&self.pool).await {
            return row.try_get(0).doing(DOING);
        }
        let postgres = "SELECT CAST(pg_database_size(current_database()) AS BIGINT)";
        let row = sqlx::query(postgres)
            .fetch_one(&self.pool)
            .await
            .doing(DOING)?;
        row.try_get(0).doing(DOING)
    }
}

fn subject(row: &AnyRow, first: usize) -> Result<Subject, StoreError> {
    const DOING: &str = "read a subject";
    let text =
        |column: usize| -> Result<String, StoreError> { row.try_get(first + column).doing(DOING) };
    let number =
        |column: usize| -> Result<i64, StoreError> { row.try_get(first + column).doing(DOING) };
    let phase = text(8)?;
    Ok(Subject {
        uid: text(0)?,
        namespace: text(1)?,
        name: text(2)?,
        owner: text(3)?,
        team: text(4)?,
        project: text(5)?,
        flavor: text(6)?,
        spot: number(7)? != 0,
        phase: Phase::parse(&phase)
            .ok_or_else(|| StoreError::Unreadable(format!("phase {phase:?}")))?,
        requested: Amounts {
            cpu_milli: number(9)?,
            memory_bytes: number(10)?,
            gpus: number(11)?,
        },
        limit: Amounts {
            cpu_milli: number(12)?,
            memory_bytes: number(13)?,
            gpus: number(14)?,
        },
        volume_bytes: number(15)?,
    })
}

impl Store {
    /// A report over a window, with the prices that counted at each instant of it.
    pub async fn report(
        &self,
        window: Window,
        by: By,
        filter: &Filter,
        currency: &str,
    ) -> Result<Report, StoreError> {
        let prices = self.prices(currency).await?;
        let offers = match by {
            By::Environment => self.offers(window).await?,
            _ => Offers::default(),
        };
        let mut tally = Tally::new(&prices, by, offers);
        for part in prices.parts(window) {
            self.sums_of(part, filter, |sum| tally.add(&sum, part.since))
                .await?;
        }
        Ok(tally.report(window))
    }

    /// Flavors that anybody used in the window: those of others are on offer, too. Sums are not needed for that, and reading them
    /// would cost whoever asks about little as much as all.
    async fn offers(&self, window: Window) -> Result<Offers, StoreError> {
        const DOING: &str = "read flavors";
        let text = format!(
            "SELECT DISTINCT flavor, requested_cpu_milli, requested_memory_bytes, requested_gpus FROM subject \
             WHERE phase <> 'Stopped' AND flavor <> '' \
             AND id IN (SELECT subject FROM intervals WHERE started < $2 AND started >= $1 - {DAY})"
        );
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(window.since)
            .bind(window.until)
            .fetch(&self.pool);
        let mut offers = Offers::default();
        while let Some(row) = rows.try_next().await.doing(DOING)? {
            let size = Amounts {
                cpu_milli: row.try_get(1).doing(DOING)?,
                memory_bytes: row.try_get(2).doing(DOING)?,
                gpus: row.try_get(3).doing(DOING)?,
            };
            offers.note(row.try_get(0).doing(DOING)?, size);
        }
        Ok(offers)
    }

    /// Up to when everything is counted; `None`: the ledger is new.
    pub async fn counted_to(&self) -> Result<Option<i64>, StoreError> {
        const DOING: &str = "read the ledger's clock";
        let row = sqlx::query("SELECT counted_to FROM ledger")
            .fetch_one(&self.pool)
            .await
            .doing(DOING)?;
        row.try_get(0).doing(DOING)
    }
}
