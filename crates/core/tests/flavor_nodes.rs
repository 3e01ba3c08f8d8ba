//! Whether a node has room for a flavor: every rule of the scheduler that a hint can know.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "fixtures/cluster.rs"]
mod clusters;
mod fixtures;

use clusters::{cluster, line, node, pod, special_node, with_pool};
use devserver_core::flavor::{Amounts, Cluster, Known, PodUse, Usage, requests};
use fixtures::yaml;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use proptest::prelude::*;

const SMALL: &str = "{resources: {requests: {cpu: '1', memory: 2Gi}}}";

#[test]
fn an_empty_node_that_is_large_enough_has_room() {
    let cluster = cluster([node("node-a", "{}", "{}", "True")], &[]);
    assert_eq!(line(SMALL, &cluster), "Yes: a node has room");
}

#[test]
fn a_flavor_without_resources_runs_on_any_node_that_takes_pods() {
    let one = cluster([node("node-a", "{}", "{}", "True")], &[]);
    for spec in ["{}", "{resources: {}}", "{resources: {requests: {}}}"] {
        assert_eq!(line(spec, &one), "Yes: a node has room", "{spec}");
        assert_eq!(line(spec, &Cluster::default()), "No: there are no nodes");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_obstacle_is_named_with_its_node_and_what_is_missing() {
    let gpu = "{resources: {limits: {nvidia.com/gpu: '1'}}}";
    let cases = [
        // Cordoned and NotReady nodes do not count.
        (
            SMALL,
            node("node-a", "{}", "{unschedulable: true}", "True"),
            "No: the nodes it could run on take no pods; cordoned: node-a",
        ),
        (
            SMALL,
            node("node-a", "{}", "{}", "False"),
            "No: the nodes it could run on take no pods; not Ready: node-a",
        ),
        (
            SMALL,
            node("node-a", "{}", "{}", "Unknown"),
            "No: the nodes it could run on take no pods; not Ready: node-a",
        ),
        // NoExecute keeps pods away as NoSchedule does; PreferNoSchedule does not.
        (
            SMALL,
            node(
                "node-a",
                "{}",
                "{taints: [{key: a, value: b, effect: NoSchedule}]}",
                "True",
            ),
            "No: node-a would do, but spec.tolerations does not tolerate a=b:NoSchedule",
        ),
        (
            SMALL,
            node(
                "node-a",
                "{}",
                "{taints: [{key: a, effect: NoExecute}]}",
                "True",
            ),
            "No: node-a would do, but spec.tolerations does not tolerate a:NoExecute",
        ),
        (
            SMALL,
            node(
                "node-a",
                "{}",
                "{taints: [{key: a, effect: PreferNoSchedule}]}",
                "True",
            ),
            "Yes: a node has room",
        ),
        (
            "{nodeSelector: {disk: ssd}}",
            node("node-a", "{disk: hdd}", "{}", "True"),
            "No: no node has the label disk=ssd, which spec.nodeSelector asks for",
        ),
        (
            "{resources: {requests: {cpu: '8'}}}",
            node("node-a", "{}", "{}", "True"),
            "No: no node is large enough: node-a has 4 cpu, 8 is asked for",
        ),
        // What is only limited is requested, too: the API server makes it so.
        (
            gpu,
            node("node-a", "{}", "{}", "True"),
            "No: no node is large enough: node-a has 0 nvidia.com/gpu, 1 is asked for",
        ),
        (
            gpu,
            special_node("node-a", "{}", "{cpu: '4', nvidia.com/gpu: '2'}"),
            "Yes: a node has room",
        ),
    ];
    for (spec, node, expected) in cases {
        assert_eq!(line(spec, &cluster([node], &[])), expected, "{spec}");
    }
}

#[test]
fn what_kubernetes_taints_itself_is_told_as_the_state_it_is() {
    let tainted = |spec: &str| cluster([node("node-a", "{}", spec, "True")], &[]);
    let state = |key: &str, effect: &str| {
        format!("{{taints: [{{key: node.kubernetes.io/{key}, effect: {effect}}}]}}")
    };
    let cordoned = tainted(&format!(
        "{{unschedulable: true, {}",
        state("unschedulable", "NoSchedule")
            .strip_prefix('{')
            .unwrap()
    ));
    let no = "No: the nodes it could run on take no pods;";
    assert_eq!(line(SMALL, &cordoned), format!("{no} cordoned: node-a"));
    let away = tainted(&state("unreachable", "NoExecute"));
    assert_eq!(line(SMALL, &away), format!("{no} not Ready: node-a"));
    // Who tolerates everything runs on a cordoned node, and nowhere that is not Ready.
    let all = "{tolerations: [{operator: Exists}]}";
    assert_eq!(line(all, &cordoned), "Yes: a node has room");
    assert_eq!(line(all, &away), format!("{no} not Ready: node-a"));
}

#[test]
fn tolerations_are_read_as_the_scheduler_reads_them() {
    let tainted = |effect: &str| {
        let taints = format!("{{taints: [{{key: team, value: ml, effect: {effect}}}]}}");
        cluster([node("node-a", "{}", &taints, "True")], &[])
    };
    for (toleration, effect, holds) in [
        ("{key: team, value: ml}", "NoSchedule", true),
        (
            "{key: team, operator: Equal, value: ml, effect: NoSchedule}",
            "NoSchedule",
            true,
        ),
        ("{key: team, operator: Exists}", "NoExecute", true),
        ("{operator: Exists}", "NoExecute", true),
        (
            "{key: team, operator: Exists, effect: NoExecute, tolerationSeconds: 60}",
            "NoExecute",
            true,
        ),
        (
            "{key: team, operator: Exists, effect: NoExecute}",
            "NoSchedule",
            false,
        ),
        ("{key: team, value: web}", "NoSchedule", false),
        ("{key: teams, operator: Exists}", "NoSchedule", false),
    ] {
        let spec = format!("{{tolerations: [{toleration}]}}");
        let is_yes = line(&spec, &tainted(effect)).starts_with("Yes");
        assert_eq!(is_yes, holds, "{toleration} {effect}");
    }
}

#[test]
fn the_pools_taint_of_a_high_memory_flavor_is_tolerated_because_the_platform_adds_it() {
    let taints = "{taints: [{key: swish.io/workload, value: high-memory, effect: NoSchedule}]}";
    let (name, _) = node("node-a", "{}", taints, "True");
    let big: k8s_openapi::api::core::v1::Node = yaml(&format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, spec: {taints}, status: {{allocatable: {{cpu: '32', memory: 256Gi}}, conditions: [{{type: Ready, status: 'True'}}]}}}}"
    ));
    let cluster = cluster([(name, (&big).into())], &[]);
    let flavor = |memory| {
        format!(
            "{{resources: {{requests: {{cpu: '4', memory: {memory}}}, limits: {{cpu: '4', memory: {memory}}}}}}}"
        )
    };
    assert_eq!(line(&flavor("100Gi"), &cluster), "Yes: a node has room");
    // Exactly the threshold is not above it.
    assert_eq!(
        line(&flavor("64Gi"), &cluster),
        "No: node-a would do, but spec.tolerations does not tolerate swish.io/workload=high-memory:NoSchedule"
    );
}

