//! What processes use, from /proc.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::{Context, Result, bail};

/// Ticks of `proc(5)` in a second.
const TICKS: f64 = 100.0;

/// Of the processor time of the machine, what still counts as nothing to do: a cluster at rest uses a twentieth.
const QUIET: f64 = 0.15;

/// Waits until the machine has nothing to do, so that what was measured before is no part of what is measured next.
///
/// # Errors
///
/// When there is no such half second in twenty seconds: whatever is measured on such a machine says little.
pub async fn quiet() -> Result<()> {
    let mut before = processors()?;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = processors()?;
        let (idle, all) = (now.0 - before.0, now.1 - before.1);
        if idle >= all * (1.0 - QUIET) {
            return Ok(());
        }
        before = now;
    }
    bail!("the machine was busy for twenty seconds; end what else runs on it and measure again")
}

/// Ticks of all processors since the machine started: idle ones, and all.
fn processors() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").context("failed to read /proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    // Waiting for a disk is idle, too; what virtual machines use is part of the first already.
    let idle = ticks.iter().skip(3).take(2).sum();
    Ok((idle, ticks.iter().take(8).sum()))
}

/// The process and everything it has started, directly or not.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Ended in between: none of it.
        let Ok(fields) = fields(pid) else { continue };
        if let Some(parent) = fields.get(1).and_then(|word| word.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children.get(&pid).into_iter().flatten().copied());
        next += 1;
    }
    Ok(all)
}

/// Processor seconds of a process, of its threads, and not of its children.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let fields = fields(pid)?;
    let ticks: f64 = fields
        .iter()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS)
}

/// The same of a process and everything below it.
pub fn cpu_seconds_of_tree(root: u32) -> Result<f64> {
    let all = tree(root)?;
    Ok(all
        .into_iter()
        .filter_map(|pid| cpu_seconds(pid).ok())
        .sum())
}

/// Resident memory in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    field_mib(&status, "VmRSS:").context("no VmRSS in /proc")
}

/// Memory of a process and everything below it in MiB, with what they share counted once (PSS of `proc(5)`).
pub fn proportional_mib_of_tree(root: u32) -> Result<f64> {
    let of = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        field_mib(&text, "Pss:")
    };
    Ok(tree(root)?.into_iter().filter_map(of).sum())
}

fn field_mib(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Fields of `stat` from the third on: what comes before may have spaces in it.
fn fields(pid: u32) -> Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    Ok(after.split_whitespace().map(ToOwned::to_owned).collect())
}
