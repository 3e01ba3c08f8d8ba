//! The time without a sign of life that a record speaks of, and the names of what is told about it.

use devserver_api::{DevServer, IdleStage, IdleStatus};
use jiff::{SignedDuration, Timestamp};

use crate::event;

/// By how much the last sign of life may seem to move without being another one: it is told as an age, in whole seconds.
const JITTER: SignedDuration = SignedDuration::from_secs(5);

/// Whether the record speaks of this very time without a sign of life.
pub(super) fn is_same(before: &IdleStatus, since: Timestamp) -> bool {
    let recorded = before.since.as_ref();
    recorded.is_some_and(|at| at.0.duration_since(since).abs() <= JITTER)
}

/// Name of a time without a sign of life: the same for every operator that looks at it.
pub fn period(server: &DevServer, status: &IdleStatus) -> String {
    let uid = event::mark(server.metadata.uid.as_deref());
    let since = status.since.as_ref().map_or(0, |at| at.0.as_second());
    format!("{uid}-{since:x}")
}

/// A stage that came and is to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The stage.
    pub stage: IdleStage,
    /// How often it came in this time without a sign of life; more than once after a snooze.
    pub round: i64,
}

impl Notice {
    /// The same for every telling of the same: name of the event, identity of the notification.
    pub fn id(&self, server: &DevServer, status: &IdleStatus) -> String {
        let (period, stage) = (period(server, status), self.stage.field());
        match self.round {
            0 => format!("{period}-{stage}"),
            round => format!("{period}-{stage}-{round:x}"),
        }
    }
}

/// The stage of which the owner is still to be told by a notification: the last that came, of those that are told.
pub fn owed(status: &IdleStatus) -> Option<IdleStage> {
    let told = [IdleStage::Terminate, IdleStage::Warn, IdleStage::Notify];
    let reached = status.stage.filter(|_| !status.dry_run)?;
    let stage = told.into_iter().find(|stage| *stage <= reached)?;
    let is_new = status.notified_stage.is_none_or(|before| before < stage);
    is_new.then_some(stage)
}

/// Identity of a notification: the same however often it is sent, another one when its owner is warned anew.
pub fn notification_id(server: &DevServer, status: &IdleStatus, stage: IdleStage) -> String {
    let warned = status
        .warned_time
        .as_ref()
        .filter(|_| stage >= IdleStage::Warn);
    let round = warned.map_or(0, |at| at.0.as_second());
    Notice { stage, round }.id(server, status)
}
