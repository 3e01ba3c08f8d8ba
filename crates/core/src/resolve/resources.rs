//! Requests and limits: the flavor's, or what is asked for within its bounds.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use devserver_api::{DevServerFlavorSpec, DevServerSpec, quantity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::{Platform, environment::Resources, invalid::ResourcesError};

type Amounts = BTreeMap<String, Quantity>;

/// Below this a container cannot start; `512m` of memory is half a byte, and meant as `512Mi`.
const LEAST_MEMORY: &str = "16Mi";
/// Kubernetes counts in thousandths of a CPU.
const LEAST_CPU: &str = "1m";

/// What the container gets. A resource that is asked for replaces the flavor's values of that resource; where only the
/// request or only the limit is given, the other one follows if it would contradict.
pub(super) fn resolve(
    spec: &DevServerSpec,
    name: &str,
    flavor: &DevServerFlavorSpec,
) -> Result<Resources, ResourcesError> {
    let mut resources = of_flavor(name, flavor)?;
    let Some(asked) = &spec.resources else {
        return Ok(resources);
    };
    for (group, amounts) in [("requests", &asked.requests), ("limits", &asked.limits)] {
        for (resource, amount) in amounts {
            let field = format!("spec.resources.{group}.{resource}");
            check_amount(&field, resource, amount)?;
            check_bound(field, resource, amount, name, flavor)?;
        }
    }
    let named: BTreeSet<&String> = asked.requests.keys().chain(asked.limits.keys()).collect();
    for resource in named {
        let pair = (asked.requests.get(resource), asked.limits.get(resource));
        replace(&mut resources, resource, pair)?;
    }
    Ok(resources)
}

/// Puts what is asked for in the place of what the flavor says.
fn replace(
    resources: &mut Resources,
    resource: &str,
    asked: (Option<&Quantity>, Option<&Quantity>),
) -> Result<(), ResourcesError> {
    let (request, limit) = match asked {
        (Some(request), Some(limit)) => {
            check_pair(resource, request, limit)?;
            (Some(request.clone()), Some(limit.clone()))
        }
        (Some(request), None) => {
            let limit = resources.limits.get(resource).cloned();
            let limit = limit.map(|l| {
                if is_less(&l, request) {
                    request.clone()
                } else {
                    l
                }
            });
            (Some(request.clone()), limit)
        }
        (None, Some(limit)) => {
            let request = resources.requests.get(resource).cloned();
            let request = request.map(|r| if is_less(limit, &r) { limit.clone() } else { r });
            (request, Some(limit.clone()))
        }
        (None, None) => return Ok(()),
    };
    // A device is given whole: one value for both, and Kubernetes demands the limit.
    let (request, limit) = if is_device(resource) {
        let one = asked.1.or(asked.0).cloned();
        (one.clone(), one)
    } else {
        (request, limit)
    };
    set(&mut resources.requests, resource, request);
    set(&mut resources.limits, resource, limit);
    Ok(())
}

fn set(amounts: &mut Amounts, resource: &str, amount: Option<Quantity>) {
    if let Some(amount) = amount {
        amounts.insert(resource.to_owned(), amount);
    }
}

fn check_pair(resource: &str, request: &Quantity, limit: &Quantity) -> Result<(), ResourcesError> {
    let (resource, request_text, limit_text) =
        (resource.to_owned(), request.0.clone(), limit.0.clone());
    if is_device(&resource) && quantity::compare(request, limit) != Some(Ordering::Equal) {
        return Err(ResourcesError::NotShareable {
            resource,
            request: request_text,
            limit: limit_text,
        });
    }
    if is_less(limit, request) {
        return Err(ResourcesError::RequestAboveLimit {
            resource,
            request: request_text,
            limit: limit_text,
        });
    }
    Ok(())
}

fn check_amount(field: &str, resource: &str, amount: &Quantity) -> Result<(), ResourcesError> {
    let (least, example) = match resource {
        "cpu" => (LEAST_CPU, "500m"),
        "memory" => (LEAST_MEMORY, "512Mi"),
        _ if is_device(resource) => ("1", "1"),
        _ => (LEAST_MEMORY, "1Gi"),
    };
    let least_amount = Quantity(least.to_owned());
    match quantity::compare(amount, &least_amount) {
        None => Err(ResourcesError::Syntax {
            field: field.to_owned(),
            value: amount.0.clone(),
            example,
        }),
        Some(Ordering::Less) => Err(ResourcesError::TooSmall {
            field: field.to_owned(),
            value: amount.0.clone(),
            least,
            example,
        }),
        _ if is_device(resource) && !is_whole(amount) => Err(ResourcesError::NotWhole {
            field: field.to_owned(),
            value: amount.0.clone(),
        }),
        _ => Ok(()),
    }
}