#[test]
fn pods_that_run_take_their_place_and_pods_that_ended_do_not() {
    let full = |status: &str, overhead: &str| {
        let spec = format!(
            "{{{overhead} containers: [{{name: a, resources: {{requests: {{cpu: 3500m}}}}}}]}}"
        );
        cluster([node("node-a", "{}", "{}", "True")], &[pod(&spec, status)])
    };
    let no = "No: too little is left on node-a: cpu";
    assert_eq!(line(SMALL, &full("{phase: Running}", "")), no);
    assert_eq!(line(SMALL, &full("{phase: Pending}", "")), no);
    assert_eq!(
        line(SMALL, &full("{phase: Succeeded}", "")),
        "Yes: a node has room"
    );
    assert_eq!(
        line(SMALL, &full("{phase: Failed}", "")),
        "Yes: a node has room"
    );
    // The overhead of a runtime class counts.
    let half = "{resources: {requests: {cpu: 500m}}}";
    assert_eq!(line(half, &full("{}", "")), "Yes: a node has room");
    assert_eq!(line(half, &full("{}", "overhead: {cpu: 100m},")), no);
}

#[test]
fn a_node_with_as_many_pods_as_it_takes_is_full() {
    let pods: Vec<Pod> = (0..10)
        .map(|_| pod("{containers: [{name: a}]}", "{}"))
        .collect();
    let node = || [node("node-a", "{}", "{}", "True")];
    assert_eq!(
        line(SMALL, &cluster(node(), &pods)),
        "No: too little is left on node-a: places for pods"
    );
    assert_eq!(
        line(SMALL, &cluster(node(), &pods[1..])),
        "Yes: a node has room"
    );
}

#[test]
fn init_containers_and_sidecars_count_as_the_scheduler_counts_them() {
    let ask = |cpu: &str| format!("resources: {{requests: {{cpu: {cpu}}}}}");
    let sidecar = |cpu: &str| format!("{{name: s, restartPolicy: Always, {}}}", ask(cpu));
    let init = |cpu: &str| format!("{{name: i, {}}}", ask(cpu));
    for (inits, main, expected) in [
        (vec![], "'1'", 1000),
        (vec![init("'3'")], "'1'", 3000),
        (vec![init("500m")], "'1'", 1000),
        (vec![sidecar("500m")], "'1'", 1500),
        // A sidecar runs beside the init containers after it, and beside all main ones.
        (vec![sidecar("500m"), init("'3'")], "'1'", 3500),
        (vec![init("'3'"), sidecar("500m")], "'1'", 3000),
        (
            vec![sidecar("'1'"), sidecar("'1'"), init("'1'")],
            "'2'",
            4000,
        ),
    ] {
        let text = format!(
            "{{initContainers: [{}], containers: [{{name: a, {}}}]}}",
            inits.join(", "),
            ask(main)
        );
        let spec: PodSpec = yaml(&text);
        assert_eq!(requests(&spec, None).get("cpu"), expected, "{text}");
    }
}

