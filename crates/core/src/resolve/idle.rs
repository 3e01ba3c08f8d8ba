//! What concerns the idleness of an environment.

use devserver_api::{DevServerFlavor, DevServerSpec, DevServerUser};

use super::flavor;
use crate::{
    Invalid, Platform, References,
    idle::{self, Around, Rules},
    team,
};

/// The rules for a DevServer when nobody uses it; `None`: nothing is done to it, as with a flavor that is not understood.
pub fn idle_rules(
    spec: &DevServerSpec,
    flavors: &[DevServerFlavor],
    user: Option<&DevServerUser>,
    platform: &Platform,
) -> Option<Rules> {
    platform.idle.as_ref()?;
    let (flavor, offer) = flavor::resolve(spec.flavor.as_deref(), flavors).ok()?;
    let around = Around {
        flavor: offer.idle.as_ref().map(|idle| (flavor.name.as_str(), idle)),
        // One that the user is not in decides nothing.
        team: team::of(spec, user).filter(|_| team::is_member(spec, user)),
    };
    idle::rules(spec, around, platform)
}

pub(super) fn check(
    spec: &DevServerSpec,
    references: &References,
    platform: &Platform,
) -> Result<(), Invalid> {
    if spec.idle.is_none() {
        return Ok(());
    }
    let (flavor, offer) = flavor::resolve(spec.flavor.as_deref(), &references.flavors)?;
    let around = Around {
        flavor: offer.idle.as_ref().map(|idle| (flavor.name.as_str(), idle)),
        team: team::of(spec, references.user.as_ref()),
    };
    Ok(idle::check(spec, around, platform)?)
}
