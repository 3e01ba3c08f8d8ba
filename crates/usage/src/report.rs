//! Sums of intervals, with money: one line for each team, owner, environment, …

use std::collections::BTreeMap;

use devserver_api::usage::{UsageFit, UsageLine, UsageReport};

pub use devserver_api::usage::By;

use crate::{
    fit::{Details, Offers, Sights},
    price::{Cost, Prices},
    subject::{Phase, Subject},
    window::Window,
};

const MIB: i128 = 1 << 20;

/// What was counted for one subject over a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What it is about.
    pub subject: Subject,
    /// Seconds.
    pub seconds: i64,
    /// Those in which use was measured.
    pub measured: i64,
    /// Thousandths of a processor that were used, times seconds.
    pub used_cpu_milli_seconds: i64,
    /// KiB of memory that were used, times seconds.
    pub used_memory_kibibyte_seconds: i64,
    /// Most bytes of memory at a moment.
    pub peak_memory_bytes: i64,
}

/// Which environments count. `None`: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this team; empty: of those without.
    pub team: Option<String>,
    /// Of this project.
    pub project: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
}

/// What was used and what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Seconds that environments ran.
    pub running_seconds: i64,
    /// Those in which nobody used them.
    pub idle_seconds: i64,
    /// Thousandths of cores set aside, times seconds.
    pub cpu_milli_seconds: i128,
    /// Bytes of memory set aside, times seconds.
    pub memory_byte_seconds: i128,
    /// GPUs set aside, times seconds.
    pub gpu_seconds: i128,
    /// Bytes of volumes, times seconds.
    pub volume_byte_seconds: i128,
    /// Seconds in which use was measured.
    pub measured_seconds: i64,
    /// What was set aside in these seconds: thousandths of cores, times seconds.
    pub measured_cpu_milli_seconds: i128,
    /// The same of memory, in bytes times seconds.
    pub measured_memory_byte_seconds: i128,
    /// What was used in these seconds: thousandths of cores, times seconds.
    pub used_cpu_milli_seconds: i128,
    /// The same of memory, in bytes times seconds.
    pub used_memory_byte_seconds: i128,
    /// Most memory at a moment, in bytes.
    pub peak_memory_bytes: i64,
    /// What it costs.
    pub cost: Cost,
    /// What of that was for nothing: idle, or set aside and not used.
    pub waste_micros: i64,
}

impl Total {
    /// Adds what a subject has used and costs.
    pub fn count(&mut self, sum: &Sum, cost: &Cost) {
        let subject = &sum.subject;
        let seconds = i128::from(sum.seconds);
        let measured = i128::from(sum.measured.clamp(0, sum.seconds));
        self.volume_byte_seconds += i128::from(subject.volume_bytes) * seconds;
        self.cost.add(cost);
        if subject.phase == Phase::Stopped {
            return;
        }
        let (cpu, memory) = (
            i128::from(subject.requested.cpu_milli),
            i128::from(subject.requested.memory_bytes),
        );
        self.running_seconds += sum.seconds;
        self.cpu_milli_seconds += cpu * seconds;
        self.memory_byte_seconds += memory * seconds;
        self.gpu_seconds += i128::from(subject.requested.gpus) * seconds;
        self.measured_seconds += sum.measured.clamp(0, sum.seconds);
        self.measured_cpu_milli_seconds += cpu * measured;
        self.measured_memory_byte_seconds += memory * measured;
        self.used_cpu_milli_seconds += i128::from(sum.used_cpu_milli_seconds);
        self.used_memory_byte_seconds += i128::from(sum.used_memory_kibibyte_seconds) * 1_024;
        self.peak_memory_bytes = self.peak_memory_bytes.max(sum.peak_memory_bytes);
        if subject.phase == Phase::Idle {
            self.idle_seconds += sum.seconds;
        }
        self.waste_micros = self.waste_micros.saturating_add(waste(sum, cost));
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.running_seconds += other.running_seconds;
        self.idle_seconds += other.idle_seconds;
        self.cpu_milli_seconds += other.cpu_milli_seconds;
        self.memory_byte_seconds += other.memory_byte_seconds;
        self.gpu_seconds += other.gpu_seconds;
        self.volume_byte_seconds += other.volume_byte_seconds;
        self.measured_seconds += other.measured_seconds;
        self.measured_cpu_milli_seconds += other.measured_cpu_milli_seconds;
        self.measured_memory_byte_seconds += other.measured_memory_byte_seconds;
        self.used_cpu_milli_seconds += other.used_cpu_milli_seconds;
        self.used_memory_byte_seconds += other.used_memory_byte_seconds;
        self.peak_memory_bytes = self.peak_memory_bytes.max(other.peak_memory_bytes);
        self.cost.add(&other.cost);
        self.waste_micros = self.waste_micros.saturating_add(other.waste_micros);
    }

    /// Hundredths of a percent of the cores set aside that were used; `None`: not measured.
    pub fn cpu_used(&self) -> Option<i64> {
        share(self.used_cpu_milli_seconds, self.measured_cpu_milli_seconds)
    }

    /// The same of memory.
    pub fn memory_used(&self) -> Option<i64> {
        share(
            self.used_memory_byte_seconds,
            self.measured_memory_byte_seconds,
        )
    }

