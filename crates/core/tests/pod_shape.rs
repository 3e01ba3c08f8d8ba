//! Volumes and places: what is asked for is granted where it is safe, or refused with field and remedy.
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

use devserver_core::{Platform, desired, references::HomeNodes, resolve};
use fixtures::yaml;
use k8s_openapi::api::core::v1::{Node, PersistentVolume};
use pools::{object, pod, refused, resolved};
use serde_json::json;

fn rendered(name: &str, platform: &Platform) -> String {
    let (input, server) = fixtures::server(name);
    let env = resolve(&server, &pools::references(), platform).unwrap();
    let mut text: String = input.lines().map(|line| format!("# {line}\n")).collect();
    for kind in ["ServiceAccount", "PodDisruptionBudget", "StatefulSet"] {
        let value = object(&env, kind);
        if !value.is_null() {
            text.push_str("---\n");
            text.push_str(&serde_saphyr::to_string(&value).unwrap());
        }
    }
    text
}

#[test]
fn the_high_memory_environment_of_document_003_becomes_these_objects() {
    let platform =
        Platform::parse("{teamAffinity: Required, toolsDelivery: InitContainer}").unwrap();
    insta::assert_snapshot!(rendered("document-003-high-memory", &platform));
}

#[test]
fn the_gpu_environment_of_document_003_becomes_these_objects() {
    insta::assert_snapshot!(rendered("document-003-gpu", &Platform::default()));
}

#[test]
fn claims_that_are_not_for_this_devserver_are_refused() {
    let volume = |claim: &str| format!("{{volumes: [{{claimName: '{claim}', mountPath: /data}}]}}");
    for (claim, reason) in [
        ("home-alice-0", "ClaimNotShared"),
        ("reference", "ClaimNotShared"),
        ("home-my-env-0", "ClaimNotShared"),
        ("absent", "ClaimNotFound"),
        ("dev-alice/genomes", "InvalidClaimName"),
        ("../genomes", "InvalidClaimName"),
    ] {
        refused(&volume(claim), reason, &["spec.volumes[0].claimName"]);
        let shared = format!("{{sharedVolumeClaimName: '{claim}'}}");
        refused(&shared, reason, &["spec.sharedVolumeClaimName"]);
    }
    assert!(resolved(&volume("genomes")).is_ok());
    assert!(resolved(&volume("scratch.io2")).is_ok(), "made for it");
    let of_bob = "{owner: bob, volumes: [{claimName: scratch.io2, mountPath: /data}]}";
    refused(of_bob, "ClaimNotShared", &["devserver.io/shared=true"]);
}

#[test]
fn paths_that_overlap_are_refused() {
    for (a, b) in [
        ("/data", "/data"),
        ("/data", "/data/x"),
        ("/data/x", "/data"),
    ] {
        let spec = format!(
            "{{volumes: [{{claimName: genomes, mountPath: {a}}}, {{claimName: genomes, mountPath: {b}}}]}}"
        );
        refused(
            &spec,
            "InvalidMountPath",
            &["spec.volumes[1].mountPath", "overlaps", "spec.volumes[0]"],
        );
    }
    let shared =
        "{sharedVolumeClaimName: genomes, volumes: [{claimName: genomes, mountPath: /shared/x}]}";
    refused(shared, "InvalidMountPath", &["/shared"]);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";
    let workspace = format!(
        "{{ssh: {{mode: Sidecar, publicKey: {key}}}, volumes: [{{claimName: genomes, mountPath: /workspace}}]}}"
    );
    refused(&workspace, "InvalidMountPath", &["/workspace"]);
    assert!(resolved("{volumes: [{claimName: genomes, mountPath: /workspace}]}").is_ok());
}

#[test]
fn a_flavors_volumes_come_where_they_exist_and_give_way_to_the_devservers_own() {
    let paths = |spec: &str| {
        let env = resolved(spec).unwrap();
        env.volumes
            .iter()
            .map(|v| (v.claim.clone(), v.path.clone(), v.read_only))
            .collect::<Vec<_>>()
    };
    let reference = ("reference".to_owned(), "/reference".to_owned(), true);
    assert_eq!(paths("{flavor: high-memory}"), [reference]);
    let own = ("genomes".to_owned(), "/reference".to_owned(), false);
    assert_eq!(
        paths("{flavor: high-memory, volumes: [{claimName: genomes, mountPath: /reference}]}"),
        [own]
    );
}

