//! One step of the ladder.

use std::collections::BTreeMap;

use devserver_api::{IdleStage, IdleState, IdleStatus, condition::whole_seconds};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
};

use super::{
    ladder::{Ladder, rewind},
    period::{self, Notice},
    rules::Rules,
    size::{Machine, Size},
};
use crate::{
    Clocks,
    activity::{Activity, Signal},
    instant::after,
};

/// Next look while the clocks do not agree that it is to be stopped.
const DISPUTED_RETRY: SignedDuration = SignedDuration::from_secs(60);
/// How long nobody has to use it before that is written down, unless a stage comes earlier: people read and think.
const SETTLES: u64 = 15 * 60;
/// How often the signal of an active environment is written anew at most.
const REFRESH: SignedDuration = SignedDuration::from_secs(600);

/// What a step is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What is done and when.
    pub rules: &'a Rules,
    /// Whether somebody uses it.
    pub activity: &'a Activity,
    /// What was written last.
    pub before: Option<&'a IdleStatus>,
    /// What its owner asks to wait for.
    pub snoozed_until: Option<Timestamp>,
    /// Its pod.
    pub pod: Option<&'a Pod>,
    /// The flavor's `minimumResources`.
    pub minimum: &'a BTreeMap<String, Quantity>,
    /// The time.
    pub clocks: Clocks,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What to write, after all `notices` are told.
    pub status: IdleStatus,
    /// Stages that came.
    pub notices: Vec<Notice>,
    /// How large its pod should be; once `status` is written.
    pub size: Size,
    /// Whether to stop it.
    pub stop: Stop,
    /// When to look again though nothing is seen to change.
    pub wake_at: Option<Timestamp>,
}

/// Whether an environment is to be stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// Not yet, or never.
    #[default]
    No,
    /// By one clock only.
    Disputed,
    /// By both clocks.
    Due,
}

/// What is to be done now.
pub fn step(input: &Input<'_>) -> Step {
    let machine = input.pod.and_then(Machine::of);
    match input.activity {
        Activity::Unknown { why } => unknown(input, why),
        Activity::Held { until, by } => {
            let status = IdleStatus {
                state: IdleState::Held,
                signal: Some(by.clone()),
                until: Some(Time(whole_seconds(*until))),
                ..quiet(input, machine.as_ref())
            };
            Step {
                status,
                wake_at: Some(*until),
                ..Step::default()
            }
        }
        Activity::Active { signal, since } => {
            active(input, machine.as_ref(), *since, signal.as_str())
        }
        Activity::Idle { since, last } => {
            let signal = last.map(Signal::as_str).unwrap_or_default();
            let settles = input.rules.first().unwrap_or(SETTLES).min(SETTLES);
            let known = continued(input, *since);
            if known.is_none() && input.clocks.now() < after(*since, settles) {
                let mut step = active(input, machine.as_ref(), *since, signal);
                step.wake_at = Some(after(*since, settles));
                return step;
            }
            idle(input, machine.as_ref(), known, *since, signal)
        }
    }
}

fn word(signal: &str) -> Option<String> {
    Some(signal.to_owned()).filter(|s| !s.is_empty())
}

/// The record, if it is of this time without a sign of life.
fn continued<'a>(input: &Input<'a>, since: Timestamp) -> Option<&'a IdleStatus> {
    let before = input.before?;
    let is_idle = matches!(
        before.state,
        IdleState::Idle | IdleState::Snoozed | IdleState::Unknown
    );
    (is_idle && period::is_same(before, since)).then_some(before)
}

/// What stays when it is to have its size: that its pod has to grow back.
fn quiet(input: &Input<'_>, machine: Option<&Machine>) -> IdleStatus {
    let record = input.before.and_then(|before| before.downscaled.as_ref());
    IdleStatus {
        downscaled: record
            .filter(|record| machine.is_some_and(|m| m.is_still_small(record)))
            .cloned(),
        dry_run: input.rules.dry_run,
        ..IdleStatus::default()
    }
}

/// Its last sign of life moves on all the time; that is not written each time.
fn active(input: &Input<'_>, machine: Option<&Machine>, since: Timestamp, signal: &str) -> Step {
    let fresh = IdleStatus {
        state: IdleState::Active,
        since: Some(Time(whole_seconds(since))),
        signal: word(signal),
        ..quiet(input, machine)
    };
    let now = input.clocks.now();
    let kept = input.before.filter(|before| {
        let written = before.since.as_ref().map_or(now, |at| at.0);
        before.state == IdleState::Active
            && before.dry_run == fresh.dry_run
            && (before.signal == fresh.signal || now.duration_since(written) < REFRESH)
    });
    let status = match kept {
        Some(before) => IdleStatus {
            downscaled: fresh.downscaled,
            ..before.clone()
        },
        None => fresh,
    };
    Step {
        status,
        ..Step::default()
    }
}

