//! Attack cases that are decided without a cluster, by their ids.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]

use std::collections::BTreeMap;

use devserver_api::{CheckpointSpec, DevServer, LifecycleSpec, PackagesSpec};
use devserver_core::{Environment, Platform, desired, resolve};
use serde_json::Value;

mod fixtures;

/// Kubernetes puts the value of a variable in place of this, in commands, arguments and values of variables.
const EXPANSION: &str = "$(DEVSERVER_NAME)";

fn environment(server: &DevServer) -> Environment {
    resolve(server, &fixtures::references(), &Platform::default()).unwrap()
}

fn everything() -> DevServer {
    let (_, mut server) = fixtures::server("document-002");
    let spec = &mut server.spec;
    spec.owner = Some(format!("o{EXPANSION}"));
    spec.ssh.motd = Some(format!("m{EXPANSION}"));
    spec.packages = Some(PackagesSpec {
        pip: vec!["requests==2.32.3".to_owned()],
    });
    spec.lifecycle = Some(LifecycleSpec {
        checkpoint: Some(CheckpointSpec {
            command: vec!["sh".to_owned(), "-c".to_owned(), format!("c{EXPANSION}")],
            ..CheckpointSpec::default()
        }),
        ..LifecycleSpec::default()
    });
    server
}

/// Every text below a key of that name, wherever it is.
fn below<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if name == key {
                    found.push(inner);
                }
                below(inner, key, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| below(inner, key, found)),
        _ => {}
    }
}

#[test]
fn d4_no_text_of_a_user_is_where_kubernetes_expands_variables() {
    let env = environment(&everything());
    let mut seen = 0;
    for object in desired(&env) {
        let object = object.to_value();
        for key in ["command", "args", "env", "exec"] {
            let mut found = Vec::new();
            below(&object, key, &mut found);
            for value in found {
                let text = value.to_string();
                assert!(!text.contains("$("), "{key}: {text}");
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "there is no command at all");
    // It is somewhere: what is dropped silently would prove nothing.
    let all: String = desired(&env)
        .iter()
        .map(|o| o.to_value().to_string())
        .collect();
    for mark in ["o$(", "m$(", "c$("] {
        assert!(all.contains(mark), "{mark} is nowhere");
    }
}

#[test]
fn c5_no_name_of_a_devserver_leads_to_an_object_of_another() {
    let names = [
        "a",
        "a-ssh",
        "a-headless",
        "a-0",
        "a-host",
        "a-host-keys",
        "a-authorized-keys",
        "a-sshd-config",
        "devserver-a",
        "devserver",
        "home-a-0",
        "home",
        "kubernetes",
        "default",
        "ssh",
        "a-ssh-ssh",
        "kube-root-ca",
    ];
    let mut owners: BTreeMap<(String, String), String> = BTreeMap::new();
    for name in names {
        let (_, mut server) = fixtures::server("document-002");
        server.metadata.name = Some(name.to_owned());
        let env = environment(&server);
        let mut made: Vec<(String, String)> = desired(&env)
            .iter()
            .map(|object| (format!("{:?}", object.kind()), object.name().to_owned()))
            .collect();
        made.push(("Secret".to_owned(), env.name.host_keys()));
        made.push(("Pod".to_owned(), env.name.pod()));
        made.push(("PersistentVolumeClaim".to_owned(), env.name.home_claim()));
        // What every namespace has already.
        let taken = [
            ("ServiceAccount", "default"),
            ("ConfigMap", "kube-root-ca.crt"),
            ("Service", "kubernetes"),
        ];
        for key in made {
            assert!(
                !taken.contains(&(key.0.as_str(), key.1.as_str())),
                "{name} takes {key:?}"
            );
            if let Some(other) = owners.insert(key.clone(), name.to_owned()) {
                panic!("{name} and {other} both make {key:?}");
            }
        }
    }
}

#[test]
fn c7_the_gateway_enters_by_certificates_for_this_very_server_and_only_where_that_is_on() {
    const CA: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFoGcrXBJvgY4ixZ7v1mPq0k3o8XQm2uTnLd5hRw9sYa";
    let (_, server) = fixtures::server("document-002");
    let mut references = fixtures::references();
    references.gateway_authorities = vec![devserver_api::ssh_key::PublicKey::parse(CA).unwrap()];
    let secret = |config: &str| {
        let platform = Platform::parse(config).unwrap();
        let env = resolve(&server, &references, &platform).unwrap();
        let objects = desired(&env);
        let is_keys = |object: &&devserver_core::Object| object.name().ends_with("authorized-keys");
        let secret = objects.iter().find(is_keys).unwrap().to_value();
        serde_json::from_value::<k8s_openapi::api::core::v1::Secret>(secret).unwrap()
    };
    let text = |config: &str| {
        let data = secret(config).data.unwrap();
        String::from_utf8(data["authorized_keys"].0.clone()).unwrap()
    };
    let uid = server.metadata.uid.clone().unwrap();
    let (on, off) = (
        text("gateway: {host: gw, port: 22, direct: true}"),
        text("gateway: {host: gw, port: 22}"),
    );
    let line = format!("cert-authority,restrict,pty,user-rc,principals=\"devserver-{uid}\" {CA}\n");
    assert_eq!(on, format!("{off}{line}"));
    assert!(!off.contains("cert-authority"), "{off}");
}
