//! Ends a DevServer whose time is over.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use devserver_api::DevServer;
use devserver_core::due::burst;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, PropagationPolicy},
    runtime::events::{Event, EventType},
};

use crate::{
    context::Context,
    error::{Error, bounded},
    objects,
};

/// When the latest deletions were made, of this process.
#[derive(Default)]
pub struct Turns {
    taken: Mutex<VecDeque<Duration>>,
}

impl Turns {
    /// Takes a turn, or says how long it is until there is one.
    pub fn take(&self, per_minute: u16, now: Duration) -> Result<(), Duration> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match burst::wait(taken.make_contiguous(), per_minute, now) {
            Duration::ZERO => {
                taken.push_back(now);
                while taken.len() > usize::from(per_minute) {
                    taken.pop_front();
                }
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// Nothing was deleted: somebody else may have the turn.
    pub fn give_back(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.pop_back();
    }
}

/// Deletes exactly the object that was read: one made again under the name, or extended since, is another.
/// `Some`: not now, how long until its turn.
pub async fn expire(
    ctx: &Context,
    api: &Api<DevServer>,
    server: &DevServer,
) -> Result<Option<Duration>, Error> {
    ctx.may_write()?;
    let per_minute = ctx.platform.max_expirations_per_minute;
    if let Err(wait) = ctx.turns.take(per_minute, ctx.clock.steady()) {
        ctx.metrics.expired("waits");
        return Ok(Some(wait));
    }
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..objects::exactly(&server.metadata)
    };
    let deleted = bounded(
        "delete the expired DevServer",
        api.delete(&server.name_any(), &params),
    )
    .await;
    if let Err(error) = deleted {
        let refused = error.is_not_found() || error.is_conflict() || error.refusal().is_some();
        // Without an answer it may have been deleted, and counts.
        if refused {
            ctx.turns.give_back();
        }
        return if error.is_not_found() {
            Ok(None)
        } else {
            Err(error)
        };
    }
    ctx.metrics.wrote("delete", "DevServer");
    ctx.metrics.expired("deleted");
    tracing::info!(
        devserver = server.name_any(),
        namespace = server.namespace(),
        "expired"
    );
    let event = Event {
        type_: EventType::Normal,
        reason: "Expired".to_owned(),
        note: Some("its time to live is over; it was deleted".to_owned()),
        action: "Delete".to_owned(),
        secondary: None,
    };
    if let Err(error) = ctx.recorder.publish(&event, &server.object_ref(&())).await {
        tracing::warn!(error = %error, "failed to record an event");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_deleted_nothing_is_free_again() {
        let (turns, now) = (Turns::default(), Duration::from_secs(1));
        assert_eq!(turns.take(1, now), Ok(()));
        assert_eq!(turns.take(1, now), Err(burst::WINDOW));
        turns.give_back();
        assert_eq!(turns.take(1, now), Ok(()));
        assert_eq!(turns.take(1, now + burst::WINDOW), Ok(()));
        assert_eq!(turns.take(1, now + burst::WINDOW), Err(burst::WINDOW));
    }
}
