//! What should exist. Total: an `Environment` is made of checked parts, so nothing here can fail.
//!
//! Order, and why: what the pod mounts, runs as or is confined by comes first, so that the first pod finds all of it; then the
//! StatefulSet; then what a pod that runs is reached and kept by, for which its start does not wait. Any prefix of this list is a
//! state the next look goes on from.

mod claims;
mod delivery;
mod disruption;
mod docker;
mod editor;
mod kube_access;
mod meta;
mod network;
mod placement;
mod pod;
mod service;
mod sidecar;
mod ssh;
pub(crate) mod workload;

use crate::{Environment, Kind, Object};

pub(crate) use meta::stamp;
pub use meta::{HASH_ANNOTATION, OWNER_ANNOTATION, labels, owner_reference, selector};
pub use service::DNS_HOST_ANNOTATION;
pub(crate) use service::LOCAL;
pub use ssh::HOST_KEY_ALGORITHMS;

/// All objects of an environment but the host keys, which are made of randomness and so at the edge.
pub fn desired(env: &Environment) -> Vec<Object> {
    let mut objects = vec![
        Object::ServiceAccount(Box::new(workload::service_account(env))),
        Object::Secret(Box::new(ssh::authorized_keys(env))),
        Object::ConfigMap(Box::new(ssh::config_map(env))),
    ];
    objects.extend(
        network::policy(env)
            .map(Box::new)
            .map(Object::NetworkPolicy),
    );
    objects.extend(
        kube_access::binding(env)
            .map(Box::new)
            .map(Object::RoleBinding),
    );
    objects.extend(docker::claim(env).map(Box::new).map(Object::DockerClaim));
    objects.push(Object::StatefulSet(Box::new(workload::stateful_set(env))));
    objects.push(Object::Service(Box::new(service::headless(env))));
    objects.extend(service::ssh(env).map(Box::new).map(Object::Service));
    objects.extend(
        disruption::budget(env)
            .map(Box::new)
            .map(Object::PodDisruptionBudget),
    );
    for object in &mut objects {
        let says = object.to_value();
        stamp(object.metadata_mut(), &says);
    }
    if env.home.grows {
        objects.push(Object::HomeClaim(Box::new(workload::home_claim(env))));
    }
    objects
}

/// What may exist from before and is not in `objects`: it goes, if it is ours.
pub fn superfluous(env: &Environment, objects: &[Object]) -> Vec<(Kind, String)> {
    let optional = [
        (Kind::Service, env.name.ssh_service()),
        (Kind::NetworkPolicy, env.name.network_policy()),
        (Kind::PodDisruptionBudget, env.name.disruption_budget()),
        (Kind::RoleBinding, env.name.role_binding()),
    ];
    let wanted = |kind: Kind, name: &str| {
        objects
            .iter()
            .any(|object| object.kind() == kind && object.name() == name)
    };
    optional
        .into_iter()
        .filter(|(kind, name)| !wanted(*kind, name))
        .collect()
}
