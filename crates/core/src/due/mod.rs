//! What time demands. Pure: the time is an argument, deadlines come from stored timestamps only.

pub mod burst;
mod clocks;
mod warnings;

use devserver_api::DevServer;
use jiff::{SignedDuration, Timestamp};

use crate::{Platform, resolve};

pub use clocks::{Clocks, TOLERANCE};
pub use warnings::{given, next};

/// Next look while the clocks do not agree that the time is over.
const DISPUTED_RETRY: SignedDuration = SignedDuration::from_secs(60);

/// What time demands of one DevServer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Whether its time is over.
    pub expiry: Expiry,
    /// When to look again.
    pub wake_at: Option<Timestamp>,
}

/// Whether the time of a DevServer is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Not yet, or never.
    #[default]
    NotYet,
    /// By one clock only: nothing is deleted on the word of a clock that may be wrong.
    Disputed,
    /// By both clocks: delete it.
    Over,
}

/// Why a DevServer whose time is over is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The clocks of the operator and of the API server do not agree.
    ClockSkew,
    /// As many as may be were deleted within a minute.
    Turn,
}

/// The instant after which the DevServer is deleted; `None`: never.
///
/// A time to live that is not understood or longer than the platform allows is invalid and changes nothing that runs,
/// but the platform's bound holds all the same: nobody lives for ever by asking for too much.
pub fn expires_at(server: &DevServer, platform: &Platform) -> Option<Timestamp> {
    match resolve::time_to_live(server, platform) {
        Ok(seconds) => after_creation(server, seconds?),
        Err(_) => longest(server, platform),
    }
}

/// The latest end the platform allows, counted from the creation; `None`: no bound.
pub fn longest(server: &DevServer, platform: &Platform) -> Option<Timestamp> {
    after_creation(server, resolve::longest_time_to_live(platform)?)
}

fn after_creation(server: &DevServer, seconds: u64) -> Option<Timestamp> {
    let created = server.metadata.creation_timestamp.as_ref()?.0;
    let span = SignedDuration::from_secs(i64::try_from(seconds).ok()?);
    created.checked_add(span).ok()
}

/// What time demands.
pub fn due(server: &DevServer, platform: &Platform, clocks: Clocks) -> Due {
    let Some(ends) = expires_at(server, platform) else {
        return Due::default();
    };
    let now = clocks.now();
    if now < ends {
        let warning = next(ends, &resolve::warnings(platform), now);
        return Due {
            expiry: Expiry::NotYet,
            wake_at: Some(warning.unwrap_or(ends)),
        };
    }
    if clocks.agree_on(ends) {
        return Due {
            expiry: Expiry::Over,
            wake_at: None,
        };
    }
    Due {
        expiry: Expiry::Disputed,
        wake_at: now.checked_add(DISPUTED_RETRY).ok(),
    }
}

#[cfg(test)]
mod tests;
