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
/// A home that goes with its DevServer gets none, and one that came out of the trash is no longer on its way. It is written while the
/// DevServer lives, so that a DevServer may end at any time, also while nobody is there to see it.
pub fn living(
    server: &DevServer,
    env: &Environment,
    claim: &PersistentVolumeClaim,
) -> Option<Value> {
    if trash::home_of(claim).as_ref() != Some(&env.name)
        || claim.metadata.deletion_timestamp.is_some()
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

fn record(server: &DevServer, env: &Environment) -> Record {
    Record {
        uid: env.uid.clone(),
        flavor: env.flavor.name.clone(),
        expires: env.expires_at.map(whole_seconds),
        spec: wanted_again(&server.spec),
    }
}
