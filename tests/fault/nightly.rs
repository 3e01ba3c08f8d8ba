//! What the tests that only `make nightly` runs share.

use anyhow::{Context as _, ensure};
use devserver_testkit::Operator;
use tokio::sync::{Mutex, MutexGuard};

static ALONE: Mutex<()> = Mutex::const_new(());

/// One nightly test at a time, however many threads there are: they measure.
pub async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// What the operator holds of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory in MiB.
    pub resident: f64,
    /// Open file descriptors.
    pub files: usize,
}

impl Usage {
    /// Reads `/proc`.
    pub async fn of(operator: &Operator) -> anyhow::Result<Self> {
        let pid = operator.pid().await?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.split_whitespace().next());
        let kib: f64 = kib.context("no VmRSS")?.parse()?;
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        ensure!(files > 0, "no open file");
        Ok(Self {
            resident: kib / 1024.0,
            files,
        })
    }
}
