//! The home volume and the shared one.

use std::cmp::Ordering;

use devserver_api::{DevServer, DevServerSpec, names, names::ServerName, quantity};
use k8s_openapi::{
    api::core::v1::PersistentVolumeClaim, apimachinery::pkg::api::resource::Quantity,
};

use super::volumes::check_claim;
use crate::{
    Invalid, Platform, References, desired::OWNER_ANNOTATION, environment::Home,
    invalid::VolumeError,
};

pub(super) fn home(
    server: &DevServer,
    name: &ServerName,
    references: &References,
    platform: &Platform,
) -> Result<Home, Invalid> {
    let spec = &server.spec;
    if let Some(claim) = &references.home_claim {
        check_owner(claim, name, spec.owner.as_deref())?;
    }
    let actual = references.home_claim.as_ref().and_then(requested);
    let size = size(spec, actual.as_ref(), platform)?;
    if let Some(class) = &spec.storage_class_name
        && !names::is_subdomain(class)
    {
        return Err(Invalid::StorageClassName);
    }
    Ok(Home {
        // A claim without its volume cannot be changed yet; its turn comes when it is bound.
        grows: actual.is_some_and(|a| quantity::compare(&size, &a) == Some(Ordering::Greater))
            && references.home_claim.as_ref().is_some_and(is_bound),
        template_size: references
            .template_home_size
            .clone()
            .unwrap_or_else(|| size.clone()),
        size,
        storage_class: spec.storage_class_name.clone(),
        retention: spec
            .lifecycle
            .as_ref()
            .and_then(|l| l.volume_retention)
            .unwrap_or_default(),
    })
}

pub(super) fn size(
    spec: &DevServerSpec,
    actual: Option<&Quantity>,
    platform: &Platform,
) -> Result<Quantity, Invalid> {
    let Some(text) = &spec.persistent_home_size else {
        // A home that was kept is taken as it is.
        return Ok(actual.cloned().unwrap_or_else(|| platform.default_home()));
    };
    let size = quantity::parse_positive(text).map_err(Invalid::HomeSize)?;
    let max = Quantity(platform.max_home_size.clone());
    if quantity::compare(&size, &max) == Some(Ordering::Greater) {
        return Err(Invalid::HomeTooLarge { max: max.0 });
    }
    match actual {
        Some(actual) if quantity::compare(&size, actual) == Some(Ordering::Less) => {
            Err(Invalid::HomeShrinks {
                asked: text.clone(),
                actual: actual.0.clone(),
            })
        }
        _ => Ok(size),
    }
}

/// Who re-creates the name of somebody's DevServer must not get their files.
fn check_owner(
    claim: &PersistentVolumeClaim,
    name: &ServerName,
    owner: Option<&str>,
) -> Result<(), Invalid> {
    let kept_for = claim
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(OWNER_ANNOTATION));
    match kept_for {
        Some(kept_for) if Some(kept_for.as_str()) != owner => Err(Invalid::HomeOfAnotherOwner {
            claim: name.home_claim(),
            owner: kept_for.clone(),
        }),
        _ => Ok(()),
    }
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound")
}

/// Size a claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    claim
        .spec
        .as_ref()?
        .resources
        .as_ref()?
        .requests
        .as_ref()?
        .get("storage")
        .cloned()
}

/// The claim at `/shared`: it must be for this DevServer like any other.
pub(super) fn shared_claim(
    server: &DevServer,
    name: &ServerName,
    references: &References,
) -> Result<Option<String>, VolumeError> {
    let Some(claim) = &server.spec.shared_volume_claim_name else {
        return Ok(None);
    };
    check_claim(
        "spec.sharedVolumeClaimName",
        claim,
        server,
        name,
        references,
    )?;
    Ok(Some(claim.clone()))
}
