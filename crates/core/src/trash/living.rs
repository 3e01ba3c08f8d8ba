//! The record that the claim of a living DevServer carries, for the time after.

use devserver_api::{
    DevServer, VolumeRetention,
    condition::whole_seconds,
    trash::{self, Marks, Record, wanted_again},
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::Value;

use super::patch;
use crate::Environment;

/// What to write to the claim of the home of a living DevServer; `None`: it is as it should be.
///
/// A claim that is being bound is left alone: whoever binds it starts anew when somebody else has written to it, after up to a quarter of a
/// minute, and so long the environment would not start.
///
/// A home that goes with its DevServer gets none, and one that came out of the trash is no longer on its way. It is written while the
/// DevServer lives, so that a DevServer may end at any time, also while nobody is there to see it.
pub fn living(
    server: &DevServer,
    env: &Environment,
    claim: &PersistentVolumeClaim,
) -> Option<Value> {
    if trash::home_of(claim).as_ref() != Some(&env.name)
        || claim.metadata.deletion_timestamp.is_some()
        || is_being_bound(claim)
    {
        return None;
    }
    let record = match env.home.retention {
        VolumeRetention::Retain => record(server, env).text(),
        VolumeRetention::Delete => None,
    };
    let marks = Marks::default().annotations();
    patch(claim, std::iter::once((trash::RECORD, record)).chain(marks))
}

/// Without a class there is nobody to make a volume for it.
fn is_being_bound(claim: &PersistentVolumeClaim) -> bool {
    let class = claim
        .spec
        .as_ref()
        .and_then(|s| s.storage_class_name.as_ref());
    let phase = claim.status.as_ref().and_then(|s| s.phase.as_deref());
    class.is_some_and(|name| !name.is_empty()) && phase != Some("Bound")
}

fn record(server: &DevServer, env: &Environment) -> Record {
    Record {
        uid: env.uid.clone(),
        flavor: env.flavor.name.clone(),
        expires: env.expires_at.map(whole_seconds),
        spec: wanted_again(&server.spec),
    }
}
