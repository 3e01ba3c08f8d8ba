//! What becomes of homes that outlive their DevServers: pure over time.
//!
//! ```text
//! DevServer lives: Environment, its claim ─► living ─► the record that the claim should have
//! it has ended:    its claim, Rules, Clocks ─► step ─► marks to write, whether to announce the removal, whether it is due
//!                  everything in the namespace ─► needed_by ─► what still needs the claim
//! ```
//!
//! The claim is the only memory. A removal is announced before that is written down, under a name made of the claim and of the end of
//! its time; and it is carried out only when the announcement was written by an earlier step.

mod living;
mod needed;
mod step;

pub use living::living;
pub use needed::needed_by;
pub use step::{Announcement, Removal, Rules, Step, event_name, step};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};

/// A merge patch of those annotations (`None`: not there), for exactly the claim that was read; `None`: it says so already.
fn patch(
    claim: &PersistentVolumeClaim,
    wanted: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Option<Value> {
    let there = claim.metadata.annotations.as_ref();
    let changes: serde_json::Map<String, Value> = wanted
        .into_iter()
        .filter(|(key, value)| there.and_then(|a| a.get(*key)) != value.as_ref())
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    (!changes.is_empty()).then(|| {
        json!({"metadata": {
            "uid": claim.metadata.uid,
            "resourceVersion": claim.metadata.resource_version,
            "annotations": changes,
        }})
    })
}
