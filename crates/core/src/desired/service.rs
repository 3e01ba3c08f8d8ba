//! The two Services: one that gives the pod its name, one that lets ssh in.

use std::collections::BTreeMap;

use devserver_api::{Expose, SshMode, cidr::Cidr, group};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use kube::core::ObjectMeta;

use super::meta::{object_meta, selector};
use crate::{Environment, environment::Dns};

/// Host name that ExternalDNS gives the Service.
pub const DNS_HOST_ANNOTATION: &str = "external-dns.alpha.kubernetes.io/hostname";
/// Seconds that resolvers may keep it.
const DNS_TTL_ANNOTATION: &str = "external-dns.alpha.kubernetes.io/ttl";
/// `externalTrafficPolicy`: only a node that has the pod answers, and the pod sees the client's own address.
pub(crate) const LOCAL: &str = "Local";

pub(super) fn headless(env: &Environment) -> Service {
    Service {
        metadata: object_meta(env, env.name.headless_service()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(selector(env)),
            ports: has_sshd(env).then(|| vec![ssh_port()]),
            // The name resolves while the machine starts, so that clients wait for it instead of failing.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

pub(super) fn ssh(env: &Environment) -> Option<Service> {
    let type_ = match env.ssh.expose {
        _ if !has_sshd(env) => return None,
        Expose::None => return None,
        Expose::NodePort => "NodePort",
        Expose::ClusterIP => "ClusterIP",
        Expose::LoadBalancer => "LoadBalancer",
    };
    let ranges = env.clients.source_ranges.iter().map(Cidr::to_string);
    Some(Service {
        metadata: ObjectMeta {
            annotations: env.dns.as_ref().map(dns_annotations),
            ..object_meta(env, env.name.ssh_service())
        },
        spec: Some(ServiceSpec {
            type_: Some(type_.to_owned()),
            selector: Some(selector(env)),
            ports: Some(ports(env)),
            external_traffic_policy: external_traffic_policy(env),
            load_balancer_source_ranges: Some(ranges.collect()).filter(|r: &Vec<_>| !r.is_empty()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

fn has_sshd(env: &Environment) -> bool {
    env.ssh.mode != SshMode::Disabled
}

/// `Local` where the client's address decides: a node that passes a connection on puts its own into it.
fn external_traffic_policy(env: &Environment) -> Option<String> {
    let outside = matches!(env.ssh.expose, Expose::NodePort | Expose::LoadBalancer);
    (outside && env.clients.keep_address).then(|| LOCAL.to_owned())
}

/// What ExternalDNS makes records from. Users cannot: what they write is not copied to Services, and they make none.
fn dns_annotations(dns: &Dns) -> BTreeMap<String, String> {
    BTreeMap::from([
        (DNS_HOST_ANNOTATION.to_owned(), dns.host.clone()),
        (DNS_TTL_ANNOTATION.to_owned(), dns.ttl_seconds.to_string()),
    ])
}

/// ssh, and the editor where the Service does not lead out of the cluster: who reaches it is not asked who they are, and
/// comes through the console (document 000 has it at port 80).
fn ports(env: &Environment) -> Vec<ServicePort> {
    let editor = ServicePort {
        name: Some(group::EDITOR_PORT_NAME.to_owned()),
        port: 80,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(group::EDITOR_PORT_NAME.to_owned())),
        ..ServicePort::default()
    };
    let is_inside = env.ssh.expose == Expose::ClusterIP;
    let editor = (env.features.editor.is_some() && is_inside).then_some(editor);
    std::iter::once(ssh_port()).chain(editor).collect()
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
