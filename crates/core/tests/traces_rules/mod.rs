//! Rules that say for how long an environment has been idle.

use std::collections::HashMap;

use devserver_core::activity::{
    Activity, Cpu, Editor, Foreground, Hold, Known, Meter, Policy, Program, Recorder, Report, judge,
};
use jiff::{SignedDuration, Timestamp};

use crate::{Minute, Trace};

/// One way to tell.
pub trait Rule {
    /// Minutes without use, as this rule sees it in that minute; `None`: it is in use, or cannot be judged. Called for each
    /// minute in its order.
    fn idle_for(&mut self, trace: &Trace, index: usize) -> Option<i64>;
}

/// A workspace's deadline is moved by an hour whenever somebody is connected by ssh, an editor or a terminal; nothing else
/// counts (coder.com/docs, "Workspace schedules": activity detection).
#[derive(Default)]
pub struct Coder {
    last: Option<usize>,
}

impl Rule for Coder {
    fn idle_for(&mut self, trace: &Trace, index: usize) -> Option<i64> {
        if trace.minutes[index].connected {
            self.last = Some(index);
        }
        minutes(index - self.last.unwrap_or(0))
    }
}

/// The notebook controller asks Jupyter for its kernels: one that is busy counts as activity now, and else the time at which
/// one was last busy counts. Terminals and editors do not; a server that is not Jupyter cannot be asked and is never
/// culled (kubeflow.org, notebook controller: `CULL_IDLE_TIME`, `IDLENESS_CHECK_PERIOD`).
#[derive(Default)]
pub struct Kubeflow {
    last: Option<usize>,
}

impl Rule for Kubeflow {
    fn idle_for(&mut self, trace: &Trace, index: usize) -> Option<i64> {
        if trace.server == "code-server" {
            return None;
        }
        if trace.minutes[index].kernel_busy {
            self.last = Some(index);
        }
        minutes(index - self.last.unwrap_or(0))
    }
}

fn minutes(count: usize) -> Option<i64> {
    i64::try_from(count).ok()
}

/// The verdict of `activity::judge` over reports as an agent makes them of such minutes.
#[derive(Default)]
pub struct Ours {
    agent: Agent,
    known: Known,
    policy: Policy,
    silent_from: Option<usize>,
}

impl Ours {
    /// One whose agent is heard no more from that minute on.
    pub fn silent_from(minute: usize) -> Self {
        Self {
            silent_from: Some(minute),
            ..Self::default()
        }
    }
}

impl Rule for Ours {
    fn idle_for(&mut self, trace: &Trace, index: usize) -> Option<i64> {
        let now = at(index);
        let report = self.agent.look(&trace.minutes[index], now);
        let report = self
            .silent_from
            .is_none_or(|from| index < from)
            .then_some(report);
        let verdict = judge(&self.known, report.as_ref(), &self.policy, now);
        self.known = self.known.after(report.as_ref(), &self.policy, now);
        match verdict {
            Activity::Idle { since, .. } => Some(now.duration_since(since).as_mins()),
            Activity::Active { .. } | Activity::Held { .. } | Activity::Unknown { .. } => None,
        }
    }
}

fn at(index: usize) -> Timestamp {
    let begin: Timestamp = "2026-02-02T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_mins(i64::try_from(index).unwrap())
}

/// What the collector in the environment remembers.
#[derive(Default)]
struct Agent {
    started: Option<Timestamp>,
    typed: Option<Timestamp>,
    typed_count: u64,
    heartbeat: Option<Timestamp>,
    edited: Option<Timestamp>,
    foreground: Option<Foreground>,
    cpu_usage: u64,
    cpu: Recorder,
    disk: Recorder,
    network: Recorder,
    gpu: Recorder,
    editor: Recorder,
    programs: HashMap<String, Program>,
    present: Vec<String>,
    held_since: Option<Timestamp>,
}

impl Agent {
    fn look(&mut self, minute: &Minute, now: Timestamp) -> Report {
        let started = *self.started.get_or_insert(now);
        let set = |what: &mut Option<Timestamp>, flag: bool| {
            if flag {
                *what = Some(now);
            }
        };
        set(&mut self.typed, minute.typed);
        set(&mut self.heartbeat, minute.heartbeat);
        set(&mut self.edited, minute.edited);
        self.typed_count += u64::from(minute.typed);
        self.cpu_usage += minute.cpu_ms;
        self.cpu
            .add(now, minute.cpu_ms.saturating_sub(minute.spin_ms));
        self.disk.add(now, minute.disk_bytes);
        self.network.add(now, minute.network_bytes);
        self.gpu.add(now, minute.gpu.unwrap_or(0) * 60);
        self.editor.add(now, minute.editor_bytes);
        self.look_at_the_foreground(minute, now);
        self.look_at_programs(minute, now);
        if minute.held {
            self.held_since.get_or_insert(now);
        } else {
            self.held_since = None;
        }
        let text = format!(r#"{{"at":"{now}","sampledAt":"{now}","startedAt":"{started}"}}"#);
        let mut report = Report::parse(text.as_bytes()).unwrap();
        (report.typed.last, report.typed.count) = (self.typed, self.typed_count);
        let has_editor = self.heartbeat.is_some() || self.editor.meter().total > 0;
        report.editor = has_editor.then(|| Editor {
            heartbeat: self.heartbeat,
            edited: self.edited,
            traffic: self.editor.meter().clone(),
        });
        report.foreground = self.foreground.clone().into_iter().collect();
        report.cpu = Some(Cpu {
            usage: self.cpu_usage,
            working: self.cpu.meter().clone(),
        });
        let meter = |recorder: &Recorder| -> Option<Meter> { Some(recorder.meter().clone()) };
        report.disk = meter(&self.disk);
        report.network = meter(&self.network);
        report.gpu = minute.gpu.and(meter(&self.gpu));
        report.programs = self.programs.values().cloned().collect();
        report.holds = self
            .held_since
            .map(|since| lease(since, now))
            .into_iter()
            .collect();
        // As it travels.
        Report::parse(&serde_json::to_vec(&report).unwrap()).unwrap()
    }

    fn look_at_the_foreground(&mut self, minute: &Minute, now: Timestamp) {
        if minute.foreground.is_empty() {
            self.foreground = None;
            return;
        }
        let known = self
            .foreground
            .take()
            .filter(|one| one.program == minute.foreground);
        let mut one = known.unwrap_or_else(|| Foreground {
            program: minute.foreground.clone(),
            terminal: 0,
            since: now,
            last_output: None,
        });
        if minute.output {
            one.last_output = Some(now);
        }
        self.foreground = Some(one);
    }

    /// Those of the trace use processor time; they were there since the minute before, when they were in that as well.
    fn look_at_programs(&mut self, minute: &Minute, now: Timestamp) {
        for name in &minute.programs {
            let was_present = self.present.contains(name);
            let program = self
                .programs
                .entry(name.clone())
                .or_insert_with(|| Program {
                    name: name.clone(),
                    since: now,
                    last: now,
                    cpu: 0,
                });
            if !was_present {
                program.since = now;
            }
            program.last = now;
        }
        self.present.clone_from(&minute.programs);
    }
}

fn lease(since: Timestamp, now: Timestamp) -> Hold {
    Hold {
        by: "dev".into(),
        what: "./measure".into(),
        since,
        until: now + SignedDuration::from_hours(6),
    }
}
