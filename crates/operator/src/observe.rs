//! From caches and recent writes to what `devserver-core` decides on.

use std::sync::Arc;

use devserver_api::{DevServer, names::ServerName};
use devserver_core::{Kind, Observed, References, references::SharedClaim};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{Node, Pod},
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    api::ObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::context::Context;

/// Whose an object is. Names are not identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Controlled by this very DevServer.
    Ours,
    /// Controlled by a DevServer that is gone; garbage collection will take it.
    Collected,
    /// Somebody else's.
    Foreign,
}

/// Whose an object is.
pub fn ownership(meta: &ObjectMeta, uid: &str) -> Ownership {
    let controller = meta
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.uid == uid => Ownership::Ours,
        Some(owner) if owner.kind == "DevServer" => Ownership::Collected,
        _ => Ownership::Foreign,
    }
}

/// An object of a watched kind, as it was seen or written last.
pub fn view(ctx: &Context, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
    let caches = &ctx.caches;
    let seen = match kind {
        Kind::ServiceAccount => cached(&caches.accounts, namespace, name),
        Kind::ConfigMap => cached(&caches.config_maps, namespace, name),
        Kind::Service => cached(&caches.services, namespace, name),
        Kind::StatefulSet => cached(&caches.workloads, namespace, name),
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
    let shared_claim = match &server.spec.shared_volume_claim_name {
        None => SharedClaim::Unknown,
        Some(name) if claim(name).is_some() => SharedClaim::Found,
        Some(_) => SharedClaim::Missing,
    };
    References {
        flavors: ctx
            .caches
            .flavors
            .state()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect(),
        home_claim: name
            .and_then(|n| claim(&n.home_claim()))
            .map(|c| c.as_ref().clone()),
        shared_claim,
        template_home_size: workload.and_then(template_home_size),
        nodes_support_user_namespaces: user_namespaces(&ctx.caches.nodes.state()),
    }
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
    let pod = ctx
        .caches
        .pods
        .get(&ObjectRef::new(&name.pod()).within(namespace))
        .filter(|pod| is_of(pod, uid))
        .map(|pod| pod.as_ref().clone());
    Observed {
        create_failure: workload.as_ref().and_then(|w| create_failure(ctx, w)),
        workload,
        pod,
        ssh_service,
        ..Observed::default()
    }
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
