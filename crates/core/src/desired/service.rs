//! The two Services: one that gives the pod its name, one that lets ssh in.

use devserver_api::{Expose, group};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::meta::{object_meta, selector};
use crate::Environment;

pub(super) fn headless(env: &Environment) -> Service {
    Service {
        metadata: object_meta(env, env.name.headless_service()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(selector(env)),
            ports: Some(vec![ssh_port()]),
            // The name resolves while the machine starts, so that clients wait for it instead of failing.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

pub(super) fn ssh(env: &Environment) -> Option<Service> {
    let type_ = match env.ssh.expose {
        Expose::None => return None,
        Expose::NodePort => "NodePort",
        Expose::ClusterIP => "ClusterIP",
        Expose::LoadBalancer => "LoadBalancer",
    };
    Some(Service {
        metadata: object_meta(env, env.name.ssh_service()),
        spec: Some(ServiceSpec {
            type_: Some(type_.to_owned()),
            selector: Some(selector(env)),
            ports: Some(vec![ssh_port()]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

fn ssh_port() -> ServicePort {
    ServicePort {
        name: Some("ssh".to_owned()),
        port: group::SSH_PORT,
        // Part of the key of the list in server-side apply: absent, it would not match what the server defaulted.
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String("ssh".to_owned())),
        ..ServicePort::default()
    }
}
