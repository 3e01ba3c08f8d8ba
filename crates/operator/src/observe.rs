//! From caches and recent writes to what `devserver-core` decides on.

use std::{collections::BTreeSet, sync::Arc};

use devserver_api::{DevServer, DevServerUser, names::ServerName};
use devserver_core::{Kind, Observed, References, observed::UnboundClaim, user};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{Node, PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    api::ObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use crate::objects::Ownership;
use crate::{context::Context, objects, team};

/// Whose an object is, asked for the DevServer with that UID.
pub fn ownership(meta: &ObjectMeta, uid: &str) -> Ownership {
    objects::ownership::<DevServer>(meta, uid)
}

/// An object of a watched kind, as it was seen or written last.
pub fn view(ctx: &Context, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
    let caches = &ctx.caches;
    let seen = match kind {
        Kind::ServiceAccount => cached(&caches.accounts, namespace, name),
        Kind::ConfigMap => cached(&caches.config_maps, namespace, name),
        Kind::Service => cached(&caches.services, namespace, name),
        Kind::StatefulSet => cached(&caches.workloads, namespace, name),
        Kind::NetworkPolicy => cached(&caches.network_policies, namespace, name),
        Kind::PodDisruptionBudget => cached(&caches.disruption_budgets, namespace, name),
        Kind::RoleBinding => cached(&caches.role_bindings, namespace, name),
        Kind::PersistentVolumeClaim => cached(&caches.claims, namespace, name),
        Kind::Secret => None,
    };
    ctx.written.newest(kind, namespace, name, seen)
}

fn cached<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Value>
where
    K: kube::Resource<DynamicType = ()> + Clone + Serialize + 'static,
{
    let object = store.get(&ObjectRef::new(name).within(namespace))?;
    serde_json::to_value(object.as_ref()).ok()
}

/// What the DevServer names.
pub fn references(ctx: &Context, server: &DevServer) -> References {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let claim = |name: &str| {
        ctx.caches
            .claims
            .get(&ObjectRef::new(name).within(namespace))
    };
    let name = ServerName::parse(server.metadata.name.as_deref().unwrap_or_default()).ok();
    let workload: Option<StatefulSet> = name
        .as_ref()
        .and_then(|n| typed(view(ctx, Kind::StatefulSet, namespace, &n.workload())));
    let mut references = References {
        flavors: ctx
            .caches
            .flavors
            .state()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect(),
        home_claim: name
            .as_ref()
            .and_then(|n| claim(&n.home_claim()))
            .map(|c| c.as_ref().clone()),
        docker_claim: name
            .and_then(|n| claim(&n.docker_claim()))
            .map(|c| c.as_ref().clone()),
        claims: Some(claims(ctx, server)),
        template_home_size: workload.and_then(template_home_size),
        nodes_support_user_namespaces: user_namespaces(&ctx.caches.nodes.state()),
        ..References::default()
    };
    team::add(ctx, server, &mut references);
    references.people = people(ctx, server);
    references.gateway_authorities = ctx.gateway.authorities();
    references
}

/// The DevServerUsers of the owner and the collaborators. Only administrators write them; of two with one name that counts
/// which has the namespace of the name.
fn people(ctx: &Context, server: &DevServer) -> Vec<DevServerUser> {
    let collaborators = server.spec.collaborators.iter().map(|other| &other.user);
    let names: BTreeSet<&String> = server.spec.owner.iter().chain(collaborators).collect();
    let users = &ctx.caches.users;
    let known = users.state_filter(|user| names.contains(&user.spec.username));
    let of = |name: &&String| user::of_namespace(&user::namespace_name(name), &known);
    let people = names.iter().filter_map(of);
    people.map(|user| user.as_ref().clone()).collect()
}

/// The claims that the DevServer or a flavor names, those that are there.
fn claims(ctx: &Context, server: &DevServer) -> Vec<PersistentVolumeClaim> {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let spec = &server.spec;
    let flavors = ctx.caches.flavors.state();
    let offered = flavors.iter().flat_map(|flavor| &flavor.spec.volumes);
    let named: BTreeSet<&String> = spec
        .volumes
        .iter()
        .chain(offered)
        .map(|volume| &volume.claim_name)
        .chain(&spec.shared_volume_claim_name)
        .collect();
    named
        .into_iter()
        .filter_map(|name| {
            let claim = ObjectRef::new(name).within(namespace);
            Some(ctx.caches.claims.get(&claim)?.as_ref().clone())
        })
        .collect()
}

fn template_home_size(workload: StatefulSet) -> Option<Quantity> {
    let templates = workload.spec?.volume_claim_templates?;
    let home = templates
        .into_iter()
        .find(|t| t.metadata.name.as_deref() == Some("home"))?;
    home.spec?.resources?.requests?.remove("storage")
}

/// Whether some node can; `None` when there are no nodes. A pod without one where it could have one is the worse fault.
fn user_namespaces(nodes: &[Arc<Node>]) -> Option<bool> {
    let supports = |node: &Arc<Node>| {
        let handlers = node
            .status
            .as_ref()
            .and_then(|s| s.runtime_handlers.as_ref());
        handlers.into_iter().flatten().any(|handler| {
            handler
                .features
                .as_ref()
                .and_then(|f| f.user_namespaces)
                .unwrap_or(false)
        })
    };
    (!nodes.is_empty()).then(|| nodes.iter().any(supports))
}

/// What was seen of the environment, of objects that are ours.
pub fn environment(ctx: &Context, server: &DevServer) -> Observed {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    let Ok(name) = ServerName::parse(server.metadata.name.as_deref().unwrap_or_default()) else {
        return Observed::default();
    };
    let ours = |meta: &ObjectMeta| ownership(meta, uid) == Ownership::Ours;
    let workload = typed(view(ctx, Kind::StatefulSet, namespace, &name.workload()))
        .filter(|w: &StatefulSet| ours(&w.metadata));
    let ssh_service = typed(view(ctx, Kind::Service, namespace, &name.ssh_service()))
        .filter(|s: &k8s_openapi::api::core::v1::Service| ours(&s.metadata));
    let pod = pod(ctx, server);
    Observed {
        create_failure: workload.as_ref().and_then(|w| create_failure(ctx, w)),
        unbound_claims: pod.as_ref().map(|p| unbound(ctx, p)).unwrap_or_default(),
        workload,
        pod,
        ssh_service,
        ..Observed::default()
    }
}

/// Its pod.
pub fn pod(ctx: &Context, server: &DevServer) -> Option<Pod> {
    let metadata = &server.metadata;
    let name = ServerName::parse(metadata.name.as_deref()?).ok()?;
    let reference = ObjectRef::new(&name.pod()).within(metadata.namespace.as_deref()?);
    let pod = ctx.caches.pods.get(&reference)?;
    let uid = metadata.uid.as_deref().unwrap_or_default();
    is_of(&pod, uid).then(|| pod.as_ref().clone())
}

/// Claims of the pod without a volume.
fn unbound(ctx: &Context, pod: &Pod) -> Vec<UnboundClaim> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    let claims = volumes.filter_map(|v| v.persistent_volume_claim.as_ref());
    let seen = claims.filter_map(|c| {
        let reference = ObjectRef::new(&c.claim_name).within(namespace);
        ctx.caches.claims.get(&reference)
    });
    seen.filter(|claim| {
        let phase = claim.status.as_ref().and_then(|s| s.phase.as_deref());
        phase != Some("Bound")
    })
    .map(|claim| UnboundClaim {
        name: claim.metadata.name.clone().unwrap_or_default(),
        storage_class: claim
            .spec
            .as_ref()
            .and_then(|s| s.storage_class_name.clone())
            .filter(|class| !class.is_empty()),
    })
    .collect()
}

fn is_of(pod: &Pod, uid: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|l| l.get(devserver_api::group::LABEL_UID))
        .is_some_and(|label| label == uid)
}

/// The newest complaint of the StatefulSet controller about this very StatefulSet.
fn create_failure(ctx: &Context, workload: &StatefulSet) -> Option<String> {
    let uid = workload.metadata.uid.as_ref()?;
    let events = ctx
        .caches
        .failures
        .state_filter(|event| event.involved_object.uid.as_ref() == Some(uid));
    let newest = events
        .iter()
        .max_by_key(|event| event.last_timestamp.as_ref().map(|t| t.0))?;
    newest.message.clone()
}

fn typed<K: DeserializeOwned>(value: Option<Value>) -> Option<K> {
    serde_json::from_value(value?).ok()
}
