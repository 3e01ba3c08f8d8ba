//! From objects of the cluster to rows of the table. What cannot be read is left out: it opens nothing.

use std::collections::{BTreeMap, HashSet};

use devserver_api::{
    DevServer, DevServerUser, cidr::Cidr, condition, machine, suspension::SuspendedBy,
};
use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;

use crate::{
    fingerprint::Fingerprint,
    table::{Person, Pod, Server},
    target::ServerId,
};

/// What the operator says of a DevServerUser whose name another one has.
const USERNAME_TAKEN: &str = "UsernameTaken";
/// What the kubelet says of a container before its first start, while nothing is wrong.
const BEING_MADE: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Ports of a pod by which something is reached.
const NAMED: [&str; 2] = ["ssh", "http"];

/// Name and namespace of a DevServer.
pub fn server_id(server: &DevServer) -> Option<ServerId> {
    Some(ServerId {
        namespace: server.namespace()?,
        name: server.metadata.name.clone()?,
    })
}

/// The row of a DevServer.
pub fn server(server: &DevServer) -> Server {
    let (spec, status) = (&server.spec, server.status.as_ref());
    let told = status.and_then(|s| s.ssh.as_ref());
    let of_objects = told
        .filter(|_| !spec.ssh.authorized_keys_from.is_empty())
        .into_iter()
        .flat_map(|ssh| &ssh.authorized_key_fingerprints)
        .filter_map(|text| Fingerprint::parse(text));
    let of_spec = keys(spec.ssh.public_key.iter().chain(&spec.ssh.public_keys));
    let collaborators = spec.collaborators.iter();
    Server {
        uid: server.uid().unwrap_or_default(),
        owner: spec.owner.clone(),
        collaborators: collaborators
            .map(|other| (other.user.clone(), keys(&other.public_keys)))
            .collect(),
        keys: of_spec.into_iter().chain(of_objects).collect(),
        host_keys: told.map_or_else(HashSet::new, |ssh| keys(&ssh.host_keys)),
        login_user: told.map(|ssh| ssh.user.clone()),
        allowed_networks: allowed_networks(spec.ssh.allowed_cidrs.as_deref()),
        suspended: spec.suspend,
        suspended_by: SuspendedBy::read(server.annotations()),
        ends: server.metadata.deletion_timestamp.is_some(),
        phase: status.and_then(|s| s.phase),
    }
}

/// What cannot be read admits nobody.
fn allowed_networks(texts: Option<&[String]>) -> Option<Vec<Cidr>> {
    let texts = texts.filter(|texts| !texts.is_empty())?;
    Some(
        texts
            .iter()
            .filter_map(|text| Cidr::parse(text).ok())
            .collect(),
    )
}

/// The row of a pod, if it is the machine of a DevServer.
pub fn pod(pod: &core::Pod) -> Option<(ServerId, Pod)> {
    let machine = machine::of(pod)?;
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref());
    let condition = status
        .and_then(|s| s.conditions.as_ref())
        .and_then(|all| all.iter().find(|c| c.type_ == "Ready"));
    let ready = condition.is_some_and(|c| c.status == "True");
    let unready_since = condition.and_then(|c| c.last_transition_time.as_ref());
    let containers = status.and_then(|s| s.container_statuses.as_ref());
    let starts = containers
        .is_some_and(|all| !all.is_empty() && all.iter().all(|c| runs_first(c, unready_since)));
    let id = ServerId {
        namespace: machine.namespace.to_owned(),
        name: machine.server.to_owned(),
    };
    let row = Pod {
        server_uid: machine.server_uid.to_owned(),
        address: machine::address(pod),
        host_addresses: machine::host_addresses(pod),
        host_network: spec.host_network.unwrap_or_default(),
        ready,
        starts: starts && !ready,
        ends: pod.metadata.deletion_timestamp.is_some(),
        ports: ports(spec),
    };
    Some((id, row))
}

