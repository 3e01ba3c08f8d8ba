//! One look: all environments, from the caches.

use std::collections::{HashMap, HashSet};

use devserver_api::{DevServer, DevServerUser, group, names::ServerName};
use devserver_core::{status::node, user};
use devserver_usage::{
    Seen,
    sight::{self, Around},
};
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use kube::runtime::reflector::{ObjectRef, Store};

use super::measure::Measured;
use crate::caches::Caches;

/// All environments there are, and homes that are kept for some that are gone.
pub fn seen(caches: &Caches, measured: &Measured) -> Vec<Seen> {
    let all = caches.users.state();
    let mut users: HashMap<&str, Vec<&DevServerUser>> = HashMap::new();
    for user in &all {
        users.entry(&user.spec.username).or_default().push(user);
    }
    let user_of = |namespace: &str| {
        let of_name = users.get(user::username_of(namespace)?)?;
        user::of_namespace(namespace, of_name)
    };
    let servers = caches.servers.state();
    let mut homes = HashSet::new();
    let mut seen = Vec::with_capacity(servers.len());
    for server in &servers {
        let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
        let Some(name) = server
            .metadata
            .name
            .as_deref()
            .and_then(|name| ServerName::parse(name).ok())
        else {
            continue;
        };
        let claims = [name.home_claim(), name.docker_claim()];
        let of_claim = |claim: &String| {
            caches
                .claims
                .get(&ObjectRef::new(claim).within(namespace))
                .map_or(0, |claim| sight::volume_bytes(&claim))
        };
        let volume_bytes = claims.iter().map(of_claim).sum();
        let [home, _] = claims;
        homes.insert((namespace, home));
        let (pod, node) = machine(caches, server, namespace);
        let around = Around {
            user: user_of(namespace),
            used: pod.as_ref().and_then(|pod| measured.of(pod)),
            pod: pod.as_deref(),
            node: node.as_deref(),
            volume_bytes,
        };
        seen.extend(sight::seen(server, around));
    }
    seen.extend(kept(caches, &homes, user_of));
    seen
}

fn machine(
    caches: &Caches,
    server: &DevServer,
    namespace: &str,
) -> (Option<std::sync::Arc<Pod>>, Option<std::sync::Arc<Node>>) {
    let name = format!("{}-0", server.metadata.name.as_deref().unwrap_or_default());
    let pod = caches.pods.get(&ObjectRef::new(&name).within(namespace));
    let on = pod.as_deref().and_then(node);
    let node = on.and_then(|node| caches.nodes.get(&ObjectRef::new(node)));
    (pod, node)
}

fn kept<'a>(
    caches: &Caches,
    homes: &HashSet<(&str, String)>,
    user_of: impl Fn(&str) -> Option<&'a DevServerUser>,
) -> Vec<Seen> {
    let claims: &Store<PersistentVolumeClaim> = &caches.claims;
    let is_ours = |claim: &PersistentVolumeClaim| {
        let labels = claim.metadata.labels.as_ref();
        labels.is_some_and(|labels| {
            labels.contains_key(group::LABEL_NAME)
                && labels
                    .get(group::LABEL_MANAGED_BY)
                    .is_some_and(|by| by == group::FIELD_MANAGER)
        })
    };
    let mut seen = Vec::new();
    for claim in claims.state_filter(is_ours) {
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        let name = claim.metadata.name.clone().unwrap_or_default();
        if name.starts_with("home-") && !homes.contains(&(namespace, name)) {
            seen.extend(sight::kept_home(&claim, user_of(namespace)));
        }
    }
    seen
}