#[test]
fn autoscaling_is_refused_with_the_reason() {
    let words = ["spec.autoscaling", "ReadWriteOnce", "remove the field"];
    refused(
        "{autoscaling: {maxReplicas: 3}}",
        "AutoscalingNeedsSharedHome",
        &words,
    );
}

fn at_home(nodes: &[&str], terms: &str) -> HomeNodes {
    let node =
        |labels: &&str| yaml::<Node>(&format!("{{metadata: {{name: n, labels: {labels}}}}}"));
    let volume =
        format!("{{spec: {{nodeAffinity: {{required: {{nodeSelectorTerms: {terms}}}}}}}}}");
    HomeNodes {
        volume: yaml::<PersistentVolume>(&volume),
        nodes: nodes.iter().map(node).map(std::sync::Arc::new).collect(),
    }
}

#[test]
fn a_home_in_a_zone_without_nodes_of_the_flavor_keeps_it_from_starting() {
    let zone =
        "[{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [eu-1a]}]}]";
    let high_a = "{swish.io/workload: high-memory, topology.kubernetes.io/zone: eu-1a}";
    let high_b = "{swish.io/workload: high-memory, topology.kubernetes.io/zone: eu-1b}";
    let other_a = "{topology.kubernetes.io/zone: eu-1a}";
    let karpenter = "{karpenter.sh/nodepool: x, topology.kubernetes.io/zone: eu-1a}";
    let outcome = |nodes: &[&str], terms: &str, spec: &str, platform: &str| {
        let mut references = pools::references();
        references.home_nodes = Some(at_home(nodes, terms));
        let platform = Platform::parse(platform).unwrap();
        resolve(&pools::server(spec), &references, &platform).map(drop)
    };
    let high = "{flavor: high-memory}";
    let error = outcome(&[high_b, other_a], zone, high, "").unwrap_err();
    assert_eq!(error.reason(), "HomeInAnotherZone");
    for word in ["in zone eu-1a", "high-memory", "choose a flavor", "stays"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    let host = "[{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n7]}]}]";
    let error = outcome(&[high_b], host, high, "").unwrap_err();
    assert!(error.to_string().contains("on node n7"), "{error}");
    for (what, nodes, terms, spec, platform) in [
        ("a node is there", vec![high_b, high_a], zone, high, ""),
        (
            "no node of the flavor anywhere",
            vec![other_a],
            zone,
            high,
            "",
        ),
        (
            "a volume that can go anywhere",
            vec![high_b],
            "[]",
            high,
            "",
        ),
        ("an autoscaler", vec![high_b, karpenter], zone, high, ""),
        (
            "suspended",
            vec![high_b],
            zone,
            "{flavor: high-memory, suspend: true}",
            "",
        ),
        (
            "switched off",
            vec![high_b],
            zone,
            high,
            "checkHomeZone: false",
        ),
    ] {
        assert_eq!(outcome(&nodes, terms, spec, platform), Ok(()), "{what}");
    }
}

#[test]
fn required_affinity_keeps_to_the_teams_nodes_and_away_from_those_of_others() {
    let terms = |spec: &str| {
        let platform = Platform::parse("teamAffinity: Required").unwrap();
        let env = resolve(&pools::server(spec), &pools::references(), &platform).unwrap();
        pod(&env)["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].clone()
    };
    let is = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    let absent = |key: &str| json!({"key": key, "operator": "DoesNotExist"});
    let (team, project) = ("swish.io/team", "swish.io/project");
    assert_eq!(
        terms("{}"),
        json!([{"matchExpressions": [absent(team), absent(project)]}])
    );
    assert_eq!(
        terms("{team: a}"),
        json!([{"matchExpressions": [is(team, "a"), absent(project)]}])
    );
    assert_eq!(
        terms("{team: a, project: p}"),
        json!([
            {"matchExpressions": [is(team, "a"), is(project, "p")]},
            {"matchExpressions": [is(team, "a"), absent(project)]},
        ])
    );
}

#[test]
fn labels_and_annotations_of_a_devserver_reach_none_of_its_objects() {
    let mut server = pools::server("{flavor: high-memory}");
    let bait = |key: &str| std::collections::BTreeMap::from([(key.to_owned(), "bait".to_owned())]);
    server.metadata.labels = Some(bait("sidecar.istio.io/inject"));
    server.metadata.annotations = Some(bait("cluster-autoscaler.kubernetes.io/safe-to-evict"));
    let env = resolve(&server, &pools::references(), &Platform::default()).unwrap();
    for object in desired(&env) {
        assert!(
            !object.to_value().to_string().contains("bait"),
            "{}",
            object.name()
        );
    }
}
