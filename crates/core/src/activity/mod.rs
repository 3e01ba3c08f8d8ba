//! Whether somebody works in an environment. Pure: a report, what is known from before, a policy and the time give a verdict.
//!
//! ```text
//! agent ── Report ─┐
//! Known ───────────┼─► judge ─► Active { signal, since } | Held { until, by } | Idle { since, last } | Unknown { why }
//! Policy, now ─────┘   Known::after ─► what to know the next time
//! ```
//!
//! Two kinds of signals. Those of a **person**: input on a terminal, edits and use of an editor, a lease that was taken. And
//! those of a **machine** at work: processor, disk, network, GPU, named programs, output of a program in the foreground.
//! A person counts without a bound; a machine counts for [`Policy::max_unattended_seconds`] after a person was last seen, so
//! that nothing runs for ever by itself. Neither an open connection nor an open page is a signal.
//!
//! A report is what somebody who may be root in the environment wants us to read. Nothing in it stops anything but this one
//! environment's own idle policy, and that within bounds: the time to live, the longest hold, the longest unattended work.

pub mod advice;
mod hold;
mod judge;
mod known;
mod policy;

pub use devserver_activity::{
    Cpu, Deed, Disk, Editor, Foreground, Hold, Key, KeyError, LONGEST_REPORT, Memory, Meter,
    NOTICE_HEADER, Notice, NoticeStage, Program, Recorder, Report, Repository, Typed, Unreadable,
    WINDOW_SECONDS, digest, token,
};
pub use hold::{HELD_BY_ANNOTATION, HOLD_ANNOTATION, HoldError, annotated, annotation};
pub use judge::{Sign, judge, signs};
pub use known::Known;
pub use policy::{Policy, PolicyError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was seen. Its words are stable: they stand in status, metrics and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signal {
    /// A person typed on a terminal.
    Typed,
    /// A person used an editor.
    Editor,
    /// A lease was in force.
    Hold,
    /// A named program worked.
    Process,
    /// A GPU worked.
    Gpu,
    /// The processor worked.
    Cpu,
    /// Disks were read or written.
    Disk,
    /// The network was used.
    Network,
    /// A program in the foreground of a terminal printed something.
    Foreground,
    /// The environment was started.
    Start,
}

impl Signal {
    /// All of them, what says most about a person first.
    pub const ALL: [Self; 10] = [
        Self::Typed,
        Self::Editor,
        Self::Hold,
        Self::Process,
        Self::Gpu,
        Self::Cpu,
        Self::Disk,
        Self::Network,
        Self::Foreground,
        Self::Start,
    ];

    /// Its word, as in JSON and in labels of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Editor => "editor",
            Self::Hold => "hold",
            Self::Process => "process",
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Disk => "disk",
            Self::Network => "network",
            Self::Foreground => "foreground",
            Self::Start => "start",
        }
    }

    /// Whether it tells of a person and not of a machine.
    pub fn is_of_a_person(self) -> bool {
        matches!(self, Self::Typed | Self::Editor | Self::Hold | Self::Start)
    }
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "state"
)]
pub enum Activity {
    /// Somebody or something works.
    Active {
        /// The newest signal.
        signal: Signal,
        /// Since when there was no break longer than the policy's window, as far as is known.
        since: Timestamp,
    },
    /// Nobody works.
    Idle {
        /// When there was last a signal.
        since: Timestamp,
        /// Which one; `None`: none since the agent began to look.
        last: Option<Signal>,
    },
    /// Nobody works, and somebody holds the environment all the same.
    Held {
        /// When the lease ends, by the policy's bound.
        until: Timestamp,
        /// Who took it, and what for.
        by: String,
    },
    /// The agent is silent, hangs or makes no sense. Never a reason to stop anything, and one to tell an administrator.
    Unknown {
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing was ever seen by an agent that began at 10 o'clock and answers at 12.
    pub(super) fn report() -> Report {
        let text = r#"{"at":"2026-01-01T12:00:00Z","sampledAt":"2026-01-01T12:00:00Z","startedAt":"2026-01-01T10:00:00Z"}"#;
        Report::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn words_of_signals_are_those_of_their_json() {
        for signal in Signal::ALL {
            assert_eq!(serde_json::to_value(signal).unwrap(), signal.as_str());
        }
        let idle = Activity::Idle {
            since: "2026-01-01T10:00:00Z".parse().unwrap(),
            last: Some(Signal::Cpu),
        };
        assert_eq!(
            serde_json::to_string(&idle).unwrap(),
            r#"{"state":"idle","since":"2026-01-01T10:00:00Z","last":"cpu"}"#
        );
    }
}
