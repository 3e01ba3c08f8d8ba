//! The filter of system calls of a Docker daemon, where the nodes have one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used
)]

mod fixtures;
#[path = "fixtures/pools.rs"]
mod pools;

use devserver_core::{Platform, resolve};
use pools::{pod, server};
use serde_json::{Value, json};

#[test]
fn a_profile_of_the_nodes_takes_system_calls_from_the_daemon_alone() {
    let spec = "{docker: {enabled: true}}";
    let profile = |platform: &str, name: &str| {
        let platform = Platform::parse(platform).unwrap();
        let env = resolve(&server(spec), &pools::references(), &platform).unwrap();
        let pod = pod(&env);
        let containers = pod["spec"]["containers"].as_array().unwrap().clone();
        let found = containers.into_iter().find(|c| c["name"] == name).unwrap();
        let of_pod = pod["spec"]["securityContext"]["seccompProfile"]["type"].clone();
        assert_eq!(of_pod, "RuntimeDefault");
        found["securityContext"]["seccompProfile"].clone()
    };
    let with = "{docker: {seccompProfile: devserver/docker.json}}";
    assert_eq!(
        profile(with, "docker"),
        json!({"type": "Localhost", "localhostProfile": "devserver/docker.json"})
    );
    assert_eq!(profile(with, "dev"), Value::Null);
    assert_eq!(profile("{}", "docker"), json!({"type": "Unconfined"}));
}
