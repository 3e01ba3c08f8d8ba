//! Where the ledger lies: SQLite by default, PostgreSQL by URL. The same statements for both.
//!
//! A batch is one transaction, and it begins with a comparison: it counts only on top of the batch that its writer had
//! read. So a batch that is written twice, by a writer that lost its answer or by two that believe to lead, counts once.

mod read;
mod reports;
mod weekly;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::{
    Any, AnyPool, Transaction,
    any::AnyPoolOptions,
    migrate::{MigrateError, Migrator},
};

use crate::{
    meter::{Batch, Interval},
    price::Point,
    subject::Subject,
};

pub use reports::{Turn, Way};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections at a time: one that writes, and reports.
const CONNECTIONS: u32 = 4;
/// Longest wait for a connection, and for a lock of SQLite.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL cannot be used.
    #[error("the address of the ledger must begin with sqlite:, postgres: or postgresql:")]
    Url,
    /// The database refused, or could not be reached.
    #[error("failed to {doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be made.
    #[error("failed to bring the ledger's tables up to date: {0}")]
    Migrate(#[from] MigrateError),
    /// Somebody else has written since this writer read.
    #[error("failed to write: the ledger has been written by another since it was read")]
    Conflict,
    /// The ledger holds what this program never writes.
    #[error("failed to read the ledger: {0}")]
    Unreadable(String),
}

/// Adds what was being done.
trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { doing, source })
    }
}

/// Called before each statement of a write, with its number; for tests that end the process there.
pub type Witness = Arc<dyn Fn(u32) + Send + Sync>;

/// The ledger.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    witness: Option<Witness>,
}

impl Store {
    /// Opens it and brings its tables up to date: `sqlite:/path/ledger.db`, `postgres://user:password@host/database`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let is_sqlite = url.starts_with("sqlite:");
        if !is_sqlite && !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err(StoreError::Url);
        }
        let options = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if is_sqlite {
                        // WAL: reports do not hold up the writer. FULL: what was answered is on the disk.
                        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000; PRAGMA cache_size = -16384";
                        sqlx::raw_sql(settings).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            });
        let pool = options.connect(url).await.doing("open the ledger")?;
        let migrations = if is_sqlite { &SQLITE } else { &POSTGRES };
        migrations.run(&pool).await?;
        Ok(Self {
            pool,
            witness: None,
        })
    }

    /// The address of a file that is made when it is not there.
    pub fn file_url(path: &std::path::Path) -> String {
        let path: PathBuf = path.into();
        format!("sqlite:{}?mode=rwc", path.display())
    }

    /// The same, telling `witness` before each statement of a write.
    #[must_use]
    pub fn witnessed(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Ends its connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn tell(&self, step: &mut u32) {
        if let Some(witness) = &self.witness {
            witness(*step);
        }
        *step += 1;
    }

    /// Writes a batch, wholly or not at all. [`StoreError::Conflict`]: nothing was written, and the writer must read anew.
    pub async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        const DOING: &str = "write to the ledger";
        let mut step = 0;
        self.tell(&mut step);
        let mut transaction = self.pool.begin().await.doing(DOING)?;
        self.tell(&mut step);
        // First, so that SQLite takes its lock for writing at once, and a second writer waits here and then sees the first's number.
        let claimed = sqlx::query(
            "UPDATE ledger SET batch = $1, counted_to = $2 WHERE id = 1 AND batch = $3",
        )
        .bind(batch.number)
        .bind(batch.at)
        .bind(batch.after)
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
        if claimed.rows_affected() != 1 {
            return Err(StoreError::Conflict);
        }
        for (id, subject) in &batch.subjects {
            self.tell(&mut step);
            write_subject(&mut transaction, *id, subject)
                .await
                .doing(DOING)?;
        }
        for interval in &batch.intervals {
            self.tell(&mut step);
            write_interval(&mut transaction, interval)
                .await
                .doing(DOING)?;
        }
        self.tell(&mut step);
        transaction.commit().await.doing(DOING)?;
        self.tell(&mut step);
        Ok(())
    }

    /// Writes prices. One of the same item, currency and instant is replaced: it was corrected.
    pub async fn write_prices(&self, points: &[Point]) -> Result<(), StoreError> {
        const DOING: &str = "write prices";
        let mut transaction = self.pool.begin().await.doing(DOING)?;
        for point in points {
            sqlx::query("INSERT INTO price (item, currency, starts, micros) VALUES ($1, $2, $3, $4) ON CONFLICT (item, currency, starts) DO UPDATE SET micros = excluded.micros")
                .bind(point.item.to_string())
                .bind(point.currency.as_str())
                .bind(point.starts)
                .bind(point.micros)
                .execute(&mut *transaction)
                .await
                .doing(DOING)?;
        }
        transaction.commit().await.doing(DOING)
    }
}

async fn write_subject(
    transaction: &mut Transaction<'_, Any>,
    id: i64,
    subject: &Subject,
) -> Result<(), sqlx::Error> {
    let (requested, limit) = (subject.requested, subject.limit);
    sqlx::query(
        "INSERT INTO subject (id, uid, namespace, name, owner, team, project, flavor, spot, phase, \
         requested_cpu_milli, requested_memory_bytes, requested_gpus, limit_cpu_milli, limit_memory_bytes, limit_gpus, volume_bytes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(subject.uid.as_str())
    .bind(subject.namespace.as_str())
    .bind(subject.name.as_str())
    .bind(subject.owner.as_str())
    .bind(subject.team.as_str())
    .bind(subject.project.as_str())
    .bind(subject.flavor.as_str())
    .bind(i64::from(subject.spot))
    .bind(subject.phase.as_str())
    .bind(requested.cpu_milli)
    .bind(requested.memory_bytes)
    .bind(requested.gpus)
    .bind(limit.cpu_milli)
    .bind(limit.memory_bytes)
    .bind(limit.gpus)
    .bind(subject.volume_bytes)
    .execute(&mut **transaction)
    .await
    .map(|_| ())
}

async fn write_interval(
    transaction: &mut Transaction<'_, Any>,
    interval: &Interval,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO intervals (subject, batch, started, ended, measured, used_cpu_milli_seconds, used_memory_byte_seconds, peak_memory_bytes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (subject, batch, started) DO UPDATE SET ended = excluded.ended, \
         measured = excluded.measured, used_cpu_milli_seconds = excluded.used_cpu_milli_seconds, \
         used_memory_byte_seconds = excluded.used_memory_byte_seconds, peak_memory_bytes = excluded.peak_memory_bytes",
    )
    .bind(interval.subject)
    .bind(interval.batch)
    .bind(interval.start)
    .bind(interval.end)
    .bind(interval.used.measured)
    .bind(interval.used.cpu_milli_seconds)
    .bind(interval.used.memory_byte_seconds)
    .bind(interval.used.peak_memory_bytes)
    .execute(&mut **transaction)
    .await
    .map(|_| ())
}
