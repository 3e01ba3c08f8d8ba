//! Whether somebody still needs a claim.

use devserver_api::{DevServer, DevServerFlavor};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

/// What still needs the claim of the home of `name`, in words; `None`: nothing does. DevServers and pods are those of its namespace.
pub fn needed_by<'a>(
    (name, claim): (&str, &str),
    servers: impl IntoIterator<Item = &'a DevServer>,
    flavors: impl IntoIterator<Item = &'a DevServerFlavor>,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Option<String> {
    let server = servers.into_iter().find(|server| {
        let spec = &server.spec;
        server.name_any() == name
            || spec.shared_volume_claim_name.as_deref() == Some(claim)
            || spec.volumes.iter().any(|v| v.claim_name == claim)
    });
    if let Some(server) = server {
        return Some(format!("the DevServer {}", server.name_any()));
    }
    let offers = |f: &&DevServerFlavor| f.spec.volumes.iter().any(|v| v.claim_name == claim);
    if let Some(flavor) = flavors.into_iter().find(offers) {
        return Some(format!("the flavor {}", flavor.name_any()));
    }
    let pod = pods.into_iter().find(|pod| mounts(pod, claim));
    pod.map(|pod| format!("the pod {}", pod.name_any()))
}

/// Whether the pod has the claim, or may have it yet.
fn mounts(pod: &Pod, claim: &str) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    let mut claims = volumes.filter_map(|v| v.persistent_volume_claim.as_ref());
    !matches!(phase, Some("Succeeded" | "Failed")) && claims.any(|c| c.claim_name == claim)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOME: (&str, &str) = ("box", "home-box-0");

    fn server(name: &str, spec: &serde_json::Value) -> DevServer {
        DevServer::new(name, serde_json::from_value(spec.clone()).unwrap())
    }

    fn pod(claim: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "other"}, "status": {"phase": phase},
            "spec": {"containers": [], "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": claim}}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_devserver_of_the_name_or_one_that_mounts_the_home_needs_it() {
        let mount = json!([{"claimName": "home-box-0", "mountPath": "/old"}]);
        for (server, needs) in [
            (server("box", &json!({"ssh": {}})), true),
            (server("a", &json!({"ssh": {}})), false),
            (server("a", &json!({"ssh": {}, "volumes": mount})), true),
            (
                server(
                    "a",
                    &json!({"ssh": {}, "sharedVolumeClaimName": "home-box-0"}),
                ),
                true,
            ),
        ] {
            let needed = needed_by(HOME, [&server], [], []);
            assert_eq!(needed.is_some(), needs, "{:?}", server.spec);
        }
    }

    #[test]
    fn a_flavor_that_offers_it_needs_it() {
        let spec = json!({"volumes": [{"claimName": "home-box-0", "mountPath": "/old"}]});
        let flavor = DevServerFlavor::new("f", serde_json::from_value(spec).unwrap());
        assert!(needed_by(HOME, [], [&flavor], []).is_some());
    }

    #[test]
    fn any_pod_that_has_not_ended_needs_it() {
        for (pod, needs) in [
            (pod("home-box-0", "Running"), true),
            (pod("home-box-0", "Pending"), true),
            (pod("home-box-0", ""), true),
            (pod("home-box-0", "Succeeded"), false),
            (pod("home-other-0", "Running"), false),
        ] {
            assert_eq!(needed_by(HOME, [], [], [&pod]).is_some(), needs, "{pod:?}");
        }
    }
}
