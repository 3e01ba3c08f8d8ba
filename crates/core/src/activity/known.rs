//! What the operator knows besides the newest report. To lose it is no harm: the verdict is then more generous, never less,
//! because an agent that was started anew looks like an environment that was.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Activity, Hold, Policy, Report, Sign, Signal, judge, judge::hold_in_force, signs};

/// What is known of one start of an environment (one pod). A new pod begins with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Known {
    /// The newest sign of all reports so far.
    pub last: Option<Sign>,
    /// When a person was last seen.
    pub person: Option<Timestamp>,
    /// Since when it has been active without a break.
    pub active_since: Option<Timestamp>,
    /// Since when it has been kept by leases alone, one after the other.
    pub held_since: Option<Timestamp>,
    /// Leases that were given from outside ([`super::annotated`]). Put in anew for each verdict.
    #[serde(skip)]
    pub holds: Vec<Hold>,
}

impl Known {
    /// What is known after this report was judged. Times only ever grow.
    #[must_use]
    pub fn after(&self, report: Option<&Report>, policy: &Policy, now: Timestamp) -> Self {
        let verdict = judge(self, report, policy, now);
        let mut known = self.clone();
        let seen = report
            .map(|report| signs(self, report, policy, now))
            .unwrap_or_default();
        for sign in seen {
            if known.last.is_none_or(|last| sign.at > last.at) {
                known.last = Some(sign);
            }
            // A start is taken for a person's only as long as nothing better is known.
            let is_new = known.person.is_none_or(|person| sign.at > person);
            if sign.signal.is_of_a_person() && is_new && sign.signal != Signal::Hold {
                known.person = Some(sign.at);
            }
        }
        match verdict {
            Activity::Active { since, .. } => {
                (known.active_since, known.held_since) = (Some(since), None);
            }
            Activity::Held { .. } => {
                known.active_since = None;
                known.held_since = known.held_since.or(Some(now));
                // When the lease ends, being idle begins.
                known.last = Some(Sign {
                    signal: Signal::Hold,
                    at: now,
                });
            }
            Activity::Idle { since, .. } => {
                known.active_since = None;
                if !self.is_asked_to_hold(report, policy, now) && since < now {
                    known.held_since = None;
                }
            }
            Activity::Unknown { .. } => {}
        }
        known
    }

    /// Whether there is a lease that only its being one of a long row keeps from counting.
    fn is_asked_to_hold(&self, report: Option<&Report>, policy: &Policy, now: Timestamp) -> bool {
        let without_past = Self {
            held_since: None,
            ..self.clone()
        };
        let inside = report
            .map(|report| report.holds.as_slice())
            .unwrap_or_default();
        hold_in_force(&without_past, inside, policy, now).is_some()
    }
}
