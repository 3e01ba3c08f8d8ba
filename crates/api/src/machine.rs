//! Which pod is the machine of a DevServer, and where it is: one answer for all who lead people there.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::group;

/// Whose machine a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine<'a> {
    /// Namespace of both.
    pub namespace: &'a str,
    /// Name of the DevServer.
    pub server: &'a str,
    /// UID of the DevServer.
    pub server_uid: &'a str,
}

/// Whose machine it is, if it is the one pod of a DevServer's StatefulSet: by its labels, its name and its controller. Labels alone are
/// anybody's to write.
pub fn of(pod: &Pod) -> Option<Machine<'_>> {
    let labels = pod.labels();
    let server = labels.get(group::LABEL_NAME)?;
    let is_owned = pod.owner_references().iter().any(|owner| {
        owner.controller == Some(true) && owner.kind == "StatefulSet" && owner.name == *server
    });
    let is_named = pod.metadata.name.as_deref() == Some(format!("{server}-0").as_str());
    (is_owned && is_named).then_some(())?;
    Some(Machine {
        namespace: pod.metadata.namespace.as_deref()?,
        server,
        server_uid: labels.get(group::LABEL_UID)?,
    })
}

/// Its own address, once it has one.
pub fn address(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

/// Addresses of its node, which nobody is led to.
pub fn host_addresses(pod: &Pod) -> Vec<IpAddr> {
    let told = pod.status.iter().flat_map(|status| {
        let listed = status.host_ips.iter().flatten().map(|host| &host.ip);
        status.host_ip.iter().chain(listed)
    });
    told.filter_map(|ip| ip.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, owners: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": name, "namespace": "dev-alice", "ownerReferences": owners,
                "labels": {"devserver.io/name": "box", "devserver.io/uid": "u1"},
            },
            "status": {"podIP": "10.244.0.7", "hostIP": "192.0.2.10", "hostIPs": [{"ip": "2001:db8::1"}]},
        }))
        .unwrap()
    }

    #[test]
    fn only_the_first_pod_of_the_statefulset_is_a_machine() {
        let owner = |kind: &str, name: &str, controls: bool| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "s", "controller": controls}]);
        let right = pod("box-0", &owner("StatefulSet", "box", true));
        assert_eq!(of(&right).unwrap().server_uid, "u1");
        assert_eq!(address(&right), Some("10.244.0.7".parse().unwrap()));
        assert_eq!(host_addresses(&right).len(), 2);
        for wrong in [
            pod("box-1", &owner("StatefulSet", "box", true)),
            pod("box-0", &owner("ReplicaSet", "box", true)),
            pod("box-0", &owner("StatefulSet", "other", true)),
            pod("box-0", &owner("StatefulSet", "box", false)),
            pod("box-0", &json!([])),
        ] {
            assert_eq!(of(&wrong), None, "{wrong:?}");
        }
    }
}
