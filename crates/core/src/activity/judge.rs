//! The verdict.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Activity, Hold, Known, Policy, Report, Signal};
use crate::instant::{after, before, span};

/// How far the agent's clock may be from ours before its instants are moved: answers travel.
const SAME_CLOCK: SignedDuration = SignedDuration::from_secs(120);

/// A signal and when it was last seen, by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sign {
    /// What was seen.
    pub signal: Signal,
    /// When.
    pub at: Timestamp,
}

/// Whether somebody works.
pub fn judge(known: &Known, report: Option<&Report>, policy: &Policy, now: Timestamp) -> Activity {
    let held = |inside: &[Hold]| hold_in_force(known, inside, policy, now);
    let unsure = |why: String| held(&[]).unwrap_or(Activity::Unknown { why });
    let Some(report) = report else {
        return unsure("the agent in the environment does not answer".to_owned());
    };
    if let Some(why) = hangs(report, policy) {
        return unsure(why);
    }
    let newest = signs(known, report, policy, now)
        .into_iter()
        .chain(known.last)
        .max_by_key(|sign| (sign.at, sign.signal.is_of_a_person()));
    let Some(Sign { signal, at }) = newest else {
        return unsure("the agent has seen nothing yet".to_owned());
    };
    // The end of a lease is when being idle begins; being held is not being active.
    let is_recent = at >= before(now, policy.window_seconds);
    if is_recent && signal != Signal::Hold {
        let since = known.active_since.unwrap_or(at);
        return Activity::Active { signal, since };
    }
    if let Some(held) = held(&report.holds) {
        return held;
    }
    let last = Some(signal).filter(|signal| *signal != Signal::Start);
    Activity::Idle { since: at, last }
}

/// Whether the agent answers and has stopped looking.
fn hangs(report: &Report, policy: &Policy) -> Option<String> {
    let age = report.at.duration_since(report.sampled_at);
    if age <= span(policy.stale_seconds) {
        return None;
    }
    let seconds = age.as_secs();
    Some(format!(
        "the agent in the environment has not looked for {seconds} seconds"
    ))
}

/// Every signal of a report that counts, with the instant at which it was last seen.
pub fn signs(known: &Known, report: &Report, policy: &Policy, now: Timestamp) -> Vec<Sign> {
    let here = |at: Timestamp| moved(at, report.at, now);
    let mut signs: Vec<Sign> = by_people(report, policy)
        .into_iter()
        .filter_map(|(signal, at)| {
            Some(Sign {
                signal,
                at: here(at?),
            })
        })
        .collect();
    // A container that was started again by itself (out of memory, say) is no sign of life; a new pod is one.
    if known.last.is_none() {
        signs.push(Sign {
            signal: Signal::Start,
            at: here(report.started_at),
        });
    }
    let attended = signs.iter().map(|sign| sign.at).chain(known.person).max();
    let attended = attended.unwrap_or_else(|| here(report.started_at));
    let until = after(attended, policy.max_unattended_seconds);
    let printing = after(attended, policy.max_printing_seconds).min(until);
    let of_machines = by_machines(report, policy);
    signs.extend(of_machines.into_iter().filter_map(|(signal, at)| {
        // What goes on beyond the bound was last seen at the bound.
        let bound = if signal == Signal::Foreground {
            printing
        } else {
            until
        };
        let at = here(at?).min(bound);
        Some(Sign { signal, at })
    }));
    signs
}

fn by_people(report: &Report, policy: &Policy) -> [(Signal, Option<Timestamp>); 2] {
    let used = report.editor.as_ref().and_then(|editor| {
        let traffic = editor.traffic.last_at_least(policy.editor_bytes_per_second);
        editor.edited.max(traffic)
    });
    [(Signal::Typed, report.typed.last), (Signal::Editor, used)]
}

fn by_machines(report: &Report, policy: &Policy) -> [(Signal, Option<Timestamp>); 6] {
    let named = report.programs.iter().filter(|program| {
        let there = program.last.duration_since(program.since);
        policy.busy_programs.contains(&program.name) && there >= span(policy.busy_seconds)
    });
    let printing = report
        .foreground
        .iter()
        .filter(|one| !policy.viewers.contains(&one.program));
    let gpu = report.gpu.as_ref();
    let cpu = report.cpu.as_ref().map(|cpu| &cpu.working);
    let (disk, network) = (report.disk.as_ref(), report.network.as_ref());
    [
        (Signal::Process, named.map(|program| program.last).max()),
        (
            Signal::Gpu,
            gpu.and_then(|m| m.last_at_least(policy.gpu_percent)),
        ),
        (
            Signal::Cpu,
            cpu.and_then(|m| m.last_at_least(policy.cpu_millicores)),
        ),
        (
            Signal::Disk,
            disk.and_then(|m| m.last_at_least(policy.disk_bytes_per_second)),
        ),
        (
            Signal::Network,
            network.and_then(|m| m.last_at_least(policy.network_bytes_per_second)),
        ),
        (
            Signal::Foreground,
            printing.filter_map(|one| one.last_output).max(),
        ),
    ]
}

/// The lease that ends last, if one is in force. One after the other may not go on beyond the bound either: it counts from
/// when leases alone began to keep the environment.
pub(super) fn hold_in_force(
    known: &Known,
    inside: &[Hold],
    policy: &Policy,
    now: Timestamp,
) -> Option<Activity> {
    let in_a_row = known
        .held_since
        .map(|since| after(since, policy.max_hold_seconds));
    let end = |hold: &Hold| {
        let longest = after(hold.since.min(now), policy.max_hold_seconds);
        let until = hold.until.min(longest);
        in_a_row.map_or(until, |bound| until.min(bound))
    };
    let (hold, until) = known
        .holds
        .iter()
        .chain(inside)
        .map(|hold| (hold, end(hold)))
        .filter(|(_, until)| *until > now)
        .max_by_key(|(_, until)| *until)?;
    let by = match hold.what.as_str() {
        "" => hold.by.clone(),
        what => format!("{} ({what})", hold.by),
    };
    Some(Activity::Held { until, by })
}

/// An instant of the agent by our clock. Clocks of one cluster agree; where they do not, what counts is how long ago the
/// agent says it was.
fn moved(at: Timestamp, agents_now: Timestamp, now: Timestamp) -> Timestamp {
    let ahead = agents_now.duration_since(now);
    if ahead.abs() <= SAME_CLOCK {
        return at.min(now);
    }
    let ago = agents_now.duration_since(at);
    now.checked_sub(ago).unwrap_or(Timestamp::MIN).min(now)
}

#[cfg(test)]
mod tests;