/// The bound is `maximumResources`, else the flavor's limit, else its request. What has no bound is not offered.
fn check_bound(
    field: String,
    resource: &str,
    amount: &Quantity,
    name: &str,
    flavor: &DevServerFlavorSpec,
) -> Result<(), ResourcesError> {
    let sources = [
        &flavor.maximum_resources,
        &flavor.resources.limits,
        &flavor.resources.requests,
    ];
    let Some(bound) = sources.iter().find_map(|amounts| amounts.get(resource)) else {
        let offered: BTreeSet<&str> = sources
            .iter()
            .flat_map(|amounts| amounts.keys())
            .map(String::as_str)
            .collect();
        let offered = offered.into_iter().collect::<Vec<_>>().join(", ");
        return Err(ResourcesError::NotOffered {
            field,
            resource: resource.to_owned(),
            flavor: name.to_owned(),
            offered: if offered.is_empty() {
                "nothing".to_owned()
            } else {
                offered
            },
        });
    };
    if is_less(bound, amount) {
        return Err(ResourcesError::TooLarge {
            field,
            asked: amount.0.clone(),
            allowed: bound.0.clone(),
            flavor: name.to_owned(),
        });
    }
    Ok(())
}

/// The flavor's own values, checked: what Kubernetes would refuse later is said now, and whose mistake it is.
fn of_flavor(name: &str, flavor: &DevServerFlavorSpec) -> Result<Resources, ResourcesError> {
    let wrong = |why: String| ResourcesError::Flavor {
        flavor: name.to_owned(),
        why,
    };
    let zero = Quantity("0".to_owned());
    let groups = [
        ("resources.requests", &flavor.resources.requests),
        ("resources.limits", &flavor.resources.limits),
        ("maximumResources", &flavor.maximum_resources),
    ];
    for (group, amounts) in groups {
        for (resource, amount) in amounts {
            let what = || format!("{group}.{resource} {:?}", amount.0);
            match quantity::compare(amount, &zero) {
                None => return Err(wrong(format!("{} is not a quantity", what()))),
                Some(Ordering::Less) => return Err(wrong(format!("{} is negative", what()))),
                _ if is_device(resource) && !is_whole(amount) => {
                    return Err(wrong(format!("{} is not a whole number", what())));
                }
                _ => {}
            }
        }
    }
    let mut resources = Resources {
        requests: flavor.resources.requests.clone(),
        limits: flavor.resources.limits.clone(),
    };
    for (resource, request) in &flavor.resources.requests {
        match flavor.resources.limits.get(resource) {
            Some(limit) => check_pair(resource, request, limit).map_err(|_| {
                wrong(format!(
                    "its request of {resource} {} does not go with its limit {}",
                    request.0, limit.0
                ))
            })?,
            None if is_device(resource) => {
                set(&mut resources.limits, resource, Some(request.clone()));
            }
            None => {}
        }
    }
    Ok(resources)
}

/// What Kubernetes sets aside: the request, and the limit where there is no request.
pub(super) fn set_aside<'a>(resources: &'a Resources, resource: &str) -> Option<&'a Quantity> {
    let request = resources.requests.get(resource);
    request.or_else(|| resources.limits.get(resource))
}

/// Of a high-memory environment, requests and limits made equal for CPU and memory, so that the pod is of the class Guaranteed (decision C-QOS).
///
/// The request wins: it is what was compared with the threshold, what the scheduler finds room for and what quotas count;
/// raising it to the limit would take from others what nobody asked for. Where there is no request the limit is one.
pub(super) fn guaranteed(
    mut resources: Resources,
    high_memory: bool,
    platform: &Platform,
) -> Result<Resources, ResourcesError> {
    if !high_memory {
        return Ok(resources);
    }
    for resource in ["cpu", "memory"] {
        let Some(amount) = set_aside(&resources, resource).cloned() else {
            let memory = set_aside(&resources, "memory");
            return Err(ResourcesError::GuaranteeNeedsCpu {
                memory: memory.map(|m| m.0.clone()).unwrap_or_default(),
                threshold: platform.high_memory_threshold.clone(),
            });
        };
        set(&mut resources.requests, resource, Some(amount.clone()));
        set(&mut resources.limits, resource, Some(amount));
    }
    Ok(resources)
}

/// Devices and huge pages: whole ones, never overcommitted.
pub(super) fn is_device(resource: &str) -> bool {
    resource.contains('/') || resource.starts_with("hugepages-")
}

fn is_whole(amount: &Quantity) -> bool {
    quantity::parse(&amount.0).is_ok_and(quantity::Amount::is_whole)
}

fn is_less(a: &Quantity, b: &Quantity) -> bool {
    quantity::compare(a, b) == Some(Ordering::Less)
}