#[test]
fn resources_of_the_pod_as_a_whole_and_a_resize_under_way_count() {
    let of_pod: PodSpec = yaml(
        "{resources: {requests: {cpu: '2'}}, containers: [{name: a, resources: {requests: {cpu: '1', memory: 1Gi}}}]}",
    );
    assert_eq!(requests(&of_pod, None).get("cpu"), 2000);
    assert_eq!(
        requests(&of_pod, None).get("memory"),
        1024 * 1024 * 1024 * 1000
    );
    let shrinks = pod(
        "{containers: [{name: a, resources: {requests: {cpu: 500m}}}]}",
        "{containerStatuses: [{name: a, image: i, imageID: i, ready: true, restartCount: 0, allocatedResources: {cpu: '2'}, resources: {requests: {cpu: '3'}}}]}",
    );
    assert_eq!(PodUse::of(&shrinks).unwrap().requests.get("cpu"), 3000);
}

#[test]
fn a_pod_without_a_node_takes_no_place() {
    let pod: Pod = yaml(
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, resources: {requests: {cpu: '4'}}}]}}",
    );
    assert_eq!(PodUse::of(&pod), None);
}

#[test]
fn the_nearest_obstacle_is_told_and_the_names_are_few() {
    let full = |name: &str| node(name, "{}", "{}", "True");
    let pods: Vec<Pod> = ["node-a", "node-b", "node-c", "node-d"]
        .iter()
        .map(|name| yaml(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{nodeName: {name}, containers: [{{name: a, resources: {{requests: {{cpu: '4', memory: 16Gi}}}}}}]}}}}")))
        .collect();
    let nodes = [
        full("node-a"),
        full("node-b"),
        full("node-c"),
        full("node-d"),
        node("cordoned", "{}", "{unschedulable: true}", "True"),
        node(
            "tainted",
            "{}",
            "{taints: [{key: a, effect: NoSchedule}]}",
            "True",
        ),
    ];
    assert_eq!(
        line(SMALL, &cluster(nodes, &pods)),
        "No: too little is left on node-a, node-b, node-c and others: cpu or memory"
    );
}

#[test]
fn when_nobody_can_say_what_is_free_the_answer_is_unknown_unless_no_node_is_of_the_kind() {
    let mut cluster = cluster([node("node-a", "{}", "{}", "True")], &[]);
    cluster.usage = Known::No("the operator may not list pods".to_owned());
    assert_eq!(
        line(SMALL, &cluster),
        "Unknown: it is not known what is free on the nodes: the operator may not list pods"
    );
    assert!(line("{nodeSelector: {a: b}}", &cluster).starts_with("No: "));
    let pool = "{spec: {}, status: {conditions: [{type: Ready, status: 'True'}]}}";
    assert_eq!(
        line(SMALL, &with_pool(cluster, "general", pool)),
        "AUTOSCALED: it is not known whether a node has room; NodePool general would bring one"
    );
}

#[test]
fn the_message_does_not_change_while_the_answer_and_its_reason_do_not() {
    let busy = |n: usize| {
        let spec = "{containers: [{name: a, resources: {requests: {cpu: 100m}}}]}";
        let pods: Vec<Pod> = (0..n).map(|_| pod(spec, "{}")).collect();
        cluster(
            [
                node("node-a", "{}", "{}", "True"),
                node("node-b", "{}", "{}", "True"),
            ],
            &pods,
        )
    };
    let texts: std::collections::BTreeSet<String> =
        (0..12).map(|n| line(SMALL, &busy(n))).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

/// What may happen to one of a few pods.
fn change() -> impl Strategy<Value = (usize, Option<(usize, u32)>)> {
    (0..6_usize, proptest::option::of((0..3_usize, 1..5_u32)))
}

proptest! {
    #[test]
    fn sums_kept_pod_by_pod_are_the_sums_of_the_pods_there_are(changes in prop::collection::vec(change(), 0..60)) {
        let mut usage = Usage::default();
        let mut pods: std::collections::BTreeMap<usize, PodUse> = std::collections::BTreeMap::new();
        for (pod, state) in changes {
            let state = state.map(|(node, cpu)| {
                let mut requests = Amounts::default();
                requests.set("cpu", i128::from(cpu));
                PodUse { node: format!("node-{node}"), requests }
            });
            match &state {
                Some(state) => { pods.insert(pod, state.clone()); }
                None => { pods.remove(&pod); }
            }
            usage.apply(&pod.to_string(), state);
        }
        prop_assert_eq!(usage.pods(), pods.len());
        for node in 0..3 {
            let name = format!("node-{node}");
            let here: Vec<&PodUse> = pods.values().filter(|p| p.node == name).collect();
            let cpu: i128 = here.iter().map(|p| p.requests.get("cpu")).sum();
            let kept = usage.on(&name).cloned().unwrap_or_default();
            prop_assert_eq!(kept.requests.get("cpu"), cpu);
            prop_assert_eq!(kept.pods, i128::try_from(here.len()).unwrap());
        }
    }
}
