//! One step of a home without a DevServer on its way.

use devserver_api::{
    condition::whole_seconds,
    duration,
    trash::{self, Ended, Marks, Record},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::Value;

use super::patch;
use crate::{
    Clocks, Platform, event,
    instant::{after, before},
};

/// How long homes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Seconds after the end; `None`: for ever.
    pub retention: Option<u64>,
    /// Seconds between announcement and removal.
    pub warning: u64,
}

impl Rules {
    /// Those of the platform; `None`: homes stay as they are.
    pub fn of(platform: &Platform) -> Option<Self> {
        let settings = platform.trash.as_ref()?;
        let seconds = |text: &str| duration::parse_positive(text).ok();
        // Checked when the configuration was read; what got by keeps homes for ever.
        let warning = seconds(&settings.warning);
        let retention = settings.retention.as_deref().and_then(seconds);
        Some(Self {
            retention: retention.filter(|_| warning.is_some()),
            warning: warning.unwrap_or_default(),
        })
    }
}

/// Whether a home is to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removal {
    /// Not yet, or never.
    #[default]
    No,
    /// By one clock only.
    Disputed,
    /// By both clocks.
    Due,
}

/// That a home will be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The end of the time for which it is kept; what events are named by, so that who dies after telling tells nothing else.
    pub end: Timestamp,
    /// When it is removed: not before `end`.
    pub removal: Timestamp,
}

/// What is to be done with a home whose DevServer is gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What is to be announced, before `patch` is written.
    pub announce: Option<Announcement>,
    /// What to write to the claim.
    pub patch: Option<Value>,
    /// Whether to remove it, where there is nothing to write.
    pub removal: Removal,
}

/// What is to be done now.
pub fn step(claim: &PersistentVolumeClaim, rules: &Rules, clocks: Clocks) -> Step {
    let now = clocks.now();
    let written = trash::marks(claim);
    // By the later clock: who is wrong about it keeps the home for longer.
    let ended = written
        .ended
        .unwrap_or_else(|| whole_seconds(now.max(clocks.own)));
    let record = trash::record(claim);
    let because = written
        .because
        .filter(|_| written.ended.is_some())
        .unwrap_or_else(|| why(record.as_ref(), ended));
    let mut marks = Marks {
        ended: Some(ended),
        because: Some(because),
        removal: None,
        warned: None,
    };
    let mut announce = None;
    if let Some(retention) = rules.retention {
        let end = after(ended, retention);
        let from = before(end, rules.warning);
        // One that was given for an earlier end counts no more.
        let given = written.warned.filter(|at| *at >= from);
        marks.warned = given.or_else(|| (now >= from).then(|| whole_seconds(now)));
        // The whole time between announcement and removal is the owner's, also when the operator was away.
        let least = marks.warned.map(|at| after(at, rules.warning));
        let removal = least.map_or(end, |least| end.max(least));
        marks.removal = Some(removal);
        announce =
            (given.is_none() && marks.warned.is_some()).then_some(Announcement { end, removal });
    }
    Step {
        announce,
        patch: patch(claim, marks.annotations()),
        removal: removal(&written, &marks, clocks),
    }
}

/// Only when all of it stands there already.
fn removal(written: &Marks, wanted: &Marks, clocks: Clocks) -> Removal {
    match (written.warned, written.removal) {
        (Some(_), Some(at)) if written == wanted && clocks.now() >= at => {
            if clocks.agree_on(at) {
                Removal::Due
            } else {
                Removal::Disputed
            }
        }
        _ => Removal::No,
    }
}

/// Nobody need have been there when it ended, so that it is told by the time.
fn why(record: Option<&Record>, ended: Timestamp) -> Ended {
    match record.and_then(|record| record.expires) {
        Some(expires) if expires <= ended => Ended::Expired,
        _ => Ended::Deleted,
    }
}

/// Name of an event about the removal of a home: the same for everybody who tells it.
pub fn event_name(claim: &PersistentVolumeClaim, end: Timestamp, what: &str) -> String {
    let uid = event::mark(claim.metadata.uid.as_deref());
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    format!("{name}.{uid}-{:x}-{what}", end.as_second())
}
