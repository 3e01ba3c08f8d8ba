//! How long it may live.

use devserver_api::{DevServer, DevServerSpec, RestartPolicy, duration};

use crate::{Invalid, Platform};

/// Seconds from creation to deletion; `None`: for ever.
pub fn time_to_live(server: &DevServer, platform: &Platform) -> Result<Option<u64>, Invalid> {
    let asked = server
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.time_to_live.as_ref());
    let max = longest_time_to_live(platform);
    let Some(text) = asked else {
        // Who asks for nothing gets the default, and the bound where there is no default.
        return Ok(bound(platform.default_time_to_live.as_ref()).or(max));
    };
    let seconds = duration::parse_positive(text).map_err(Invalid::TimeToLive)?;
    match (max, &platform.max_time_to_live) {
        (Some(max), Some(text)) if seconds > max => {
            Err(Invalid::TimeToLiveTooLong { max: text.clone() })
        }
        _ => Ok(Some(seconds)),
    }
}

/// Seconds that a DevServer may live at most; `None`: no bound.
pub fn longest_time_to_live(platform: &Platform) -> Option<u64> {
    bound(platform.max_time_to_live.as_ref())
}

fn bound(text: Option<&String>) -> Option<u64> {
    text.and_then(|text| duration::parse_positive(text).ok())
}

/// How long before the end users are warned, longest first, in seconds.
pub fn warnings(platform: &Platform) -> Vec<u64> {
    let texts = platform.expiration_warnings.iter();
    let mut seconds: Vec<u64> = texts
        .filter_map(|t| duration::parse_positive(t).ok())
        .collect();
    seconds.sort_unstable_by(|a, b| b.cmp(a));
    seconds.dedup();
    seconds
}

/// The command that saves the work, if there is one.
pub(super) fn checkpoint(spec: &DevServerSpec) -> Option<Vec<String>> {
    let lifecycle = spec.lifecycle.as_ref()?;
    Some(lifecycle.checkpoint.as_ref()?.command.clone()).filter(|command| !command.is_empty())
}

/// Whether a change restarts by itself; never, unless that was asked for.
pub(super) fn restart_policy(spec: &DevServerSpec) -> RestartPolicy {
    let asked = spec.lifecycle.as_ref().and_then(|l| l.restart_policy);
    asked.unwrap_or_default()
}

/// Seconds the pod has to end: the platform's, and those of the checkpoint on top.
pub(super) fn grace_period(spec: &DevServerSpec, platform: &Platform) -> i64 {
    let checkpoint = spec.lifecycle.as_ref().and_then(|l| l.checkpoint.as_ref());
    let extra = checkpoint.map_or(0, |c| c.grace_period_seconds.unwrap_or(60));
    platform.termination_grace_period_seconds + extra
}
