//! Where an environment is reached from outside of the cluster.

use devserver_api::group;
use k8s_openapi::api::core::v1::{Pod, Service, ServiceSpec};

use crate::{
    Observed,
    desired::{DNS_HOST_ANNOTATION, LOCAL},
};

/// Port on the nodes.
pub(super) fn node_port(seen: &Observed) -> Option<i32> {
    let spec = of_type(seen, "NodePort")?;
    spec.ports
        .as_ref()?
        .iter()
        .find(|p| p.port == group::SSH_PORT)?
        .node_port
}

/// Name or address: of the load balancer once it has one, or of the nodes where not just any of them will do.
pub(super) fn host(seen: &Observed) -> Option<String> {
    let service = seen.ssh_service.as_ref()?;
    if of_type(seen, "LoadBalancer").is_some() {
        // A name without an address behind it would only be remembered as missing.
        let address = balancer(service)?;
        return dns_name(service).or(Some(address));
    }
    let spec = of_type(seen, "NodePort")?;
    let only_one = spec.external_traffic_policy.as_deref() == Some(LOCAL);
    dns_name(service).or_else(|| seen.pod.as_ref().filter(|_| only_one).and_then(node))
}

fn of_type<'a>(seen: &'a Observed, type_: &str) -> Option<&'a ServiceSpec> {
    let spec = seen.ssh_service.as_ref()?.spec.as_ref()?;
    (spec.type_.as_deref() == Some(type_)).then_some(spec)
}

fn dns_name(service: &Service) -> Option<String> {
    let annotations = service.metadata.annotations.as_ref()?;
    annotations.get(DNS_HOST_ANNOTATION).cloned()
}

fn balancer(service: &Service) -> Option<String> {
    let ingress = service
        .status
        .as_ref()?
        .load_balancer
        .as_ref()?
        .ingress
        .as_ref()?
        .first()?;
    ingress.hostname.clone().or_else(|| ingress.ip.clone())
}

fn node(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.host_ip.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(type_: &str, policy: &str, balancer: &Value, name: Option<&str>) -> Observed {
        let service = json!({
            "metadata": {"annotations": name.map(|n| json!({DNS_HOST_ANNOTATION: n}))},
            "spec": {"type": type_, "externalTrafficPolicy": policy, "ports": [{"port": 22, "nodePort": 30_022}]},
            "status": {"loadBalancer": {"ingress": balancer}},
        });
        Observed {
            ssh_service: serde_json::from_value(service).unwrap(),
            pod: serde_json::from_value(json!({"metadata": {}, "status": {"hostIP": "10.0.0.7"}}))
                .unwrap(),
            ..Observed::default()
        }
    }

    #[test]
    fn a_load_balancer_is_named_once_it_has_an_address() {
        let at = |balancer, name| host(&seen("LoadBalancer", "Cluster", &balancer, name));
        assert_eq!(at(json!([]), Some("box.dev.example.com")), None);
        let ready = json!([{"ip": "203.0.113.9"}]);
        assert_eq!(at(ready.clone(), None).unwrap(), "203.0.113.9");
        assert_eq!(
            at(ready, Some("box.dev.example.com")).unwrap(),
            "box.dev.example.com"
        );
        assert_eq!(
            node_port(&seen("LoadBalancer", "Cluster", &json!([]), None)),
            None
        );
    }

    #[test]
    fn of_a_node_port_the_node_is_told_only_where_no_other_will_do() {
        let at = |policy, name| host(&seen("NodePort", policy, &json!([]), name));
        assert_eq!(at("Cluster", None), None);
        assert_eq!(at("Local", None).unwrap(), "10.0.0.7");
        assert_eq!(
            at("Local", Some("box.dev.example.com")).unwrap(),
            "box.dev.example.com"
        );
        assert_eq!(
            node_port(&seen("NodePort", "Local", &json!([]), None)),
            Some(30_022)
        );
    }

    #[test]
    fn an_address_of_a_former_load_balancer_is_not_told() {
        let former = json!([{"ip": "203.0.113.9"}]);
        assert_eq!(host(&seen("ClusterIP", "", &former, None)), None);
    }
}
