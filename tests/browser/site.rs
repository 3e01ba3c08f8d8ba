//! The console in the lab: a certificate, an identity provider beside the lab, the chart, two people with namespaces.

use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use devserver_api::{DevServerFlavor, DevServerUser};
use devserver_e2e::programs::{install_platform, load_images};
use devserver_testkit::{
    Cluster, port,
    scene::PATIENCE,
    wait::{Seen, until},
};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::provider::{Dex, Person};

pub const CONSOLE: &str = "console.devserver.test";
pub const EDITORS: &str = "editors.devserver.test";
const PLATFORM: &str = "devserver-system";

/// Everything at work.
pub struct Site {
    pub client: Client,
    /// Where the console is reached: address and port of the node.
    pub address: SocketAddr,
    /// Base64 of the SHA-256 of the certificate's public key, by which the browser knows it.
    pub certificate: String,
    _dex: Dex,
}

impl Site {
    pub async fn new() -> anyhow::Result<Self> {
        let cluster = Cluster::connect().await?;
        let client = cluster.client;
        let node = node_address(&client).await?;
        let here = port::address_towards(node)?;
        let people = [
            Person {
                name: "alice",
                groups: &["developers"],
            },
            Person {
                name: "bob",
                groups: &["developers"],
            },
        ];
        let place = TcpListener::bind((here, 0))?.local_addr()?;
        let dex = Dex::start_at(place, CONSOLE, &people).await?;
        let certificate = secrets(&client).await?;
        load_images(&["console", "ide"])?;
        install_platform(&values_of(&dex))?;
        flavors(&client).await?;
        for name in ["alice", "bob"] {
            user(&client, name).await?;
        }
        let services: Api<Service> = Api::namespaced(client.clone(), PLATFORM);
        let service = services.get("devserver-console").await?;
        let ports = service.spec.and_then(|s| s.ports).unwrap_or_default();
        let port = ports
            .iter()
            .find_map(|p| p.node_port)
            .context("the console has no node port")?;
        Ok(Self {
            client,
            address: SocketAddr::new(node, u16::try_from(port)?),
            certificate,
            _dex: dex,
        })
    }
}

async fn node_address(client: &Client) -> anyhow::Result<IpAddr> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    let addresses = nodes
        .items
        .into_iter()
        .filter_map(|n| n.status?.addresses)
        .flatten();
    let mut internal = addresses.filter(|a| a.type_ == "InternalIP");
    Ok(internal
        .next()
        .context("no node has an address")?
        .address
        .parse()?)
}

/// The Secrets that the chart wants; what the browser knows the certificate by.
async fn secrets(client: &Client) -> anyhow::Result<String> {
    let key = KeyPair::generate()?;
    let names = vec![CONSOLE.to_owned(), format!("*.{EDITORS}")];
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    let text = |value: String| STANDARD.encode(value);
    let session: String = (0..4)
        .map(|_| devserver_testkit::sample::word(16))
        .collect();
    for (name, kind, data) in [
        (
            "console-tls",
            "kubernetes.io/tls",
            json!({"tls.crt": text(certificate.pem()), "tls.key": text(key.serialize_pem())}),
        ),
        (
            "console-session",
            "Opaque",
            json!({"session-key": text(session)}),
        ),
        (
            "console-client",
            "Opaque",
            json!({"client-secret": text("shared".to_owned())}),
        ),
    ] {
        apply(client, PLATFORM, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data})).await?;
    }
    Ok(STANDARD.encode(Sha256::digest(key.subject_public_key_info())))
}

async fn apply(client: &Client, namespace: &str, object: Value) -> anyhow::Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let name = object["metadata"]["name"]
        .as_str()
        .context("no name")?
        .to_owned();
    let params = PatchParams::apply("browser-test").force();
    api.patch(&name, &params, &Patch::Apply(object)).await?;
    Ok(())
}

fn values_of(dex: &Dex) -> Value {
    json!({
        "operator": {"replicas": 1, "config": {"allowedRoles": ["ClusterRole/devserver-kube-access"], "trash": {"retention": "720h"}}},
        "usage": {
            "enabled": true,
            "currency": "EUR",
            "prices": [{"from": "2020-01-01", "cpuMicrosPerCoreHour": 30_000, "memoryMicrosPerGibHour": 4_000}],
        },
        "console": {
            "enabled": true,
            "url": format!("https://{CONSOLE}"),
            "editorDomain": EDITORS,
            "sessionKeySecret": "console-session",
            "tlsSecret": "console-tls",
            "service": {"type": "NodePort"},
            "oidc": {
                "issuer": dex.issuer(),
                "clientId": "console",
                "clientSecret": "console-client",
                "usernameClaim": "preferred_username",
                "ports": [dex.address.port()],
            },
        },
    })
}

/// One that fits and is the default, and one that no node of a lab has room for.
async fn flavors(client: &Client) -> anyhow::Result<()> {
    let flavors: Api<DevServerFlavor> = Api::all(client.clone());
    let params = PatchParams::apply("browser-test").force();
    for (name, default, cpu, memory, limit) in [
        ("cpu-small", true, "100m", "256Mi", "3Gi"),
        ("cpu-huge", false, "128", "512Gi", "512Gi"),
    ] {
        let object = json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": name},
            "spec": {"default": default, "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}},
        });
        flavors.patch(name, &params, &Patch::Apply(object)).await?;
    }
    Ok(())
}

/// A namespace of their own, in which Docker may run.
async fn user(client: &Client, name: &str) -> anyhow::Result<()> {
    let users: Api<DevServerUser> = Api::all(client.clone());
    let object = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerUser", "metadata": {"name": name},
        "spec": {
            "username": name,
            "podSecurity": "privileged",
            // Who gives a role must be allowed to bind it.
            "additionalRoleRefs": [{"kind": "ClusterRole", "name": "devserver-kube-access"}],
        },
    });
    let params = PatchParams::apply("browser-test").force();
    users.patch(name, &params, &Patch::Apply(object)).await?;
    until(
        &format!("the namespace of {name} is ready"),
        PATIENCE,
        async || {
            let status = users.get(name).await?.status.unwrap_or_default();
            Ok(Seen::when(
                status.phase.as_deref() == Some("Ready"),
                format!("{status:?}"),
            ))
        },
    )
    .await
}
