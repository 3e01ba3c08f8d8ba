//! What each of these DevServers becomes, object by object. A change here is a change users meet.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_collect
)]

mod fixtures;

use devserver_core::{Platform, desired, resolve};
use serde_json::Value;

fn rendered(name: &str, platform: &Platform) -> String {
    let (input, server) = fixtures::server(name);
    let env = resolve(&server, &fixtures::references(), platform).unwrap();
    let mut text: String = input.lines().map(|line| format!("# {line}\n")).collect();
    for object in desired(&env) {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object.to_value()).unwrap());
    }
    text
}

#[test]
fn the_example_of_document_001_becomes_these_objects() {
    insta::assert_snapshot!(rendered("document-001", &Platform::default()));
}

#[test]
fn the_example_of_document_002_becomes_these_objects() {
    insta::assert_snapshot!(rendered("document-002", &Platform::default()));
}

#[test]
fn the_sidecar_of_document_003_becomes_these_objects() {
    insta::assert_snapshot!(rendered("document-003-sidecar", &Platform::default()));
}

#[test]
fn every_field_has_its_effect() {
    let platform = Platform::parse(
        "{toolsDelivery: InitContainer, userNamespaces: Disabled, imagePullPolicy: Never}",
    )
    .unwrap();
    insta::assert_snapshot!(rendered("everything", &platform));
}

#[test]
fn every_object_is_owned_marked_and_in_its_namespace() {
    for name in ["document-001", "document-002", "everything"] {
        let (_, server) = fixtures::server(name);
        let env = resolve(&server, &fixtures::references(), &Platform::default()).unwrap();
        for object in desired(&env) {
            let meta = object.metadata();
            let owner = &meta.owner_references.as_ref().unwrap()[0];
            assert_eq!(
                Some(&owner.uid),
                server.metadata.uid.as_ref(),
                "{}",
                object.name()
            );
            assert_eq!(
                meta.namespace,
                server.metadata.namespace,
                "{}",
                object.name()
            );
            assert!(
                meta.annotations
                    .as_ref()
                    .unwrap()
                    .contains_key("devserver.io/applied-hash")
            );
        }
    }
}

#[test]
fn nothing_the_user_wrote_reaches_a_command_or_a_variable() {
    let (_, mut server) = fixtures::server("document-002");
    server.spec.owner = Some("$(id)'\"`".to_owned());
    server.spec.ssh.motd = Some("$(id) `id` ${HOME}\n".to_owned());
    let env = resolve(&server, &fixtures::references(), &Platform::default()).unwrap();
    let workload = desired(&env)
        .into_iter()
        .find(|o| o.kind().as_str() == "StatefulSet")
        .unwrap();
    let value = workload.to_value();
    let container: &Value = &value["spec"]["template"]["spec"]["containers"][0];
    for field in ["command", "args", "env"] {
        assert!(!container[field].to_string().contains("id)"), "{field}");
    }
}
