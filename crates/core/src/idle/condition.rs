//! The condition `Idle`: what `status.idle` says, in a sentence. It holds instants and never spans, which would change all the
//! time, and the status with them.

use devserver_api::{
    IdleStage, IdleState, IdleStatus,
    condition::{self, Verdict},
};

/// What to tell people; `None` while it is in use: that is the ordinary case.
pub fn verdict(status: &IdleStatus) -> Option<Verdict> {
    let word =
        |reason: &str, message: String| Some(Verdict::new(condition::IDLE, true, reason, message));
    match status.state {
        IdleState::Active => None,
        IdleState::Idle => word(
            reason(status.stage),
            format!("{}; {}", quiet(status), next(status)),
        ),
        IdleState::Snoozed => word(
            "Snoozed",
            format!(
                "{}; nothing is done before {}",
                quiet(status),
                instant(status.until.as_ref())
            ),
        ),
        IdleState::Stopped => word(
            "Stopped",
            format!("{}; it was stopped, and its home is kept", quiet(status)),
        ),
        IdleState::Held => Some(Verdict::new(
            condition::IDLE,
            false,
            "Held",
            format!(
                "kept by {} until {}",
                status.signal.as_deref().unwrap_or("somebody"),
                instant(status.until.as_ref())
            ),
        )),
        IdleState::Unknown => Some(Verdict {
            type_: condition::IDLE,
            status: None,
            reason: "ActivityUnknown".to_owned(),
            message: format!(
                "nobody knows whether it is in use ({}); so nothing is done",
                status.signal.as_deref().unwrap_or("its agent does not say")
            ),
        }),
    }
}

fn reason(stage: Option<IdleStage>) -> &'static str {
    match stage {
        None => "Quiet",
        Some(IdleStage::Alert) => "Alerted",
        Some(IdleStage::Notify) => "OwnerNotified",
        Some(IdleStage::Downscale) => "Downscaled",
        Some(IdleStage::Warn) => "Warned",
        Some(IdleStage::Terminate) => "WouldBeStopped",
    }
}

fn instant(at: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>) -> String {
    at.map_or_else(|| "an unknown time".to_owned(), |at| at.0.to_string())
}

fn quiet(status: &IdleStatus) -> String {
    let since = instant(status.since.as_ref());
    match &status.signal {
        Some(signal) => format!("no sign of life since {since} (the last: {signal})"),
        None => format!("no sign of life since {since}"),
    }
}

/// What a stage does, in words.
pub(super) fn deed(stage: IdleStage) -> &'static str {
    match stage {
        IdleStage::Alert => "administrators are told",
        IdleStage::Notify => "its owner is told",
        IdleStage::Downscale => "its requests shrink",
        IdleStage::Warn => "its owner is warned",
        IdleStage::Terminate => "it is stopped, and its home is kept",
    }
}

fn next(status: &IdleStatus) -> String {
    let mut remark = if status.dry_run {
        " (dry run: only told of)".to_owned()
    } else {
        String::new()
    };
    if let Some(hours) = &status.working_hours {
        remark.push_str("; idle time counts only ");
        remark.push_str(hours);
    }
    match (status.next_stage, &status.rule) {
        (Some(stage), Some(rule)) => format!(
            "{} at {}, by the policy of {}{remark}",
            deed(stage),
            instant(status.next_time.as_ref()),
            match rule.as_str() {
                "platform" => "the platform",
                "environment" => "the environment itself",
                other => other,
            }
        ),
        _ => format!("nothing more is done{remark}"),
    }
}
