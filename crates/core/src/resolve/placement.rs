//! Node pool, tolerations, spread, priority: where the pod may run.

use std::cmp::Ordering;

use devserver_api::{DevServerFlavorSpec, DevServerSpec, names, quantity};
use k8s_openapi::{api::core::v1::Toleration, apimachinery::pkg::api::resource::Quantity};

use super::resources::set_aside;
use crate::{
    Platform,
    environment::{Placement, Resources, Spread, WorkloadClass},
    invalid::PlacementError,
};
use devserver_api::group;

/// Taint of nodes with GPUs, as the device plugin's documents put it (decision C-GPU).
const GPU_TAINT: &str = "nvidia.com/gpu";

pub(super) fn resolve(
    spec: &DevServerSpec,
    flavor: &DevServerFlavorSpec,
    resources: &Resources,
    platform: &Platform,
) -> Result<Placement, PlacementError> {
    if spec.autoscaling.is_some() {
        return Err(PlacementError::AutoscalingNeedsSharedHome);
    }
    let high_memory = is_high_memory(resources, platform);
    let has_gpu = has_gpu(resources);
    let mut tolerations: Vec<Toleration> = flavor.tolerations.iter().map(without_empty).collect();
    for toleration in of_pools(high_memory, has_gpu) {
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    Ok(Placement {
        class: match (has_gpu, high_memory) {
            (true, _) => WorkloadClass::Gpu,
            (false, true) => WorkloadClass::HighMemory,
            (false, false) => WorkloadClass::General,
        },
        high_memory,
        node_selector: flavor.node_selector.clone(),
        tolerations,
        team_affinity: platform.team_affinity,
        spread: spread(spec, platform)?,
        priority_class: flavor.priority_class_name.clone(),
        runtime_class: flavor.runtime_class_name.clone(),
    })
}

/// High memory is strictly more than the threshold (decision C-R5).
fn is_high_memory(resources: &Resources, platform: &Platform) -> bool {
    let threshold = Quantity(platform.high_memory_threshold.clone());
    set_aside(resources, "memory")
        .is_some_and(|m| quantity::compare(m, &threshold) == Some(Ordering::Greater))
}

fn has_gpu(resources: &Resources) -> bool {
    let zero = Quantity("0".to_owned());
    let is_gpu = |resource: &str| resource.ends_with("/gpu") || resource.starts_with("nvidia.com/");
    let amounts = resources.requests.iter().chain(&resources.limits);
    amounts
        .filter(|(resource, _)| is_gpu(resource))
        .any(|(_, amount)| quantity::compare(amount, &zero) == Some(Ordering::Greater))
}

/// The taints of the pools it belongs on; a GPU environment with much memory belongs on both.
fn of_pools(high_memory: bool, has_gpu: bool) -> Vec<Toleration> {
    let pool = |class: WorkloadClass| Toleration {
        key: Some(group::LABEL_WORKLOAD.to_owned()),
        operator: Some("Equal".to_owned()),
        value: Some(class.as_str().to_owned()),
        effect: Some("NoSchedule".to_owned()),
        toleration_seconds: None,
    };
    let mut tolerations = Vec::new();
    if high_memory {
        tolerations.push(pool(WorkloadClass::HighMemory));
    }
    if has_gpu {
        tolerations.push(pool(WorkloadClass::Gpu));
        tolerations.push(Toleration {
            key: Some(GPU_TAINT.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some("NoSchedule".to_owned()),
            ..Toleration::default()
        });
    }
    tolerations
}

fn spread(spec: &DevServerSpec, platform: &Platform) -> Result<Option<Spread>, PlacementError> {
    let asked = spec.topology_spread.as_ref();
    let Some(asked) = asked.or(platform.topology_spread.as_ref()) else {
        return Ok(None);
    };
    let max_skew = asked.max_skew.unwrap_or(2);
    if max_skew < 1 {
        return Err(PlacementError::MaxSkew);
    }
    let hostname = || "kubernetes.io/hostname".to_owned();
    let topology_key = asked.topology_key.clone().unwrap_or_else(hostname);
    if !names::is_label_key(&topology_key) {
        return Err(PlacementError::TopologyKey(topology_key));
    }
    Ok(Some(Spread {
        max_skew,
        topology_key,
        when_unsatisfiable: asked.when_unsatisfiable.unwrap_or_default(),
    }))
}

/// Names of the Secrets for private registries.
pub(super) fn pull_secrets(spec: &DevServerSpec) -> Result<Vec<String>, PlacementError> {
    let mut secrets: Vec<String> = Vec::new();
    for (index, name) in spec.image_pull_secrets.iter().enumerate() {
        if !names::is_subdomain(name) {
            return Err(PlacementError::PullSecretName(index));
        }
        // Kubernetes merges this list by name: one that comes twice would be an endless difference.
        if !secrets.contains(name) {
            secrets.push(name.clone());
        }
    }
    Ok(secrets)
}

/// An empty string and an absent field mean the same to Kubernetes, but not to a comparison.
fn without_empty(toleration: &Toleration) -> Toleration {
    let keep = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    Toleration {
        effect: keep(&toleration.effect),
        key: keep(&toleration.key),
        operator: keep(&toleration.operator),
        toleration_seconds: toleration.toleration_seconds,
        value: keep(&toleration.value),
    }
}
