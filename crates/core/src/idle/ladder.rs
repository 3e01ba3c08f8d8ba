//! When the stages of a time without a sign of life come.

use devserver_api::{IdleStage, IdleStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::rules::Rules;

/// A time without a sign of life and how far the ladder has come in it.
pub(super) struct Ladder<'a> {
    pub rules: &'a Rules,
    pub since: Timestamp,
    /// The end of a snooze that is over: what is done before a stop is done anew after it.
    pub floor: Option<Timestamp>,
    pub can_shrink: bool,
}

impl Ladder<'_> {
    /// When a stage comes, if it does. The owner has the time between warning and stop, also when the warning came late.
    pub(super) fn at(&self, stage: IdleStage, warned: Option<Timestamp>) -> Option<Timestamp> {
        let seconds = self.rules.get(stage)?.seconds;
        let end = self.rules.get(IdleStage::Terminate).map(|l| l.seconds);
        let at = self.rules.after(self.since, seconds);
        match stage {
            IdleStage::Downscale if !self.can_shrink => None,
            // Not before the stop is no warning.
            IdleStage::Warn if end.is_some_and(|end| end <= seconds) => None,
            IdleStage::Warn => Some(self.floor.map_or(at, |floor| at.max(floor))),
            IdleStage::Terminate => match self.warning() {
                Some(warning) => {
                    let span = seconds.saturating_sub(warning);
                    Some(at.max(self.rules.after(warned?, span)))
                }
                None => Some(at),
            },
            _ => Some(at),
        }
    }

    /// Seconds to the warning of a stop, if there is one.
    fn warning(&self) -> Option<u64> {
        let end = self.rules.get(IdleStage::Terminate)?.seconds;
        let warning = self.rules.get(IdleStage::Warn)?.seconds;
        (warning < end).then_some(warning)
    }

    /// The stage after the one that was reached, and when it comes, as far as that is known.
    pub(super) fn next(
        &self,
        reached: Option<IdleStage>,
        warned: Option<Timestamp>,
    ) -> Option<(IdleStage, Timestamp)> {
        let left = IdleStage::ALL
            .into_iter()
            .filter(|stage| reached.is_none_or(|r| *stage > r));
        let instants = left.filter_map(|stage| Some((stage, self.at(stage, warned)?)));
        instants.min_by_key(|(stage, at)| (*at, *stage))
    }

    pub(super) fn round(&self, stage: IdleStage) -> i64 {
        let again = self.floor.filter(|_| stage >= IdleStage::Warn);
        again.map_or(0, Timestamp::as_second)
    }
}

/// After a snooze the warning counts no more: it is given again, and with it the time to do something.
pub(super) fn rewind(ladder: &Ladder<'_>, status: &mut IdleStatus) {
    let Some(floor) = ladder.floor else {
        return;
    };
    let is_old = |at: Option<&Time>| at.is_some_and(|at| at.0 < floor);
    if is_old(status.warned_time.as_ref()) {
        status.warned_time = None;
        let before_warning = |stage: IdleStage| stage.min(IdleStage::Downscale);
        status.stage = status.stage.map(before_warning);
        status.notified_stage = status.notified_stage.map(before_warning);
    }
}
