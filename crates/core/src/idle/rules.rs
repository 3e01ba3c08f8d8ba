//! Which stages concern an environment: the nearest level that says something about a stage decides on it; what an
//! environment says of itself counts within the platform's bounds.

use std::fmt;

use devserver_api::{DevServerSpec, IdlePolicySpec, IdleStage, duration, idle::OFF};
use jiff::Timestamp;

use super::hours::WorkingHours;
use crate::{
    Platform,
    instant::after,
    invalid::IdleError,
    platform::{IdleSettings, TeamIdleSettings},
};

/// Who said when a stage comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// The platform's configuration.
    Platform,
    /// The flavor of that name.
    Flavor(String),
    /// The team of that name.
    Team(String),
    /// The environment itself.
    Environment,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Flavor(name) => write!(f, "flavor {name}"),
            Self::Team(name) => write!(f, "team {name}"),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// When a stage comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Seconds without a sign of life.
    pub seconds: u64,
    /// Who said so.
    pub level: Level,
}

/// What is done to one environment when nobody uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    limits: [Option<Limit>; 5],
    /// Seconds after the last sign of life up to which a snooze holds.
    pub max_snooze: u64,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// When idle time counts; `None`: always.
    pub hours: Option<WorkingHours>,
}

impl Rules {
    /// When that stage comes; `None`: it does not.
    pub fn get(&self, stage: IdleStage) -> Option<&Limit> {
        let place = IdleStage::ALL.iter().position(|s| *s == stage)?;
        self.limits.get(place)?.as_ref()
    }

    /// The instant at which so many seconds have counted since then.
    pub(super) fn after(&self, since: Timestamp, seconds: u64) -> Timestamp {
        match &self.hours {
            Some(hours) => hours.after(since, seconds),
            None => after(since, seconds),
        }
    }

    /// Seconds to the earliest stage.
    pub fn first(&self) -> Option<u64> {
        self.limits.iter().flatten().map(|l| l.seconds).min()
    }
}

/// What belongs to an environment and may say something about its idleness.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Name and policy of its flavor.
    pub flavor: Option<(&'a str, &'a IdlePolicySpec)>,
    /// The team it counts for.
    pub team: Option<&'a str>,
}

/// What one level says about a stage: nothing, that it does not come, or when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Off,
    After(u64),
}

fn said(disabled: bool, text: Option<&str>) -> Said {
    match text {
        _ if disabled => Said::Off,
        Some(OFF) => Said::Off,
        // Checked where it is written; one that got by is no reason to stop anybody.
        Some(text) => duration::parse_positive(text).map_or(Said::Off, Said::After),
        None => Said::Nothing,
    }
}

/// The rules for an environment; `None`: nothing is ever done to it.
pub fn rules(spec: &DevServerSpec, around: Around<'_>, platform: &Platform) -> Option<Rules> {
    let settings = platform.idle.as_ref()?;
    let limits = IdleStage::ALL.map(|stage| {
        let given = given(stage, around, platform, settings);
        own(stage, spec, given, settings)
    });
    let rules = Rules {
        limits,
        max_snooze: duration::parse_positive(&settings.max_snooze).unwrap_or_default(),
        dry_run: settings.dry_run,
        hours: hours(around, platform, settings),
    };
    rules.first().map(|_| rules)
}

/// Those of the team, or else of the platform.
fn hours(around: Around<'_>, platform: &Platform, settings: &IdleSettings) -> Option<WorkingHours> {
    let team = around.team.and_then(|name| {
        let idle = platform.teams.get(name)?.idle.as_ref()?;
        idle.working_hours.clone()
    });
    team.or_else(|| settings.working_hours.clone())
}

/// What those decide who answer for the platform: the nearest of team, flavor and platform.
fn given(
    stage: IdleStage,
    around: Around<'_>,
    platform: &Platform,
    settings: &IdleSettings,
) -> Option<Limit> {
    let team = around.team.and_then(|name| {
        let idle: &TeamIdleSettings = platform.teams.get(name)?.idle.as_ref()?;
        let text = idle.stages.get(stage.field()).map(String::as_str);
        Some((Level::Team(name.to_owned()), said(idle.disabled, text)))
    });
    let flavor = around.flavor.map(|(name, idle)| {
        let text = idle.stages.get(stage);
        (Level::Flavor(name.to_owned()), said(idle.disabled, text))
    });
    let text = settings.stages.get(stage.field()).map(String::as_str);
    let levels = [team, flavor, Some((Level::Platform, said(false, text)))];
    let (level, said) = levels
        .into_iter()
        .flatten()
        .find(|(_, said)| *said != Said::Nothing)?;
    match said {
        Said::After(seconds) => Some(Limit { seconds, level }),
        Said::Off | Said::Nothing => None,
    }
}

/// The latest an environment may ask for, where it would otherwise come at `given`.
fn latest(given: &Limit, settings: &IdleSettings) -> u64 {
    let longest = settings.longest.as_deref().map(duration::parse_positive);
    longest
        .and_then(Result::ok)
        .unwrap_or_default()
        .max(given.seconds)
}

/// What the environment says of itself, within the bounds. What nobody else asks for it may ask for.
fn own(
    stage: IdleStage,
    spec: &DevServerSpec,
    given: Option<Limit>,
    settings: &IdleSettings,
) -> Option<Limit> {
    let Some(idle) = &spec.idle else {
        return given;
    };
    match (said(idle.disabled, idle.stages.get(stage)), given) {
        (Said::Nothing, given) => given,
        (Said::Off, given) => given.filter(|_| !settings.environments_may_disable),
        (Said::After(seconds), given) => Some(Limit {
            seconds: given.map_or(seconds, |given| seconds.min(latest(&given, settings))),
            level: Level::Environment,
        }),
    }
}

/// Whether the environment asks for no more than it may. What it asks for too much does not count in any case.
pub fn check(
    spec: &DevServerSpec,
    around: Around<'_>,
    platform: &Platform,
) -> Result<(), IdleError> {
    let Some(idle) = &spec.idle else {
        return Ok(());
    };
    for stage in IdleStage::ALL {
        if let Some(text) = idle.stages.get(stage).filter(|text| *text != OFF) {
            let field = stage.field();
            duration::parse_positive(text).map_err(|error| IdleError::Stage { field, error })?;
        }
    }
    let Some(settings) = &platform.idle else {
        return Ok(());
    };
    for stage in IdleStage::ALL {
        let Some(given) = given(stage, around, platform, settings) else {
            continue;
        };
        match said(idle.disabled, idle.stages.get(stage)) {
            Said::Off if !settings.environments_may_disable => {
                return Err(if idle.disabled {
                    IdleError::Disabled
                } else {
                    IdleError::Off {
                        field: stage.field(),
                    }
                });
            }
            Said::After(seconds) if seconds > latest(&given, settings) => {
                return Err(IdleError::TooLate {
                    field: stage.field(),
                    latest: duration::go_syntax(latest(&given, settings)),
                });
            }
            _ => {}
        }
    }
    Ok(())
}
