//! The two databases, each fresh: a file of SQLite, and a PostgreSQL of the test's own.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use devserver_usage::{Interval, Store, Used};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use sqlx::{AnyPool, Row as _};

use super::Book;

/// PostgreSQL refuses to run as root: it runs as nobody then.
const NOBODY: u32 = 65_534;

/// A fresh database.
pub struct Database {
    pub name: &'static str,
    pub url: String,
    _folder: tempfile::TempDir,
    server: Option<Child>,
}

impl Database {
    pub fn sqlite() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            name: "SQLite",
            url: Store::file_url(&folder.path().join("ledger.db")),
            _folder: folder,
            server: None,
        })
    }

    /// Starts a server that listens on a socket in a folder of its own.
    pub fn postgres() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
        let (at, is_root) = (folder.path().to_owned(), Uid::effective().is_root());
        if is_root {
            std::os::unix::fs::chown(&at, Some(NOBODY), Some(NOBODY))?;
        }
        let run = |program: &str| -> anyhow::Result<Command> {
            let mut command = Command::new(programs()?.join(program));
            command.current_dir(&at).env("LC_ALL", "C");
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            Ok(command)
        };
        let data = at.join("data");
        let made = run("initdb")?
            .args([
                "--username=devserver",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--pgdata",
            ])
            .arg(&data)
            .output()?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let server = run("postgres")?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&at)
            .args(["-c", "listen_addresses=", "-F"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at.join("log"))?)
            .spawn()?;
        let mut database = Self {
            name: "PostgreSQL",
            url: format!(
                "postgres://devserver@localhost/postgres?host={}",
                at.display()
            ),
            _folder: folder,
            server: Some(server),
        };
        database.wait(&at)?;
        Ok(database)
    }

    pub fn both() -> anyhow::Result<[Self; 2]> {
        Ok([Self::sqlite()?, Self::postgres()?])
    }

    fn wait(&mut self, at: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let ready = Command::new(programs()?.join("pg_isready"))
                .args(["--quiet", "--username=devserver", "--host"])
                .arg(at)
                .status()?;
            if ready.success() {
                return Ok(());
            }
            let ended = self
                .server
                .as_mut()
                .and_then(|s| s.try_wait().ok().flatten());
            if ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(at.join("log")).unwrap_or_default();
                bail!("PostgreSQL does not answer ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let id = i32::try_from(server.id()).unwrap_or_default();
            // Immediate shutdown: it ends its own children, and nothing of it is kept.
            let _ = kill(Pid::from_raw(id), Signal::SIGQUIT);
            let _ = server.wait();
        }
    }
}

fn programs() -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed: apt-get install postgresql-15")?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    found
        .pop()
        .context("PostgreSQL is not installed: apt-get install postgresql-15")
}

/// All that a ledger holds, by another connection than its own.
pub async fn read(url: &str) -> anyhow::Result<Book> {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(url).await?;
    let mut book = Book::default();
    let store = Store::open(url).await?;
    let state = store.state().await?;
    (book.at, book.batch) = (state.at, state.batch);
    let all = devserver_usage::Window {
        since: 0,
        until: i64::MAX / 4,
    };
    let mut subjects = Vec::new();
    store.sums(all, |sum| subjects.push(sum.subject)).await?;
    book.subjects = subjects.into_iter().map(|s| (s.id(), s)).collect();
    book.subjects
        .extend(state.open.into_iter().map(|open| (open.id, open.subject)));
    for row in sqlx::query("SELECT subject, batch, started, ended, measured FROM intervals")
        .fetch_all(&pool)
        .await?
    {
        let interval = Interval {
            subject: row.try_get(0)?,
            batch: row.try_get(1)?,
            start: row.try_get(2)?,
            end: row.try_get(3)?,
            used: Used {
                measured: row.try_get(4)?,
                ..Used::default()
            },
        };
        // One without a second says nothing, and its subject was not among the sums.
        if interval.end != Some(interval.start) {
            book.intervals
                .insert((interval.subject, interval.batch, interval.start), interval);
        }
    }
    pool.close().await;
    store.close().await;
    Ok(book)
}