/// One that became unready after it had begun was Ready before: it does not start, it has stopped to answer. One that is being
/// made counts, because the kubelet tells only some time after it has started it.
fn runs_first(container: &core::ContainerStatus, unready_since: Option<&Time>) -> bool {
    let Some(state) = container
        .state
        .as_ref()
        .filter(|_| container.restart_count == 0)
    else {
        return false;
    };
    let reason = state.waiting.as_ref().and_then(|w| w.reason.as_deref());
    let running = state.running.as_ref();
    reason.is_some_and(|reason| BEING_MADE.contains(&reason))
        || running.is_some_and(|r| unready_since <= r.started_at.as_ref())
}

/// Sidecars that start before the others are init containers.
fn ports(spec: &core::PodSpec) -> BTreeMap<String, u16> {
    let init = spec.init_containers.iter().flatten();
    init.chain(&spec.containers)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            let name = port.name.as_ref().filter(|n| NAMED.contains(&n.as_str()))?;
            Some((name.clone(), u16::try_from(port.container_port).ok()?))
        })
        .collect()
}

/// The row of a DevServerUser.
pub fn person(user: &DevServerUser) -> Person {
    let status = user.status.as_ref();
    Person {
        username: user.spec.username.clone(),
        // Absent where the operator refused the name, such as one that another has.
        namespace: status
            .filter(|s| s.phase.as_deref() != Some("Error"))
            .and_then(|s| s.namespace.clone()),
        keys: keys(&user.spec.ssh_public_keys),
        refused: status
            .and_then(|s| condition::find(&s.conditions, condition::VALID))
            .is_some_and(|c| c.reason == USERNAME_TAKEN),
    }
}

