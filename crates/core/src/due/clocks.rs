//! The time, from two witnesses.
//!
//! The API server's clock writes `creationTimestamp`, so its clock also says how much time has passed since: it is the
//! time of every decision. It is never used alone for what cannot be undone. When it is ahead by a day, everything it
//! has written lately seems to be over; when the operator's clock is ahead, nothing is lost, because it only has to agree.
//! Which of two clocks is wrong nobody can tell, so a deletion waits for the later of them. It comes late by as much as
//! they differ, and not never: both go on. An administrator is told to set them.

use jiff::{SignedDuration, Timestamp};

/// How far the clocks may be apart: answers travel, and `Date` holds whole seconds.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// What the API server said in its newest answer; `None`: it has not said the time.
    pub server: Option<Timestamp>,
    /// What the operator's own clock says.
    pub own: Timestamp,
}

impl Clocks {
    /// The time to decide by.
    pub fn now(self) -> Timestamp {
        self.server.unwrap_or(self.own)
    }

    /// How far the API server's clock is ahead of the operator's.
    pub fn difference(self) -> Option<SignedDuration> {
        self.server.map(|server| server.duration_since(self.own))
    }

    /// Whether `instant` has passed by both clocks.
    pub(crate) fn agree_on(self, instant: Timestamp) -> bool {
        let own = self.own.checked_add(TOLERANCE).unwrap_or(Timestamp::MAX);
        self.server.is_some_and(|server| server >= instant) && own >= instant
    }
}
