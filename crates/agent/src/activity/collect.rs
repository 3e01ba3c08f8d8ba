//! The collector: looks every few seconds and prints a report after each look, one in a line. It ends with its reader.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use devserver_activity::{Cpu, Editor, Memory, Recorder, Report, Repository, Typed};
use jiff::Timestamp;

use super::counters::{self, Counters};
use super::{cgroup, git, gpu, holds, home, processes, terminals};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(15);
/// Another one, in milliseconds, for tests.
const LOOK_VARIABLE: &str = "DEVSERVER_ACTIVITY_LOOK_MILLISECONDS";
/// Time between two searches for work in git: they read much.
const GIT: Duration = Duration::from_secs(30 * 60);
/// Time between two questions about the GPU: to ask takes a second of somebody's processor.
const GPU: Duration = Duration::from_secs(60);
const PROC: &str = "/proc";
const CGROUP: &str = "/sys/fs/cgroup";

struct Collector {
    home: PathBuf,
    /// `/proc/self/cgroup`.
    own_cgroup: String,
    boot_id: String,
    started: Timestamp,
    inputs: terminals::Inputs,
    foreground: HashMap<(u32, i32), Timestamp>,
    counters: Counters,
    /// All processor time by the cgroup, in milliseconds, at the look before.
    cpu_before: Option<u64>,
    cpu_usage: u64,
    cpu: Recorder,
    disk: Recorder,
    network: Recorder,
    gpu: Recorder,
    editor: Recorder,
    /// When the GPU was last asked, and whether there is one.
    gpu_asked: Option<(Timestamp, bool)>,
    oom: Option<(u64, Option<Timestamp>)>,
    git: Option<(Instant, Timestamp, Vec<Repository>)>,
}

/// Looks and prints until nobody reads any more.
pub fn run() -> Result<()> {
    let look = env::var(LOOK_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    let look = look.map_or(LOOK, Duration::from_millis);
    let home = env::var_os("HOME").unwrap_or_else(|| "/home/dev".into());
    let mut collector = Collector::new(home.into())?;
    let mut out = io::stdout().lock();
    loop {
        let report = collector.look(whole_second()?);
        let mut line = serde_json::to_vec(&report)?;
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
        thread::sleep(look);
    }
}

fn whole_second() -> Result<Timestamp> {
    Ok(Timestamp::from_second(Timestamp::now().as_second())?)
}

fn instant(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

impl Collector {
    fn new(home: PathBuf) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            home,
            own_cgroup: read("/proc/self/cgroup"),
            boot_id: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            started: whole_second()?,
            inputs: terminals::Inputs::default(),
            foreground: HashMap::new(),
            counters: Counters::default(),
            cpu_before: None,
            cpu_usage: 0,
            cpu: Recorder::default(),
            disk: Recorder::default(),
            network: Recorder::default(),
            gpu: Recorder::default(),
            editor: Recorder::default(),
            gpu_asked: None,
            oom: None,
            git: None,
        })
    }

    fn look(&mut self, now: Timestamp) -> Report {
        let proc = Path::new(PROC);
        let mut processes = processes::look(proc);
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        processes.retain(|process| process.pid != own && process.pid != 1);
        let terminals = terminals::look(Path::new(terminals::FOLDER));
        self.inputs.take(&terminals);
        let done = self.counters.take(&processes, proc, now);
        let usage = cgroup::look(Path::new(CGROUP), &self.own_cgroup);
        self.take_cpu(&usage, &done, now);
        if let Some(bytes) = usage.disk {
            self.disk.read(now, bytes);
        }
        let network = fs::read_to_string("/proc/net/dev").ok();
        if let Some(text) = &network {
            self.network.read(now, counters::network(text));
        }
        let has_gpu = self.take_gpu(now);
        self.editor.add(now, done.editor);
        self.look_for_git_work(now);
        let heartbeat = home::heartbeat(&self.home);
        let edited = home::edited(&self.home);
        let has_editor = done.has_editor || heartbeat.is_some() || edited.is_some();
        let (typed, count) = self.inputs.seen();
        let mut report = Report {
            at: now,
            sampled_at: now,
            started_at: self.started,
            boot_id: self.boot_id.clone(),
            typed: Typed {
                last: typed.and_then(instant),
                count,
                terminals: u32::try_from(terminals.len()).unwrap_or(u32::MAX),
            },
            editor: has_editor.then(|| Editor {
                heartbeat: heartbeat.and_then(instant),
                edited: edited.and_then(instant),
                traffic: self.editor.meter().clone(),
            }),
            foreground: terminals::foreground(&terminals, &processes, &mut self.foreground, now),
            cpu: Some(Cpu {
                usage: self.cpu_usage,
                working: self.cpu.meter().clone(),
            }),
            disk: usage.disk.map(|_| self.disk.meter().clone()),
            network: network.map(|_| self.network.meter().clone()),
            gpu: has_gpu.then(|| self.gpu.meter().clone()),
            programs: self.counters.programs(),
            holds: holds::look(&holds::folder(), now),
            home: home::disk(&self.home),
            docker: None,
            memory: self.memory(&usage, now),
            git: self
                .git
                .as_ref()
                .map(|(_, _, found)| found.clone())
                .unwrap_or_default(),
            git_checked_at: self.git.as_ref().map(|(_, at, _)| *at),
        };
        report.bound();
        report
    }

    /// By the cgroup, which counts ended processes as well; where there is none, by the processes that are there.
    fn take_cpu(&mut self, usage: &cgroup::Usage, done: &counters::Done, now: Timestamp) {
        let spent = match (usage.cpu.map(|us| us / 1000), self.cpu_before) {
            (Some(all), Some(before)) => all.saturating_sub(before),
            (Some(_), None) => 0,
            (None, _) => done.cpu,
        };
        self.cpu_before = usage.cpu.map(|us| us / 1000);
        self.cpu_usage = self.cpu_usage.saturating_add(spent);
        self.cpu.add(now, spent.saturating_sub(done.spinning));
    }

    /// Percent are summed over the seconds since it was asked before.
    fn take_gpu(&mut self, now: Timestamp) -> bool {
        let seconds = match self.gpu_asked {
            Some((before, _)) => now.as_second() - before.as_second(),
            None => 0,
        };
        match self.gpu_asked {
            Some((_, has_one)) if (0..GPU.as_secs().cast_signed()).contains(&seconds) => has_one,
            _ => {
                let percent = gpu::look();
                if let Some(percent) = percent {
                    self.gpu
                        .add(now, percent.saturating_mul(seconds.max(0).unsigned_abs()));
                }
                self.gpu_asked = Some((now, percent.is_some()));
                percent.is_some()
            }
        }
    }

    fn memory(&mut self, usage: &cgroup::Usage, now: Timestamp) -> Memory {
        let kills = usage.oom_kills.unwrap_or(0);
        let last = match self.oom {
            Some((before, _)) if kills > before => Some(now),
            Some((_, last)) => last,
            None => None,
        };
        self.oom = Some((kills, last));
        Memory {
            used: usage.memory.unwrap_or(0),
            peak: usage.memory_peak,
            limit: usage.memory_limit,
            oom_kills: kills,
            last_oom: last,
        }
    }

    fn look_for_git_work(&mut self, now: Timestamp) {
        if self
            .git
            .as_ref()
            .is_some_and(|(at, _, _)| at.elapsed() < GIT)
        {
            return;
        }
        self.git = git::look(&self.home).map(|found| (Instant::now(), now, found));
    }
}