fn keys<'a>(lines: impl IntoIterator<Item = &'a String>) -> HashSet<Fingerprint> {
    let read = |line: &String| Fingerprint::of_line(line).ok();
    lines.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice";

    fn a_pod(change: serde_json::Value) -> core::Pod {
        let mut value = json!({
            "metadata": {
                "name": "box-0", "namespace": "dev-alice",
                "labels": {"devserver.io/name": "box", "devserver.io/uid": "u1"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "box", "uid": "s1", "controller": true}]
            },
            "spec": {"containers": [
                {"name": "dev", "ports": [{"name": "health", "containerPort": 9022}]},
                {"name": "ssh", "ports": [{"name": "ssh", "containerPort": 2222}]}
            ]},
            "status": {
                "podIP": "10.244.0.7", "hostIP": "192.0.2.10", "hostIPs": [{"ip": "192.0.2.10"}],
                "conditions": [{"type": "Ready", "status": "True"}]
            }
        });
        merge(&mut value, change);
        serde_json::from_value(value).unwrap()
    }

    fn merge(into: &mut serde_json::Value, change: serde_json::Value) {
        match (into, change) {
            (serde_json::Value::Object(into), serde_json::Value::Object(change)) => {
                for (key, value) in change {
                    merge(into.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
            (into, change) => *into = change,
        }
    }

    #[test]
    fn the_pod_of_a_server_is_read() {
        let (id, row) = pod(&a_pod(json!({}))).unwrap();
        assert_eq!(id.to_string(), "box.dev-alice");
        assert_eq!(row.server_uid, "u1");
        assert_eq!(row.ports, BTreeMap::from([("ssh".to_owned(), 2222)]));
        assert!(row.ready && !row.ends && !row.host_network);
        assert_eq!(row.address, Some("10.244.0.7".parse().unwrap()));
    }

    #[test]
    fn only_what_was_never_ready_before_or_in_its_first_run_starts() {
        let starts = |since: &str, restarts: i32, state: &serde_json::Value| {
            let status = json!({"status": {
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": since}],
                "containerStatuses": [{"name": "dev", "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "state": state}],
            }});
            pod(&a_pod(status)).unwrap().1.starts
        };
        let running = json!({"running": {"startedAt": "2026-01-01T10:00:00Z"}});
        assert!(starts("2026-01-01T09:59:59Z", 0, &running));
        assert!(starts("2026-01-01T10:00:00Z", 0, &running));
        // It ran, and its node is gone or its sshd does not answer: nobody is to wait a minute for that.
        assert!(!starts("2026-01-01T12:00:00Z", 0, &running));
        assert!(!starts("2026-01-01T09:59:59Z", 1, &running));
        for (reason, restarts, expected) in [
            ("ContainerCreating", 0, true),
            ("PodInitializing", 0, true),
            ("ContainerCreating", 1, false),
            ("ImagePullBackOff", 0, false),
            ("CrashLoopBackOff", 0, false),
        ] {
            let state = json!({"waiting": {"reason": reason}});
            let told = starts("2026-01-01T09:59:59Z", restarts, &state);
            assert_eq!(told, expected, "{reason} after {restarts} restarts");
        }
        assert!(!pod(&a_pod(json!({}))).unwrap().1.starts);
    }

    #[test]
    fn networks_that_cannot_be_read_admit_nobody_and_an_empty_list_is_none() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(allowed_networks(None), None);
        assert_eq!(allowed_networks(Some(&[])), None);
        assert_eq!(allowed_networks(Some(&list(&["office"]))), Some(Vec::new()));
        let read = allowed_networks(Some(&list(&["10.0.0.0/8"])));
        assert_eq!(read, Some(vec![Cidr::parse("10.0.0.0/8").unwrap()]));
    }

    #[test]
    fn c6_a_pod_that_only_has_the_labels_is_not_one() {
        for change in [
            json!({"metadata": {"name": "box-1"}}),
            json!({"metadata": {"name": "evil"}}),
            json!({"metadata": {"ownerReferences": []}}),
            json!({"metadata": {"labels": {"devserver.io/uid": null}}}),
            json!({"metadata": {"labels": {"devserver.io/name": "other"}}}),
        ] {
            let mut labels = a_pod(json!({}));
            let changed = serde_json::to_value(&labels).map(|mut value| {
                merge(&mut value, change.clone());
                if let Some(map) = value["metadata"]["labels"].as_object_mut() {
                    map.retain(|_, v| !v.is_null());
                }
                value
            });
            labels = serde_json::from_value(changed.unwrap()).unwrap();
            assert_eq!(pod(&labels), None, "{change}");
        }
    }

    #[test]
    fn keys_are_those_of_the_spec_and_those_the_operator_tells() {
        let told = Fingerprint::of_blob(b"from a Secret");
        let read = |from: serde_json::Value| -> Server {
            let object = json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServer",
                "metadata": {"name": "box", "namespace": "dev-alice", "uid": "u1",
                             "annotations": {"devserver.io/suspended-by": "policy"}},
                "spec": {"owner": "alice", "suspend": true,
                         "ssh": {"publicKey": LINE, "publicKeys": ["garbage"], "authorizedKeysFrom": from},
                         "collaborators": [{"user": "bob", "publicKeys": [LINE]}]},
                "status": {"phase": "Suspended",
                           "ssh": {"user": "coder", "hostKeys": [LINE, "garbage"], "authorizedKeyFingerprints": [told.to_string(), "garbage"]}}
            });
            server(&serde_json::from_value(object).unwrap())
        };
        let key = Fingerprint::of_line(LINE).unwrap();
        let row = read(json!([{"secretKeyRef": {"name": "team", "key": "keys"}}]));
        assert_eq!(row.keys, HashSet::from([key, told]));
        assert_eq!(row.collaborators["bob"], HashSet::from([key]));
        assert!(row.suspended && row.suspended_by.is_policy());
        assert_eq!(row.host_keys, HashSet::from([key]));
        assert_eq!(row.login_user.as_deref(), Some("coder"));
        // Told of objects that the spec no longer names: taken back at once.
        assert_eq!(read(json!([])).keys, HashSet::from([key]));
    }
}
