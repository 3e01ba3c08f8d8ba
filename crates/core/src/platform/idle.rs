//! Settings about environments that nobody uses. Without them nothing is done to any.

use std::collections::BTreeMap;

use devserver_api::{IdleStage, duration, idle::OFF};
use serde::{Deserialize, Serialize};

use super::{Platform, PlatformError, bad, positive};
use crate::idle::WorkingHours;

/// What is done to environments that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdleSettings {
    /// When the stages come: `alert`, `notify`, `downscale`, `warn`, `terminate`, in Go syntax. One that is absent or `Off` does
    /// not come.
    pub stages: BTreeMap<String, String>,
    /// Latest that an environment may ask for a stage of its own, in Go syntax. Absent: not later than it would come anyway.
    pub longest: Option<String>,
    /// Whether environments may switch stages off.
    pub environments_may_disable: bool,
    /// How long after the last sign of life a snooze can hold off everything, in Go syntax.
    pub max_snooze: String,
    /// Hours in which idle time counts. Absent: always.
    pub working_hours: Option<WorkingHours>,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Seconds between two questions to an agent.
    pub interval_seconds: u32,
    /// Idle environments that are stopped in one minute at most; the rest waits its turn.
    pub max_terminations_per_minute: u16,
}

impl Default for IdleSettings {
    fn default() -> Self {
        Self {
            stages: BTreeMap::new(),
            longest: None,
            environments_may_disable: false,
            max_snooze: "72h".to_owned(),
            working_hours: None,
            dry_run: false,
            interval_seconds: 60,
            max_terminations_per_minute: 10,
        }
    }
}

/// What a team says about its idle environments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TeamIdleSettings {
    /// No stage comes.
    pub disabled: bool,
    /// When the stages come.
    pub stages: BTreeMap<String, String>,
    /// Hours in which idle time counts. Absent: the platform's.
    pub working_hours: Option<WorkingHours>,
}

fn check_stages(
    field: &'static str,
    stages: &BTreeMap<String, String>,
) -> Result<(), PlatformError> {
    for (stage, text) in stages {
        if !IdleStage::ALL.iter().any(|s| s.field() == stage) {
            let known = IdleStage::ALL.map(IdleStage::field).join(", ");
            let why = format!("{stage:?} is no stage; there are: {known}");
            return Err(bad(field, why));
        }
        if text != OFF {
            duration::parse_positive(text)
                .map_err(|e| bad(field, format!("{stage}: {text:?} {e}, or is Off")))?;
        }
    }
    Ok(())
}

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    for team in platform.teams.values() {
        if let Some(idle) = &team.idle {
            check_stages("teams", &idle.stages)?;
        }
    }
    let Some(idle) = &platform.idle else {
        return Ok(());
    };
    check_stages("idle.stages", &idle.stages)?;
    let at = |stage: IdleStage| {
        let text = idle.stages.get(stage.field())?;
        duration::parse_positive(text).ok()
    };
    if let (Some(warn), Some(end)) = (at(IdleStage::Warn), at(IdleStage::Terminate))
        && warn >= end
    {
        let why = "warn must come before terminate, or nobody could do anything about it";
        return Err(bad("idle.stages", why));
    }
    for (field, text) in [
        ("idle.longest", idle.longest.as_ref()),
        ("idle.maxSnooze", Some(&idle.max_snooze)),
    ] {
        if let Some(text) = text {
            positive(field, text)?;
        }
    }
    if platform.activity.is_none() {
        let why = "needs activity, which says what counts as use: nobody is stopped for what nobody looks at";
        return Err(bad("idle", why));
    }
    if !(1..=600).contains(&idle.interval_seconds) {
        let why = "must be between 1 and 600";
        return Err(bad("idle.intervalSeconds", why));
    }
    if idle.max_terminations_per_minute == 0 {
        let why = "must be at least 1; leave out the stage terminate to stop none";
        return Err(bad("idle.maxTerminationsPerMinute", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("idle: {}", "activity"),
            ("idle: {stages: {terminat: 24h}}", "terminat"),
            ("idle: {stages: {alert: soon}}", "alert"),
            ("idle: {stages: {warn: 24h, terminate: 23h}}", "warn"),
            ("{activity: {}, idle: {longest: 1d}}", "idle.longest"),
            ("{activity: {}, idle: {maxSnooze: 0s}}", "idle.maxSnooze"),
            (
                "{activity: {}, idle: {intervalSeconds: 0}}",
                "idle.intervalSeconds",
            ),
            (
                "{activity: {}, idle: {maxTerminationsPerMinute: 0}}",
                "idle.maxTerminationsPerMinute",
            ),
            ("teams: {genomics: {idle: {stages: {stop: 1h}}}}", "stop"),
            ("idle: {off: true}", "off"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_ladder_of_document_003_can_be_written_down() {
        let text = "{activity: {}, idle: {stages: {alert: 30m, notify: 2h, downscale: 8h, warn: 23h, terminate: 24h}}}";
        assert!(Platform::parse(text).is_ok());
    }
}
