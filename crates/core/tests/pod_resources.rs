//! Resources and pools: what is asked for is granted within bounds, or refused with field and remedy.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    clippy::expect_used
)]

mod fixtures;
#[path = "fixtures/pools.rs"]
mod pools;

use devserver_core::{Environment, Platform, resolve};
use fixtures::yaml;
use k8s_openapi::api::core::v1::Toleration;
use pools::{pod, refused, resolved};
use serde_json::{Value, json};

#[test]
fn what_is_asked_for_replaces_the_flavors_value_and_the_other_one_follows() {
    for (spec, requests, limits) in [
        (
            "{}",
            json!({"cpu": "500m", "memory": "1Gi"}),
            json!({"cpu": "2", "memory": "4Gi"}),
        ),
        (
            "{resources: {requests: {memory: 2Gi}}}",
            json!({"cpu": "500m", "memory": "2Gi"}),
            json!({"cpu": "2", "memory": "4Gi"}),
        ),
        (
            "{resources: {limits: {cpu: 250m}}}",
            json!({"cpu": "250m", "memory": "1Gi"}),
            json!({"cpu": "250m", "memory": "4Gi"}),
        ),
        (
            "{flavor: high-memory, resources: {requests: {cpu: 20, memory: 32Gi}}}",
            json!({"cpu": "20", "memory": "32Gi"}),
            json!({"cpu": "20", "memory": "128Gi"}),
        ),
    ] {
        let env = resolved(spec).unwrap_or_else(|e| panic!("{spec}: {e}"));
        let resources = &pod(&env)["spec"]["containers"][0]["resources"];
        assert_eq!(
            resources,
            &json!({"requests": requests, "limits": limits}),
            "{spec}"
        );
    }
}

#[test]
fn resources_beyond_what_may_be_had_are_refused_with_field_bound_and_remedy() {
    let large = [
        "spec.resources.requests.memory 8Gi",
        "4Gi",
        "general-dev",
        "ask for less",
    ];
    refused(
        "{resources: {requests: {memory: 8Gi}}}",
        "ResourcesTooLarge",
        &large,
    );
    refused(
        "{flavor: high-memory, resources: {limits: {memory: 251Gi}}}",
        "ResourcesTooLarge",
        &["250Gi"],
    );
    refused(
        "{flavor: gpu, resources: {limits: {nvidia.com/gpu: 8}}}",
        "ResourcesTooLarge",
        &["nvidia.com/gpu 8", "4"],
    );
    let none = [
        "spec.resources.limits.nvidia.com/gpu",
        "offers no",
        "cpu, memory",
        "choose another flavor",
    ];
    refused(
        "{resources: {limits: {nvidia.com/gpu: 1}}}",
        "FlavorNotAllowed",
        &none,
    );
    refused(
        "{resources: {limits: {example.com/disk: 1}}}",
        "FlavorNotAllowed",
        &["example.com/disk"],
    );
    refused(
        "{resources: {limits: {ephemeral-storage: 1Gi}}}",
        "FlavorNotAllowed",
        &["ephemeral-storage"],
    );
}

#[test]
fn amounts_that_contradict_each_other_or_mean_nothing_are_refused() {
    let pair = "{resources: {requests: {memory: 3Gi}, limits: {memory: 2Gi}}}";
    refused(
        pair,
        "InvalidResources",
        &[
            "requests.memory 3Gi",
            "limits.memory 2Gi",
            "raise the limit",
        ],
    );
    for bad in [
        "0",
        "-1",
        "512m",
        "ten",
        "''",
        "1k1",
        "9999999999999999999999999999999999",
    ] {
        let spec = format!("{{resources: {{requests: {{memory: {bad}}}}}}}");
        let error = resolved(&spec).expect_err(&spec);
        assert!(
            error.to_string().contains("spec.resources.requests.memory"),
            "{spec}: {error}"
        );
    }
    refused(
        "{resources: {requests: {cpu: 0}}}",
        "InvalidResources",
        &["spec.resources.requests.cpu", "at least 1m"],
    );
    refused(
        "{flavor: gpu, resources: {limits: {nvidia.com/gpu: 1500m}}}",
        "InvalidResources",
        &["whole number"],
    );
    let two =
        "{flavor: gpu, resources: {requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 2}}}";
    refused(two, "InvalidResources", &["cannot be overcommitted"]);
}

