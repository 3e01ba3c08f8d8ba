//! Whether a flavor makes sense. Admission says most of this earlier; a flavor may be older than admission.

use std::collections::BTreeMap;

use devserver_api::{DevServerFlavorSpec, image, names};
use k8s_openapi::{api::core::v1::Toleration, apimachinery::pkg::api::resource::Quantity};

use super::amount::thousandths;

/// Every fault as a sentence that names the field and the remedy; empty: none.
pub fn faults(spec: &DevServerFlavorSpec) -> Vec<String> {
    let mut faults = quantities(spec);
    // Comparing what cannot be read would only repeat it.
    if faults.is_empty() {
        faults = sizes(spec);
    }
    faults.extend(spec.tolerations.iter().enumerate().filter_map(toleration));
    for (key, value) in &spec.node_selector {
        if !value.is_empty() && !names::is_label_value(value) {
            faults.push(format!(
                "spec.nodeSelector.{key} must be a label value: at most 63 letters, digits, '-', '_' and '.'"
            ));
        }
    }
    if let Some(Err(error)) = spec.default_image.as_deref().map(image::check) {
        faults.push(format!("spec.defaultImage {error}"));
    }
    for (field, name) in [
        ("priorityClassName", &spec.priority_class_name),
        ("runtimeClassName", &spec.runtime_class_name),
    ] {
        if name.as_deref().is_some_and(|n| !names::is_subdomain(n)) {
            faults.push(format!(
                "spec.{field} must be a name: lower case letters, digits, '-' and '.'"
            ));
        }
    }
    faults
}

fn lists(spec: &DevServerFlavorSpec) -> [(&'static str, &BTreeMap<String, Quantity>); 4] {
    [
        ("resources.requests", &spec.resources.requests),
        ("resources.limits", &spec.resources.limits),
        ("minimumResources", &spec.minimum_resources),
        ("maximumResources", &spec.maximum_resources),
    ]
}

fn quantities(spec: &DevServerFlavorSpec) -> Vec<String> {
    let mut faults = Vec::new();
    for (field, list) in lists(spec) {
        for (resource, quantity) in list {
            let why = match thousandths(&quantity.0) {
                None => {
                    "is not a Kubernetes quantity; write a number and a unit such as 500m or 16Gi"
                }
                Some(amount) if amount < 0 => "must not be negative",
                Some(amount) if is_counted(resource) && amount % 1000 != 0 => {
                    "must be a whole number, because it cannot be shared"
                }
                Some(_) => continue,
            };
            faults.push(format!("spec.{field}.{resource} {why}"));
        }
    }
    faults
}

fn sizes(spec: &DevServerFlavorSpec) -> Vec<String> {
    let (requests, limits) = (&spec.resources.requests, &spec.resources.limits);
    let amount = |quantity: &Quantity| thousandths(&quantity.0).unwrap_or_default();
    let mut faults = Vec::new();
    for (resource, request) in requests {
        match limits.get(resource) {
            Some(limit) if amount(request) > amount(limit) => faults.push(format!(
                "spec.resources.requests.{resource} must not be larger than its limit: {} and {}",
                request.0, limit.0
            )),
            Some(limit) if is_counted(resource) && amount(request) != amount(limit) => {
                faults.push(format!(
                    "spec.resources.requests.{resource} must be as large as its limit, because it cannot be shared"
                ));
            }
            None if is_counted(resource) => faults.push(format!(
                "spec.resources.limits.{resource} is needed beside the request, because it cannot be shared"
            )),
            _ => {}
        }
    }
    // What is not requested is requested by its limit.
    let asked = |resource: &String| requests.get(resource).or_else(|| limits.get(resource));
    for (resource, least) in &spec.minimum_resources {
        if asked(resource).is_none_or(|asked| amount(least) > amount(asked)) {
            faults.push(format!(
                "spec.minimumResources.{resource} must not be more than spec.resources.requests has of it"
            ));
        }
    }
    for (resource, most) in &spec.maximum_resources {
        if asked(resource).is_some_and(|asked| amount(most) < amount(asked)) {
            faults.push(format!(
                "spec.maximumResources.{resource} must be at least what spec.resources.requests has of it"
            ));
        }
    }
    faults
}

/// Devices and huge pages: whole numbers, request and limit the same.
fn is_counted(resource: &str) -> bool {
    resource.contains('/') || resource.starts_with("hugepages-")
}

fn toleration((index, toleration): (usize, &Toleration)) -> Option<String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (operator, effect) = (text(&toleration.operator), text(&toleration.effect));
    let (key, value) = (text(&toleration.key), text(&toleration.value));
    let why = match operator.as_str() {
        "" | "Equal" | "Exists" if !is_effect(&effect) => {
            "effect must be NoSchedule, PreferNoSchedule or NoExecute, or absent for all"
        }
        "" | "Equal" if key.is_empty() => "needs a key, or operator Exists for all taints",
        "Exists" if !value.is_empty() => "must not have a value with operator Exists",
        "" | "Equal" | "Exists" => {
            let has_time = toleration.toleration_seconds.is_some();
            return (has_time && effect != "NoExecute").then(|| {
                format!("spec.tolerations[{index}] tolerationSeconds needs effect NoExecute")
            });
        }
        _ => "operator must be Equal or Exists",
    };
    Some(format!("spec.tolerations[{index}] {why}"))
}

fn is_effect(effect: &str) -> bool {
    matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute")
}
