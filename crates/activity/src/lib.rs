//! What an environment's agent tells of its use. One definition for the agent, which writes it, and the operator, which
//! reads it and trusts none of it: [`Report::parse`] bounds what a report may hold.
//!
//! No verdict is in here, and no threshold: an agent tells when something was last seen and how much of it there was, and
//! the operator judges by its own policy. So a changed policy counts at once, for the past as well, and needs no restart.

mod meter;
mod notice;
mod parse;
mod token;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use meter::{Meter, Recorder};
pub use notice::{Deed, NOTICE_HEADER, Notice, NoticeStage};
pub use parse::{LONGEST_REPORT, Unreadable, plain};
pub use token::{Key, KeyError, digest, token};

/// Seconds over which a [`Meter`] takes its averages.
pub const WINDOW_SECONDS: i64 = 600;

/// What an agent tells. Absent parts are what it cannot see there; an instant is the agent's own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The agent's own time when it answered.
    pub at: Timestamp,
    /// When it last looked at everything. Long ago: it hangs, and the report is worth nothing.
    pub sampled_at: Timestamp,
    /// Since when it has been looking; what was before it does not know.
    pub started_at: Timestamp,
    /// The kernel's boot id (`/proc/sys/kernel/random/boot_id`): another one is another start of the node.
    #[serde(default)]
    pub boot_id: String,
    /// Input of people on terminals.
    #[serde(default)]
    pub typed: Typed,
    /// Editors that people look at in a browser or that are connected from a desktop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<Editor>,
    /// Programs in the foreground of terminals.
    #[serde(default)]
    pub foreground: Vec<Foreground>,
    /// Processor time in milliseconds, so its rate is in thousandths of a core. Without what merely [`spins`](Cpu).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Bytes read from and written to disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Meter>,
    /// Bytes received and sent, without the loopback interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Meter>,
    /// Busy percent of the busiest GPU, summed over seconds, so its rate is in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Meter>,
    /// Programs that used processor time lately, the busiest first.
    #[serde(default)]
    pub programs: Vec<Program>,
    /// Leases that somebody took inside.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// The volume at the home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Disk>,
    /// The volume of the Docker daemon, where it can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<Disk>,
    /// Memory of the container.
    #[serde(default)]
    pub memory: Memory,
    /// Repositories with work that would be lost; empty: none was found, if `gitCheckedAt` is there.
    #[serde(default)]
    pub git: Vec<Repository>,
    /// When repositories were last looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_checked_at: Option<Timestamp>,
}

/// Input on terminals. The kernel sets the access time of a terminal when a program reads input from it and not when
/// something is written to it, so neither output nor a keepalive of any kind moves it (drivers/tty/tty_io.c, `tty_read`;
/// it is kept to eight seconds, so that nobody counts another's keystrokes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Typed {
    /// When input was last read from any terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Looks of the agent that found new input.
    #[serde(default)]
    pub count: u64,
    /// Terminals that are open.
    #[serde(default)]
    pub terminals: u32,
}

/// An editor's server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Editor {
    /// The heartbeat file of code-server. It beats while a page is open, also one that nobody looks at, so it is told
    /// and never counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Timestamp>,
    /// When a file was last kept in the editor's history or among its unsaved changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Timestamp>,
    /// Bytes that the editor's server has read: from its clients, and from files for them. A page that is only open sends
    /// a few bytes per second to keep the connection.
    #[serde(default)]
    pub traffic: Meter,
}

/// A program in the foreground of a terminal, other than the shell that waits for the next command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Foreground {
    /// Its short name.
    pub program: String,
    /// The terminal's number.
    pub terminal: u32,
    /// When the agent saw it first.
    pub since: Timestamp,
    /// When something was last written to that terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_output: Option<Timestamp>,
}

/// Processor time of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// All of it, in milliseconds.
    pub usage: u64,
    /// That part which did something. Left out are small processes that burn time without reading anything and without a
    /// byte to or from a disk, when they flood something with what they write, as `yes > /dev/null` does, or are shells in an
    /// empty loop.
    pub working: Meter,
}

/// A program by name; all its processes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// Its short name.
    pub name: String,
    /// Since when it has been there without a break.
    pub since: Timestamp,
    /// When it last used processor time.
    pub last: Timestamp,
    /// Milliseconds of processor time seen of it, those of ended processes included as far as they were seen.
    #[serde(default)]
    pub cpu: u64,
}

/// "I am busy": a lease on the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Who took it.
    pub by: String,
    /// What for: the command, or empty.
    #[serde(default)]
    pub what: String,
    /// When it was taken.
    pub since: Timestamp,
    /// When it ends at the latest.
    pub until: Timestamp,
}

/// Use of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Its size in bytes.
    pub total: u64,
    /// Bytes in use, those kept for root included.
    pub used: u64,
}

impl Disk {
    /// How full it is, rounded down; at most 100, and 0 for one without a size.
    pub fn percent(self) -> u64 {
        let used = u128::from(self.used.min(self.total)) * 100;
        let percent = used.checked_div(u128::from(self.total)).unwrap_or(0);
        u64::try_from(percent).unwrap_or(100)
    }
}

/// Memory of the container, from its cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Bytes in use.
    #[serde(default)]
    pub used: u64,
    /// Most bytes ever in use; absent where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// Bytes it may have; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Processes that the kernel killed for lack of memory since the container's start.
    #[serde(default)]
    pub oom_kills: u64,
    /// When the agent saw that number grow last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_oom: Option<Timestamp>,
}

/// A git repository with work that is nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Its folder, below the home.
    pub path: String,
    /// Files that are changed or new and not committed.
    #[serde(default)]
    pub uncommitted: u32,
    /// Commits that no remote has.
    #[serde(default)]
    pub unpushed: u32,
}

impl Report {
    /// This report and that of another container of the same pod as one: whatever either has seen was seen.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.at = self.at.min(other.at);
        // One of two that hangs makes the whole stale.
        self.sampled_at = self.sampled_at.min(other.sampled_at);
        self.started_at = self.started_at.min(other.started_at);
        self.typed.last = self.typed.last.max(other.typed.last);
        self.typed.count = self.typed.count.saturating_add(other.typed.count);
        self.typed.terminals = self.typed.terminals.saturating_add(other.typed.terminals);
        self.editor = self.editor.or(other.editor);
        self.foreground.extend(other.foreground);
        self.cpu = match (self.cpu, other.cpu) {
            (Some(one), Some(two)) => Some(Cpu {
                usage: one.usage.saturating_add(two.usage),
                working: one.working.join(two.working),
            }),
            (one, two) => one.or(two),
        };
        self.disk = join(self.disk, other.disk);
        // The containers of a pod share their network and their GPUs.
        self.network = self.network.or(other.network);
        self.gpu = self.gpu.or(other.gpu);
        self.programs.extend(other.programs);
        self.holds.extend(other.holds);
        self.home = self.home.or(other.home);
        self.docker = self.docker.or(other.docker);
        self.memory.oom_kills = self.memory.oom_kills.saturating_add(other.memory.oom_kills);
        self.memory.last_oom = self.memory.last_oom.max(other.memory.last_oom);
        self.git.extend(other.git);
        self.git_checked_at = self.git_checked_at.or(other.git_checked_at);
        self
    }
}

fn join(one: Option<Meter>, two: Option<Meter>) -> Option<Meter> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.join(two)),
        (one, two) => one.or(two),
    }
}
