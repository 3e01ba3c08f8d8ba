//! Whatever is asked for: `resolve` does not panic, and what it accepts becomes objects that Kubernetes accepts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod fixtures;
#[path = "fixtures/pools.rs"]
mod pools;

use std::{cmp::Ordering, collections::BTreeMap};

use devserver_api::{
    AutoscalingSpec, DevServer, ResourcesSpec, TopologySpreadSpec, VolumeSpec, names, quantity,
};
use devserver_core::{Platform, desired, resolve};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use proptest::prelude::*;
use serde_json::Value;

fn amount() -> impl Strategy<Value = Quantity> {
    let number = prop_oneof![Just(0u64), 1..300u64, any::<u64>()];
    let suffix = prop::sample::select(vec![
        "", "m", "u", "n", "k", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "E", "e3", "e-3",
    ]);
    let good = (number, suffix).prop_map(|(number, suffix)| format!("{number}{suffix}"));
    let plausible = prop::sample::select(vec![
        "1", "2", "500m", "1Gi", "2048Mi", "4Gi", "65Gi", "200Gi",
    ]);
    let text = prop_oneof![
        12 => plausible.prop_map(str::to_owned),
        3 => good,
        1 => "[-+0-9.eEmKiGT]{0,34}",
        1 => any::<String>(),
    ];
    text.prop_map(Quantity)
}

fn amounts() -> impl Strategy<Value = BTreeMap<String, Quantity>> {
    let resource = prop_oneof![
        8 => prop::sample::select(vec!["cpu", "memory", "nvidia.com/gpu", "ephemeral-storage"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::btree_map(resource, amount(), 0..4)
}

fn volume() -> impl Strategy<Value = VolumeSpec> {
    let claim = prop::sample::select(vec![
        "genomes",
        "scratch.io2",
        "reference",
        "home-my-env-0",
        "a/b",
    ]);
    let path = prop_oneof![
        6 => prop::sample::select(vec!["/data", "/data/x", "/scratch", "/etc", "/home/dev", "/shared"]).prop_map(str::to_owned),
        2 => "(/[a-z.]{0,4}){0,4}",
        1 => any::<String>(),
    ];
    (claim, path, any::<bool>()).prop_map(|(claim, mount_path, read_only)| VolumeSpec {
        claim_name: claim.to_owned(),
        mount_path,
        read_only,
    })
}

fn word() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![4 => "[a-zA-Z0-9]([a-z._-]{0,20}[a-z0-9])?", 1 => any::<String>()])
}

prop_compose! {
    fn server()(
        flavor in prop::sample::select(vec!["general-dev", "high-memory", "gpu"]),
        resources in prop::option::of((amounts(), amounts())),
        volumes in prop::collection::vec(volume(), 0..4),
        team in word(), project in word(), owner in word(), key in word(),
        spread in prop::option::of(prop::option::of(any::<i32>())),
        secrets in prop::collection::vec("[a-z.]{0,8}", 0..3),
        scales in prop::bool::weighted(0.05),
        suspend in any::<bool>(),
    ) -> DevServer {
        let mut server = pools::server("{}");
        let spec = &mut server.spec;
        spec.flavor = Some(flavor.to_owned());
        spec.resources = resources.map(|(requests, limits)| ResourcesSpec { requests, limits });
        spec.volumes = volumes;
        spec.team = team;
        spec.project = project;
        spec.owner = owner;
        spec.topology_spread = spread.map(|max_skew| TopologySpreadSpec {
            max_skew, topology_key: key, when_unsatisfiable: None,
        });
        spec.image_pull_secrets = secrets;
        spec.autoscaling = scales.then(AutoscalingSpec::default);
        spec.suspend = suspend;
        server
    }
}

fn is_dns_label(word: &str) -> bool {
    names::is_subdomain(word) && !word.contains('.') && word.len() <= 63
}

fn labels_are_valid(value: &Value) -> bool {
    let labels = value["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.iter().all(|(key, value)| {
        names::is_label_key(key) && names::is_label_value(value.as_str().unwrap_or_default())
    })
}

fn requests_within_limits(container: &Value) -> bool {
    let of = |group: &str| {
        container["resources"][group]
            .as_object()
            .cloned()
            .unwrap_or_default()
    };
    let limits = of("limits");
    of("requests").iter().all(|(resource, request)| {
        let text = |v: &Value| Quantity(v.as_str().unwrap_or_default().to_owned());
        limits.get(resource).is_none_or(|limit| {
            quantity::compare(&text(request), &text(limit)).is_some_and(Ordering::is_le)
        })
    })
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn distinct(list: &[Value], field: &str) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    list.iter()
        .all(|entry| seen.insert(entry[field].to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_becomes_objects_that_kubernetes_accepts(server in server()) {
        let Ok(env) = resolve(&server, &pools::references(), &Platform::default()) else {
            return Ok(());
        };
        for object in desired(&env) {
            let value = object.to_value();
            prop_assert!(names::is_subdomain(object.name()), "{}", object.name());
            prop_assert!(labels_are_valid(&value), "{value}");
            let template = &value["spec"]["template"];
            if object.kind().as_str() != "StatefulSet" {
                continue;
            }
            prop_assert!(labels_are_valid(template), "{template}");
            let pod = &template["spec"];
            let volumes = list(&pod["volumes"]);
            prop_assert!(distinct(&volumes, "name"), "{pod}");
            prop_assert!(distinct(&list(&pod["imagePullSecrets"]), "name"), "{pod}");
            for volume in &volumes {
                prop_assert!(is_dns_label(volume["name"].as_str().unwrap_or_default()), "{volume}");
            }
            for container in list(&pod["containers"]).iter().chain(&list(&pod["initContainers"])) {
                prop_assert!(requests_within_limits(container), "{container}");
                prop_assert!(distinct(&list(&container["volumeMounts"]), "mountPath"), "{container}");
                for mount in list(&container["volumeMounts"]) {
                    let there = volumes.iter().any(|v| v["name"] == mount["name"]) || mount["name"] == "home";
                    prop_assert!(there, "{mount}");
                }
            }
        }
    }

    #[test]
    fn comparing_amounts_never_panics_and_has_a_direction(a in amount(), b in amount()) {
        let forth = quantity::compare(&a, &b);
        prop_assert_eq!(forth.map(Ordering::reverse), quantity::compare(&b, &a));
    }
}
