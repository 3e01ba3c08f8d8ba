//! Which DevServers an event concerns. Pure: what was seen goes in, who is to be looked at comes out.

use devserver_api::{DevServer, DevServerFlavor, DevServerUser, condition, group};
use devserver_core::{flavor::effective_default, invalid::TEAM_QUOTA_EXCEEDED, user};
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

/// All in the namespace of the user: teams decide what they may be; and all that are theirs or name them: their keys log in
/// there. What is told about a user changes that only by the namespace.
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
    let username = &user.spec.username;
    select(servers, |server| {
        server.metadata.namespace == namespace
            || server.spec.owner.as_ref() == Some(username)
            || server
                .spec
                .collaborators
                .iter()
                .any(|c| c.user == *username)
    })
}

/// Those that name the flavor, when its task changed; those that name none, when the default changed or became another.
///
/// Otherwise a flavor's status concerns nobody: what it says of 1,000 DevServers must not cost 1,000 reads. It does say since when
/// a flavor is known as the default, and of two that are marked that decides which one is.
pub fn of_flavor(
    flavor: &DevServerFlavor,
    is_gone: bool,
    known: &Store<DevServerFlavor>,
    servers: &Store<DevServer>,
) -> Woken {
    let before = known.get(&ObjectRef::from_obj(flavor)).filter(|_| !is_gone);
    let (is_new, uid) = (before.is_none(), flavor.metadata.uid.as_deref());
    let is_changed = before.is_none_or(|b| !is_same_task(&b.metadata, &flavor.metadata));
    let flavors = known.state();
    let all = || flavors.iter().map(AsRef::as_ref);
    let others = all().filter(|other| other.metadata.name != flavor.metadata.name);
    let old = uid_of(effective_default(all()));
    let new = uid_of(effective_default(
        others.chain((!is_gone).then_some(flavor)),
    ));
    // Without a default they are told which flavors there are.
    let is_of_default =
        old != new || (is_changed && new.is_some() && new == uid) || (is_new && new.is_none());
    if !is_changed && !is_of_default {
        return Vec::new();
    }
    let name = flavor.name_any();
    select(servers, |server| match &server.spec.flavor {
        Some(named) => is_changed && *named == name,
        None => is_of_default,
    })
}

fn uid_of(flavor: Option<&DevServerFlavor>) -> Option<&str> {
    flavor?.metadata.uid.as_deref()
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

#[cfg(test)]
mod tests {
    use kube::runtime::{reflector::store, watcher::Event};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn stored<K>(objects: Vec<K>) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
    {
        let (reader, mut writer) = store();
        for object in objects {
            writer.apply_watcher_event(&Event::Apply(object));
        }
        reader
    }

    /// Marked, and known as the default since that second of a minute.
    fn marked(name: &str, generation: i64, since: Option<u32>) -> DevServerFlavor {
        let conditions: Vec<Value> = since
            .iter()
            .map(|second| {
                json!({"type": condition::DEFAULT, "status": "True", "reason": "Default", "message": "",
                    "lastTransitionTime": format!("2026-01-01T00:00:{second:02}Z")})
            })
            .collect();
        flavor(name, generation, true, &json!({ "conditions": conditions }))
    }

    fn flavor(name: &str, generation: i64, default: bool, status: &Value) -> DevServerFlavor {
        let made_at = "2026-01-01T00:00:00Z";
        serde_json::from_value(json!({
            "apiVersion": group::API_VERSION, "kind": "DevServerFlavor",
            "metadata": {"name": name, "uid": name, "generation": generation, "creationTimestamp": made_at},
            "spec": {"default": default, "resources": {}}, "status": status,
        }))
        .unwrap()
    }

    /// Names of those that an event of a flavor wakes: `none` names no flavor, the others the one in their name.
    fn woken(known: Vec<DevServerFlavor>, event: &DevServerFlavor, is_gone: bool) -> Vec<String> {
        let server = |name: &str, spec: Value| -> DevServer {
            let metadata = json!({"name": name, "namespace": "n", "uid": name});
            serde_json::from_value(json!({
                "apiVersion": group::API_VERSION, "kind": "DevServer", "metadata": metadata, "spec": spec,
            }))
            .unwrap()
        };
        let ssh = json!({"publicKey": "x"});
        let servers = stored(vec![
            server("none", json!({"ssh": ssh})),
            server("a", json!({"ssh": ssh, "flavor": "a"})),
            server("b", json!({"ssh": ssh, "flavor": "b"})),
        ]);
        let woken = of_flavor(event, is_gone, &stored(known), &servers);
        let mut names: Vec<String> = woken.into_iter().map(|reference| reference.name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_condition_that_makes_another_flavor_the_default_wakes_who_names_none() {
        let known = || vec![marked("a", 1, Some(20)), marked("b", 1, None)];
        assert_eq!(woken(known(), &marked("b", 1, Some(10)), false), ["none"]);
        assert!(woken(known(), &marked("b", 1, Some(30)), false).is_empty());
        // Its own condition goes, and with it its right over the older by name.
        let other = vec![marked("a", 1, None), marked("b", 1, Some(10))];
        assert_eq!(woken(other, &marked("b", 1, None), false), ["none"]);
    }

    #[test]
    fn a_flavor_wakes_who_names_it_and_the_default_who_names_none() {
        let plain = |name, generation| flavor(name, generation, false, &Value::Null);
        let known = || vec![marked("a", 1, Some(10)), plain("b", 1)];
        assert_eq!(
            woken(known(), &marked("a", 2, Some(10)), false),
            ["a", "none"]
        );
        assert_eq!(woken(known(), &plain("b", 2), false), ["b"]);
        assert_eq!(woken(known(), &plain("a", 2), false), ["a", "none"]);
        assert_eq!(
            woken(known(), &marked("a", 1, Some(10)), true),
            ["a", "none"]
        );
        assert_eq!(woken(known(), &plain("b", 1), true), ["b"]);
        // Marked, too, but not the default.
        assert_eq!(woken(known(), &marked("b", 2, None), false), ["b"]);
        // Nothing but what is told.
        let told = flavor("b", 1, false, &json!({"schedulable": "No"}));
        assert!(woken(known(), &told, false).is_empty());
    }

    #[test]
    fn without_a_default_a_new_flavor_wakes_who_names_none_to_be_told_of_it() {
        let plain = |name, generation| flavor(name, generation, false, &Value::Null);
        assert_eq!(
            woken(vec![plain("a", 1)], &plain("b", 1), false),
            ["b", "none"]
        );
        assert_eq!(woken(vec![plain("a", 1)], &plain("a", 2), false), ["a"]);
    }
}