    /// As it goes over the wire, under that name.
    pub fn line(&self, name: &str) -> UsageLine {
        let whole = |amount: i128| i64::try_from(amount).unwrap_or(i64::MAX);
        UsageLine {
            name: name.to_owned(),
            running_seconds: self.running_seconds,
            idle_seconds: self.idle_seconds,
            cpu_milli_seconds: whole(self.cpu_milli_seconds),
            memory_mebibyte_seconds: whole(self.memory_byte_seconds / MIB),
            gpu_seconds: whole(self.gpu_seconds),
            volume_mebibyte_seconds: whole(self.volume_byte_seconds / MIB),
            measured_seconds: self.measured_seconds,
            cpu_used_basis_points: self.cpu_used(),
            memory_used_basis_points: self.memory_used(),
            cpu_cost_micros: self.cost.cpu,
            memory_cost_micros: self.cost.memory,
            gpu_cost_micros: self.cost.gpu,
            flavor_cost_micros: self.cost.flavor,
            volume_cost_micros: self.cost.volume,
            total_cost_micros: self.cost.total(),
            waste_micros: self.waste_micros,
            ..UsageLine::default()
        }
    }
}

fn share(used: i128, of: i128) -> Option<i64> {
    (of > 0).then(|| i64::try_from(used * 10_000 / of).unwrap_or(i64::MAX))
}

/// All that runs idle; of what is used, the part that is set aside and not used, by whichever of cores and memory is used
/// more: a machine that needs its memory is not wasted because its cores wait. Volumes are no waste: they hold work.
fn waste(sum: &Sum, cost: &Cost) -> i64 {
    let runs = i128::from(cost.total().saturating_sub(cost.volume));
    if sum.subject.phase == Phase::Idle {
        return i64::try_from(runs).unwrap_or(i64::MAX);
    }
    let requested = sum.subject.requested;
    let measured = i128::from(sum.measured.clamp(0, sum.seconds));
    let cpu = share(
        sum.used_cpu_milli_seconds.into(),
        i128::from(requested.cpu_milli) * measured,
    );
    let memory = share(
        i128::from(sum.used_memory_kibibyte_seconds) * 1_024,
        i128::from(requested.memory_bytes) * measured,
    );
    let (Some(used), true) = (cpu.max(memory), sum.seconds > 0) else {
        return 0;
    };
    let unused = i128::from(10_000 - used.clamp(0, 10_000));
    let waste = runs * unused * measured / (10_000 * i128::from(sum.seconds));
    i64::try_from(waste).unwrap_or(i64::MAX)
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which team, owner, …; empty: those without.
    pub key: String,
    /// What it has used.
    pub total: Total,
    /// Of lines that are environments: what else is known of them.
    pub details: Option<Details>,
}

impl Line {
    fn wire(&self) -> UsageLine {
        let mut line = self.total.line(&self.key);
        if let Some(details) = &self.details {
            let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
            line.owner = known(&details.owner);
            line.flavor = known(&details.flavor);
            line.fit = details.fit.as_ref().map(|fit| UsageFit {
                flavor: fit.flavor.clone(),
                saves_micros: fit.saves_micros,
            });
        }
        line
    }
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Over which time.
    pub window: Window,
    /// Currency of all money.
    pub currency: String,
    /// What lines are.
    pub by: By,
    /// The lines, the dearest first.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Total,
}

/// Collects sums into a report.
pub struct Tally<'a> {
    prices: &'a Prices,
    by: By,
    lines: BTreeMap<String, Total>,
    sights: Sights,
}

impl<'a> Tally<'a> {
    /// An empty one. `offers`: flavors that environments could have had, where lines are environments.
    pub fn new(prices: &'a Prices, by: By, offers: Offers) -> Self {
        Self {
            prices,
            by,
            lines: BTreeMap::new(),
            sights: Sights::new(offers),
        }
    }

    /// Adds a sum over a time in which no price changes, which begins at `instant`.
    pub fn add(&mut self, sum: &Sum, instant: i64) {
        if self.by == By::Environment {
            self.sights.note(sum);
        }
        let cost = self.prices.cost(&sum.subject, sum.seconds, instant);
        let line = self.lines.entry(key(&sum.subject, self.by)).or_default();
        line.count(sum, &cost);
    }

    /// The report.
    pub fn report(self, window: Window) -> Report {
        let mut total = Total::default();
        let mut lines: Vec<Line> = Vec::new();
        for (key, of_line) in self.lines {
            total.add(&of_line);
            let details = (self.by == By::Environment).then(|| {
                let (prices, instant) = (self.prices, window.since);
                self.sights.details(&key, &of_line, prices, instant)
            });
            lines.push(Line {
                details,
                key,
                total: of_line,
            });
        }
        let rank = |line: &Line| std::cmp::Reverse(line.total.cost.total());
        // Stable: equal ones stay in the order of their names.
        lines.sort_by_key(rank);
        Report {
            window,
            currency: self.prices.currency.clone(),
            by: self.by,
            lines,
            total,
        }
    }
}

fn key(subject: &Subject, by: By) -> String {
    match by {
        By::Team => subject.team.clone(),
        By::Project => subject.project.clone(),
        By::Owner => subject.owner.clone(),
        By::Flavor => subject.flavor.clone(),
        By::Namespace => subject.namespace.clone(),
        By::Environment => format!("{}/{}", subject.namespace, subject.name),
    }
}

impl Report {
    /// As it goes over the wire; `counted_to` is the ledger's clock.
    pub fn wire(&self, counted_to: i64) -> UsageReport {
        UsageReport {
            since: self.window.since,
            until: self.window.until,
            counted_to,
            currency: self.currency.clone(),
            by: self.by,
            lines: self.lines.iter().map(Line::wire).collect(),
            total: self.total.line(""),
        }
    }
}
