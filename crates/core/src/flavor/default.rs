//! Which flavor is the default when more than one says so.
//!
//! Admission lets nobody mark a second one, but it decides from a cache: two who write at the same moment may both pass.
//! No administrator's spec is changed for that. The one that was marked first stays *the* default, by this rule alone, so
//! there is never more than one; the others are told by a condition.

use devserver_api::{DevServerFlavor, condition};
use jiff::Timestamp;

/// The one default, if any is marked: the one known as the default for longest, else the oldest, else the first by name.
///
/// So the default does not move because an older flavor is marked, too; it moves when its mark is taken away.
pub fn effective_default<'a>(
    flavors: impl IntoIterator<Item = &'a DevServerFlavor>,
) -> Option<&'a DevServerFlavor> {
    flavors
        .into_iter()
        .filter(|flavor| flavor.spec.default)
        .min_by_key(|flavor| {
            let made_at = flavor.metadata.creation_timestamp.as_ref().map(|t| t.0);
            let name = flavor.metadata.name.as_deref();
            (known_since(flavor).unwrap_or(Timestamp::MAX), made_at, name)
        })
}

/// Since when the flavor is known to be the default.
fn known_since(flavor: &DevServerFlavor) -> Option<Timestamp> {
    let conditions = &flavor.status.as_ref()?.conditions;
    let is_default = condition::find(conditions, condition::DEFAULT)?;
    (is_default.status == "True").then_some(is_default.last_transition_time.0)
}