#[test]
fn a_flavor_that_contradicts_itself_is_named_as_the_administrators_mistake() {
    let mut references = pools::references();
    let resources = yaml("{requests: {memory: 8Gi}, limits: {memory: 4Gi}}");
    references.flavors[0].spec.resources = resources;
    let error = resolve(&pools::server("{}"), &references, &Platform::default()).unwrap_err();
    assert_eq!(error.reason(), "InvalidFlavor");
    for word in ["general-dev", "8Gi", "4Gi", "administrator"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

fn tolerates(env: &Environment, value: &str) -> bool {
    let pool = |t: &Toleration| {
        t.key.as_deref() == Some("swish.io/workload") && t.value.as_deref() == Some(value)
    };
    env.placement.tolerations.iter().any(pool)
}

#[test]
fn high_memory_begins_strictly_above_the_threshold() {
    for (memory, is_high) in [
        ("68719476735", false),
        ("64Gi", false),
        ("65536Mi", false),
        ("68719476737", true),
        ("65Gi", true),
    ] {
        let spec =
            format!("{{flavor: high-memory, resources: {{requests: {{memory: {memory}}}}}}}");
        let env = resolved(&spec).unwrap();
        assert_eq!(tolerates(&env, "high-memory"), is_high, "{memory}");
        assert_eq!(env.placement.high_memory, is_high, "{memory}");
        let label = if is_high { "high-memory" } else { "general" };
        assert_eq!(
            pod(&env)["metadata"]["labels"]["swish.io/workload"],
            label,
            "{memory}"
        );
    }
    // A limit alone is a request to Kubernetes.
    let mut references = pools::references();
    references.flavors[0].spec.resources = yaml("{limits: {cpu: 4, memory: 65Gi}}");
    let env = resolve(&pools::server("{}"), &references, &Platform::default()).unwrap();
    assert!(tolerates(&env, "high-memory"));
}

/// How Kubernetes tells the class Guaranteed: CPU and memory of every container, requests as limits.
fn is_guaranteed(pod: &Value) -> bool {
    let containers = |list: &str| pod["spec"][list].as_array().cloned().unwrap_or_default();
    let mut all = [containers("containers"), containers("initContainers")]
        .concat()
        .into_iter();
    all.all(|container| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = &container["resources"]["limits"][resource];
            limit.is_string() && *limit == container["resources"]["requests"][resource]
        })
    })
}

#[test]
fn every_container_of_a_high_memory_pod_is_guaranteed_in_every_mode() {
    for delivery in ["ImageVolume", "InitContainer"] {
        for mode in ["InContainer", "Sidecar"] {
            let platform = Platform::parse(&format!("{{toolsDelivery: {delivery}}}")).unwrap();
            let key =
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";
            let spec = format!(
                "{{flavor: high-memory, resources: {{requests: {{memory: 100Gi}}}}, ssh: {{mode: {mode}, publicKey: {key}}}}}"
            );
            let env = resolve(&pools::server(&spec), &pools::references(), &platform).unwrap();
            let pod = pod(&env);
            assert!(is_guaranteed(&pod), "{delivery} {mode}: {pod:#}");
            let main = &pod["spec"]["containers"][0]["resources"];
            assert_eq!(
                main["limits"],
                json!({"cpu": "8", "memory": "100Gi"}),
                "the request wins"
            );
            assert!(
                !is_guaranteed(&pools::pod(&resolved("{}").unwrap())),
                "the check can fail"
            );
        }
    }
}

#[test]
fn guaranteed_memory_without_any_cpu_is_refused_with_the_remedy() {
    let mut references = pools::references();
    references.flavors[0].spec.resources = yaml("{requests: {memory: 65Gi}}");
    let error = resolve(&pools::server("{}"), &references, &Platform::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("spec.resources.requests.cpu is needed"),
        "{error}"
    );
}

#[test]
fn gpus_are_requested_as_they_are_limited_and_tolerated_by_both_names_once() {
    let env = resolved("{flavor: gpu, resources: {requests: {nvidia.com/gpu: 2}}}").unwrap();
    let resources = &pod(&env)["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"]["nvidia.com/gpu"], "2");
    assert_eq!(resources["limits"]["nvidia.com/gpu"], "2");
    assert!(tolerates(&env, "gpu"));
    let nvidia = env
        .placement
        .tolerations
        .iter()
        .filter(|t| t.key.as_deref() == Some("nvidia.com/gpu"));
    assert_eq!(nvidia.count(), 1);
    assert_eq!(pod(&env)["metadata"]["labels"]["swish.io/workload"], "gpu");
}
