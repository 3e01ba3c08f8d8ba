//! From objects of the cluster to rows of the table. What cannot be read is left out: it opens nothing.

use devserver_api::{DevServer, DevServerUser, group, machine, port};
use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;

use crate::table::{Person, Pod, Server, ServerId};

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
    let others = spec.collaborators.iter();
    Server {
        uid: server.uid().unwrap_or_default(),
        owner: spec.owner.clone(),
        collaborators: others.map(|other| other.user.clone()).collect(),
        suspended: spec.suspend,
        ends: server.metadata.deletion_timestamp.is_some(),
        // What cannot be understood opens nothing.
        ports: port::declared(spec).unwrap_or_default(),
        phase: status.and_then(|s| s.phase),
        version: server.resource_version().unwrap_or_default(),
    }
}

/// The row of a pod, if it is the machine of a DevServer.
pub fn pod(pod: &core::Pod) -> Option<(ServerId, Pod)> {
    let machine = machine::of(pod)?;
    let spec = pod.spec.as_ref()?;
    let id = ServerId {
        namespace: machine.namespace.to_owned(),
        name: machine.server.to_owned(),
    };
    let row = Pod {
        server_uid: machine.server_uid.to_owned(),
        address: machine::address(pod),
        host_addresses: machine::host_addresses(pod),
        host_network: spec.host_network.unwrap_or_default(),
        ends: pod.metadata.deletion_timestamp.is_some(),
        editor: ports(spec)
            .find(|p| p.0 == Some(group::EDITOR_PORT_NAME))
            .map(|p| p.1),
        taken: ports(spec).map(|p| p.1).collect(),
    };
    Some((id, row))
}

/// Names and numbers of all ports of its containers.
fn ports(spec: &core::PodSpec) -> impl Iterator<Item = (Option<&str>, u16)> {
    let first = spec.init_containers.iter().flatten();
    spec.containers
        .iter()
        .chain(first)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            Some((
                port.name.as_deref(),
                u16::try_from(port.container_port).ok()?,
            ))
        })
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
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn a_pod(name: &str, owners: &Value) -> core::Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "dev-alice", "ownerReferences": owners,
                         "labels": {"devserver.io/name": "box", "devserver.io/uid": "u1"}},
            "spec": {"containers": [{"name": "dev", "ports": [{"name": "http", "containerPort": 8080}, {"name": "other", "containerPort": 1}]}]},
            "status": {"podIP": "10.244.0.7", "hostIP": "192.0.2.10"}
        }))
        .unwrap()
    }

    #[test]
    fn c6_a_pod_that_only_has_the_labels_is_not_one() {
        let owned = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "box", "uid": "s", "controller": true}]);
        let (id, row) = pod(&a_pod("box-0", &owned)).unwrap();
        assert_eq!(id.to_string(), "dev-alice/box");
        assert_eq!(
            (row.editor, row.taken),
            (Some(8080), BTreeSet::from([1, 8080]))
        );
        assert_eq!(pod(&a_pod("box-1", &owned)), None);
        assert_eq!(pod(&a_pod("box-0", &json!([]))), None);
    }
}