/// Nobody knows: what was done stays, and nothing more is done.
fn unknown(input: &Input<'_>, why: &str) -> Step {
    let before = input.before.cloned().unwrap_or_default();
    let was_unknown = input.before.is_some() && before.state == IdleState::Unknown;
    let signal = before.signal.clone().filter(|_| was_unknown);
    let has_record = matches!(before.state, IdleState::Idle | IdleState::Snoozed) || was_unknown;
    let kept = if has_record {
        before
    } else {
        IdleStatus {
            downscaled: before.downscaled,
            ..IdleStatus::default()
        }
    };
    Step {
        status: IdleStatus {
            state: IdleState::Unknown,
            signal: signal.or_else(|| Some(why.to_owned())),
            rule: None,
            next_stage: None,
            next_time: None,
            until: None,
            dry_run: input.rules.dry_run,
            ..kept
        },
        size: Size::Left,
        ..Step::default()
    }
}

fn idle(
    input: &Input<'_>,
    machine: Option<&Machine>,
    known: Option<&IdleStatus>,
    since: Timestamp,
    signal: &str,
) -> Step {
    let now = input.clocks.now();
    // As it was first written: it seems to move by a second now and then.
    let since = known
        .and_then(|k| k.since.as_ref())
        .map_or(since, |at| at.0);
    let bound = after(since, input.rules.max_snooze);
    let snooze = input
        .snoozed_until
        .map(|until| whole_seconds(until.min(bound)))
        .filter(|until| *until > since);
    let record = input.before.and_then(|b| b.downscaled.as_ref());
    let ladder = Ladder {
        rules: input.rules,
        since,
        floor: snooze.filter(|until| *until <= now),
        can_shrink: machine.is_some_and(|m| m.can_shrink(record, input.minimum)),
    };
    let base = IdleStatus {
        state: IdleState::Idle,
        since: Some(Time(whole_seconds(since))),
        signal: known
            .filter(|k| k.state != IdleState::Unknown)
            .map_or_else(|| word(signal), |k| k.signal.clone()),
        stage: known.and_then(|k| k.stage),
        stage_time: known.and_then(|k| k.stage_time.clone()),
        warned_time: known.and_then(|k| k.warned_time.clone()),
        notified_stage: known.and_then(|k| k.notified_stage),
        working_hours: input.rules.hours.as_ref().map(ToString::to_string),
        dry_run: input.rules.dry_run,
        ..IdleStatus::default()
    };
    match snooze.filter(|until| now < *until) {
        Some(until) => snoozed(input, machine, base, until),
        None => climb(input, machine, &ladder, base),
    }
}

/// Put off by its owner: it is as if somebody used it, but what was told before is not told again.
fn snoozed(
    input: &Input<'_>,
    machine: Option<&Machine>,
    base: IdleStatus,
    until: Timestamp,
) -> Step {
    Step {
        status: IdleStatus {
            state: IdleState::Snoozed,
            until: Some(Time(until)),
            downscaled: quiet(input, machine).downscaled,
            ..base
        },
        wake_at: Some(until),
        ..Step::default()
    }
}

fn climb(
    input: &Input<'_>,
    machine: Option<&Machine>,
    ladder: &Ladder<'_>,
    mut status: IdleStatus,
) -> Step {
    let now = input.clocks.now();
    rewind(ladder, &mut status);
    let warned = status.warned_time.as_ref().map(|at| at.0);
    let reached = status.stage;
    let mut notices = Vec::new();
    for stage in IdleStage::ALL {
        let is_new = reached.is_none_or(|r| stage > r);
        let is_due = ladder.at(stage, warned).is_some_and(|at| at <= now);
        // The stop is told of when it is there.
        let is_told = stage != IdleStage::Terminate || input.rules.dry_run;
        if is_new && is_due && is_told {
            notices.push(Notice {
                stage,
                round: ladder.round(stage),
            });
            status.stage = Some(stage);
            status.stage_time = Some(Time(whole_seconds(now)));
            if stage == IdleStage::Warn {
                status.warned_time = Some(Time(whole_seconds(now)));
            }
        }
    }
    let is_small = ladder.can_shrink
        && !input.rules.dry_run
        && ladder
            .at(IdleStage::Downscale, None)
            .is_some_and(|at| at <= now);
    let record = input.before.and_then(|b| b.downscaled.as_ref());
    // One that was shrunk under another policy grows back, too.
    status.downscaled = match machine.filter(|_| is_small) {
        Some(machine) => Some(machine.original(record)),
        None => quiet(input, machine).downscaled,
    };
    let warned_now = status.warned_time.as_ref().map(|at| at.0);
    let next = ladder.next(status.stage, warned_now);
    status.next_stage = next.map(|(stage, _)| stage);
    status.next_time = next.map(|(_, at)| Time(whole_seconds(at)));
    let limit = next.and_then(|(stage, _)| input.rules.get(stage));
    status.rule = limit.map(|l| l.level.to_string());
    let stop = stop(input, ladder, warned);
    let wake_at = match stop {
        Stop::Disputed => now.checked_add(DISPUTED_RETRY).ok(),
        _ => next.map(|(_, at)| at),
    };
    Step {
        status,
        notices,
        size: if is_small { Size::Small } else { Size::Full },
        stop,
        wake_at,
    }
}

/// Only on what was written before, never on a warning that is given in this very step.
fn stop(input: &Input<'_>, ladder: &Ladder<'_>, warned: Option<Timestamp>) -> Stop {
    match ladder.at(IdleStage::Terminate, warned) {
        Some(at) if !input.rules.dry_run && at <= input.clocks.now() => {
            if input.clocks.agree_on(at) {
                Stop::Due
            } else {
                Stop::Disputed
            }
        }
        _ => Stop::No,
    }
}
