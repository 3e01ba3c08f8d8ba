//! What a drain has to wait for (decision C-PDB): one PodDisruptionBudget per environment, so that it goes with it.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::meta::{label_selector, object_meta};
use crate::Environment;

pub(super) fn budget(env: &Environment) -> Option<PodDisruptionBudget> {
    // Suspended, there is nothing to protect.
    (env.placement.high_memory && !env.suspend).then(|| PodDisruptionBudget {
        metadata: object_meta(env, env.name.disruption_budget()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(1)),
            selector: Some(label_selector(env)),
            // A pod that is not ready protects nobody's work and must not hold up a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
