//! Which DevServers an event concerns. Pure: what was seen goes in, who is to be looked at comes out.

use devserver_api::{DevServer, DevServerFlavor, DevServerUser, condition, group};
use devserver_core::{invalid::TEAM_QUOTA_EXCEEDED, user};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim};
use kube::{
    Resource, ResourceExt,
    core::ObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

/// DevServers to be looked at.
pub type Woken = Vec<ObjectRef<DevServer>>;

/// The DevServer itself. Our own status writes come back as events; only what changes the task is looked at.
pub fn itself(server: &DevServer, is_gone: bool, known: &Store<DevServer>) -> Woken {
    let reference = ObjectRef::from_obj(server);
    let before = known.get(&reference);
    if before.as_ref().is_some_and(|b| {
        !is_gone
            && is_same_task(&b.metadata, &server.metadata)
            && restart_wish(&b.metadata) == restart_wish(&server.metadata)
    }) {
        return Vec::new();
    }
    // What goes, stops or shrinks makes room in the quota of its team; what is new does not.
    let mut woken = if before.is_some() {
        select(known, waits_for_room)
    } else {
        Vec::new()
    };
    woken.retain(|waiting| *waiting != reference);
    // Of one that is gone nothing is left to look at; what it owned is collected.
    if !is_gone {
        woken.push(reference);
    }
    woken
}

fn waits_for_room(server: &DevServer) -> bool {
    let status = server.status.as_ref();
    status
        .and_then(|s| condition::find(&s.conditions, condition::VALID))
        .is_some_and(|c| c.reason == TEAM_QUOTA_EXCEEDED)
}

/// All in the namespace of the user: teams decide what they may be. What is told about a user changes that only by the namespace.
pub fn of_user(
    user: &DevServerUser,
    is_gone: bool,
    known: &Store<DevServerUser>,
    servers: &Store<DevServer>,
) -> Woken {
    let namespace_of =
        |user: &DevServerUser| user.status.as_ref().and_then(|s| s.namespace.clone());
    let before = known.get(&ObjectRef::from_obj(user)).filter(|_| !is_gone);
    if before.is_some_and(|before| {
        is_same_task(&before.metadata, &user.metadata)
            && namespace_of(&before) == namespace_of(user)
    }) {
        return Vec::new();
    }
    let namespace = Some(user::namespace_name(&user.spec.username));
    select(servers, |server| server.metadata.namespace == namespace)
}

/// Those that name the flavor; and those that name none, unless it neither was nor is the default.
///
/// A flavor's status concerns nobody: what it says of 1,000 DevServers must not cost 1,000 reads.
pub fn of_flavor(
    flavor: &DevServerFlavor,
    is_gone: bool,
    known: &Store<DevServerFlavor>,
    servers: &Store<DevServer>,
) -> Woken {
    let before = known.get(&ObjectRef::from_obj(flavor)).filter(|_| !is_gone);
    if let Some(before) = &before
        && is_same_task(&before.metadata, &flavor.metadata)
    {
        return Vec::new();
    }
    let name = flavor.name_any();
    let is_beside_the_default = before.is_some_and(|b| !b.spec.default && !flavor.spec.default);
    select(servers, |server| match &server.spec.flavor {
        Some(named) => *named == name,
        None => !is_beside_the_default,
    })
}

/// The owner; by label when somebody took our owner reference away: that is a change to look at, too.
pub fn owner(meta: &ObjectMeta) -> Woken {
    let references = meta.owner_references.iter().flatten();
    let owner = references
        .filter(|o| o.kind == "DevServer")
        .map(|o| o.name.as_str())
        .next();
    let label = meta.labels.as_ref().and_then(|l| l.get(group::LABEL_NAME));
    reference(
        owner.or(label.map(String::as_str)),
        meta.namespace.as_deref(),
    )
}

/// The one in the label.
pub fn labelled<K: Resource>(object: &K) -> Woken {
    let meta = object.meta();
    let name = meta.labels.as_ref().and_then(|l| l.get(group::LABEL_NAME));
    reference(name.map(String::as_str), meta.namespace.as_deref())
}

/// A home concerns the DevServer in its label; any claim those that name it, or whose flavor does.
pub fn users_of(
    claim: &PersistentVolumeClaim,
    servers: &Store<DevServer>,
    flavors: &Store<DevServerFlavor>,
) -> Woken {
    let name = claim.name_any();
    let offers = |f: &DevServerFlavor| f.spec.volumes.iter().any(|v| v.claim_name == name);
    let flavors = flavors.state_filter(offers);
    let has_flavor = |server: &DevServer| {
        flavors.iter().any(|flavor| match &server.spec.flavor {
            Some(named) => *named == flavor.name_any(),
            None => flavor.spec.default,
        })
    };
    let mut users = select(servers, |server| {
        let spec = &server.spec;
        server.metadata.namespace == claim.metadata.namespace
            && (spec.shared_volume_claim_name.as_ref() == Some(&name)
                || spec.volumes.iter().any(|v| v.claim_name == name)
                || has_flavor(server))
    });
    for home in labelled(claim) {
        if !users.contains(&home) {
            users.push(home);
        }
    }
    users
}

/// The one whose StatefulSet the event is about.
pub fn regarding(event: &Event) -> Woken {
    let about = &event.involved_object;
    reference(about.name.as_deref(), about.namespace.as_deref())
}

/// All that a predicate holds for.
pub fn select(servers: &Store<DevServer>, concerns: impl Fn(&DevServer) -> bool) -> Woken {
    servers
        .state_filter(concerns)
        .iter()
        .map(|server| ObjectRef::from_obj(server.as_ref()))
        .collect()
}

/// An annotation raises no generation, but this one asks for something.
fn restart_wish(meta: &ObjectMeta) -> Option<&String> {
    meta.annotations.as_ref()?.get(group::ANNOTATION_RESTART)
}

fn is_same_task(before: &ObjectMeta, now: &ObjectMeta) -> bool {
    before.uid == now.uid
        && before.generation == now.generation
        && before.deletion_timestamp == now.deletion_timestamp
}

fn reference(name: Option<&str>, namespace: Option<&str>) -> Woken {
    match (name, namespace) {
        (Some(name), Some(namespace)) => vec![ObjectRef::new(name).within(namespace)],
        _ => Vec::new(),
    }
}
