//! Whether an autoscaler would bring a node for a flavor; what it does not say is not guessed.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "fixtures/cluster.rs"]
mod clusters;
mod fixtures;

use clusters::{NOW, cluster, flavor, line, node, now, special_node, with_pool};
use devserver_core::{
    Platform,
    flavor::{self, Autoscaler, Cluster},
};

const READY: &str = "status: {conditions: [{type: Ready, status: 'True'}]}";
const YES: &str = "AUTOSCALED: no node has room; NodePool general would bring one";

fn pool(spec: &str) -> Cluster {
    with_pool(
        Cluster::default(),
        "general",
        &format!("{{spec: {spec}, {READY}}}"),
    )
}

#[test]
fn a_ready_pool_without_conditions_of_its_own_brings_a_node() {
    assert_eq!(line("{}", &pool("{template: {spec: {}}}")), YES);
    assert_eq!(
        line(
            "{resources: {requests: {cpu: '2', memory: 4Gi}}}",
            &pool("{}")
        ),
        YES
    );
}

#[test]
fn a_node_with_room_comes_before_a_pool() {
    let both = with_pool(
        cluster([node("node-a", "{}", "{}", "True")], &[]),
        "general",
        &format!("{{spec: {{}}, {READY}}}"),
    );
    assert_eq!(line("{}", &both), "Yes: a node has room");
}

#[test]
fn every_operator_and_every_value_of_a_requirement_counts() {
    let zone = |requirement: &str| {
        pool(&format!(
            "{{template: {{spec: {{requirements: [{requirement}]}}}}}}"
        ))
    };
    for (requirement, holds) in [
        ("{key: k, operator: In, values: [a, b, v]}", true),
        ("{key: k, operator: In, values: [v]}", true),
        ("{key: k, operator: In, values: [a, b]}", false),
        ("{key: k, operator: NotIn, values: [a, b]}", true),
        ("{key: k, operator: NotIn, values: [a, v]}", false),
        ("{key: k, operator: Exists}", true),
        ("{key: k, operator: DoesNotExist}", false),
        (
            "{key: k, operator: In, values: [v, w]}, {key: k, operator: NotIn, values: [v]}",
            false,
        ),
        ("{key: other, operator: Exists}", false),
        ("{key: k, operator: Gt, values: ['3']}", false),
    ] {
        let is_yes = line("{nodeSelector: {k: v}}", &zone(requirement)) == YES;
        assert_eq!(is_yes, holds, "{requirement}");
    }
    for (operator, bound, holds) in [
        ("Gt", 3, true),
        ("Gt", 4, false),
        ("Lt", 5, true),
        ("Lt", 4, false),
        ("Gte", 4, true),
        ("Gte", 5, false),
        ("Lte", 4, true),
        ("Lte", 3, false),
    ] {
        let requirement = format!("{{key: k, operator: {operator}, values: ['{bound}']}}");
        let is_yes = line("{nodeSelector: {k: '4'}}", &zone(&requirement)) == YES;
        assert_eq!(is_yes, holds, "{requirement}");
    }
    assert_eq!(
        line(
            "{nodeSelector: {k: v}}",
            &zone("{key: k, operator: Near, values: [v]}")
        ),
        "Unknown: there are no nodes; NodePool general has a requirement with the operator Near, which is not known here"
    );
}

#[test]
fn labels_come_from_the_template_from_the_cloud_or_not_at_all() {
    let labelled = pool("{template: {metadata: {labels: {disk: ssd}}, spec: {}}}");
    assert_eq!(line("{nodeSelector: {disk: ssd}}", &labelled), YES);
    for wrong in [
        "{disk: hdd}",
        "{colour: red}",
        "{kubernetes.io/hostname: node-a}",
        "{karpenter.sh/nodepool: other}",
    ] {
        let told = line(&format!("{{nodeSelector: {wrong}}}"), &labelled);
        assert!(
            told.starts_with("No: ")
                && told.contains("NodePool general makes no nodes with the label"),
            "{told}"
        );
    }
    for well_known in [
        "{topology.kubernetes.io/zone: a}",
        "{kubernetes.io/arch: arm64}",
        "{karpenter.sh/capacity-type: spot}",
        "{karpenter.sh/nodepool: general}",
    ] {
        assert_eq!(
            line(&format!("{{nodeSelector: {well_known}}}"), &labelled),
            YES,
            "{well_known}"
        );
    }
    let amd64 = pool(
        "{template: {spec: {requirements: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]}}}",
    );
    assert!(line("{nodeSelector: {kubernetes.io/arch: arm64}}", &amd64).starts_with("No: "));
}

#[test]
fn taints_limits_and_the_state_of_a_pool_count() {
    let small = "{resources: {requests: {cpu: '2', memory: 4Gi}}}";
    let cases = [
        (
            "{spec: {template: {spec: {taints: [{key: a, value: b, effect: NoSchedule}]}}}, status: {conditions: [{type: Ready, status: 'True'}]}}",
            "has the taint a=b:NoSchedule, which is not tolerated",
        ),
        (
            "{spec: {template: {spec: {taints: [{key: a, effect: NoExecute}]}}}, status: {conditions: [{type: Ready, status: 'True'}]}}",
            "has the taint a:NoExecute, which is not tolerated",
        ),
        (
            "{spec: {limits: {cpu: '10'}}, status: {resources: {cpu: 8500m}, conditions: [{type: Ready, status: 'True'}]}}",
            "has reached its limit of cpu",
        ),
        (
            "{spec: {limits: {memory: 2Gi}}, status: {conditions: [{type: Ready, status: 'True'}]}}",
            "has reached its limit of memory",
        ),
        (
            "{spec: {limits: {nodes: '3'}}, status: {resources: {nodes: '3'}, conditions: [{type: Ready, status: 'True'}]}}",
            "has reached its limit of nodes",
        ),
        (
            "{spec: {}, status: {conditions: [{type: Ready, status: 'False'}]}}",
            "is not Ready",
        ),
        ("{spec: {}}", "is not Ready"),
        (
            "{spec: {replicas: 3}, status: {conditions: [{type: Ready, status: 'True'}]}}",
            "has a fixed number of nodes",
        ),
        ("{spec: {template: 7}}", "cannot be read"),
    ];
    for (text, expected) in cases {
        let told = line(small, &with_pool(Cluster::default(), "general", text));
        assert_eq!(
            told,
            format!("No: there are no nodes; NodePool general {expected}"),
            "{text}"
        );
    }
    // Within the limit, and with a taint that is tolerated or temporary.
    for (spec, text) in [
        (small, "{limits: {cpu: '10'}}"),
        (
            "{tolerations: [{key: a, operator: Exists}]}",
            "{template: {spec: {taints: [{key: a, effect: NoSchedule}]}}}",
        ),
        (
            "{}",
            "{template: {spec: {startupTaints: [{key: a, effect: NoSchedule}]}}}",
        ),
    ] {
        assert_eq!(line(spec, &pool(text)), YES, "{text}");
    }
}

#[test]
fn a_gpu_flavor_is_not_promised_a_node_by_a_pool_that_does_not_speak_of_gpus() {
    let gpu = "{resources: {limits: {nvidia.com/gpu: '1'}}, tolerations: [{operator: Exists}]}";
    let told = line(gpu, &pool("{}"));
    assert!(
        told.starts_with("Unknown: ")
            && told.contains("does not say whether its nodes have nvidia.com/gpu"),
        "{told}"
    );
    for says_so in [
        "{limits: {nvidia.com/gpu: '4'}}",
        "{template: {spec: {taints: [{key: nvidia.com/gpu, effect: NoSchedule}]}}}",
        "{template: {spec: {taints: [{key: swish.io/workload, value: gpu, effect: NoSchedule}]}}}",
    ] {
        assert_eq!(line(gpu, &pool(says_so)), YES, "{says_so}");
    }
    // One of its nodes has one, and that node is taken; the next will have one, too.
    let (name, node) = special_node(
        "node-a",
        "{karpenter.sh/nodepool: general}",
        "{nvidia.com/gpu: '1', pods: '0'}",
    );
    let mut known = pool("{}");
    known.nodes.insert(name, node);
    assert_eq!(line(gpu, &known), YES);
}

#[test]
fn of_several_pools_the_one_named_stays_named_while_it_would_do() {
    let ready = format!("{{spec: {{}}, {READY}}}");
    let two = with_pool(with_pool(Cluster::default(), "b", &ready), "c", &ready);
    let three = with_pool(two.clone(), "a", &ready);
    let mut flavor = flavor("{}");
    let tell = |flavor: &_, cluster: &_| {
        flavor::status(
            flavor,
            None,
            cluster,
            &Platform::default(),
            &|_| None,
            now(),
        )
    };
    flavor.status = Some(tell(&flavor, &two));
    let first = flavor.status.clone().unwrap().message.unwrap();
    assert_eq!(first, "no node has room; NodePool b would bring one");
    assert_eq!(tell(&flavor, &three).message.unwrap(), first);
}

/// What the Cluster Autoscaler writes; `age` in seconds.
fn autoscaler(age: i64, cluster: &str, target: u32, max: u32, scale_up: &str) -> Autoscaler {
    let at = jiff::Timestamp::from_second(NOW - age)
        .unwrap()
        .strftime("%Y-%m-%d %H:%M:%S.123456789 +0000 UTC");
    let text = format!(
        "time: {at}\nautoscalerStatus: Running\nclusterWide:\n  health:\n    status: {cluster}\n    nodeCounts:\n      registered:\n        total: 4\n        ready: 4\n    lastProbeTime: \"2027-01-15T08:00:00Z\"\n  scaleUp:\n    status: NoActivity\nnodeGroups:\n- name: workers\n  health:\n    status: Healthy\n    nodeCounts:\n      registered:\n        total: {target}\n    cloudProviderTarget: {target}\n    minSize: 1\n    maxSize: {max}\n  scaleUp:\n    status: {scale_up}\n  scaleDown:\n    status: NoCandidates\n"
    );
    Autoscaler::read(&text)
}

#[test]
fn a_node_group_that_can_grow_is_an_answer_only_where_nodes_of_the_kind_exist() {
    let mut full = cluster([node("node-a", "{}", "{unschedulable: true}", "True")], &[]);
    full.autoscaler = Some(autoscaler(10, "Healthy", 2, 5, "NoActivity"));
    let told = line("{}", &full);
    assert!(
        told.starts_with("AUTOSCALED: ") && told.contains("does not say of which kind"),
        "{told}"
    );
    let told = line("{nodeSelector: {disk: ssd}}", &full);
    assert!(
        told.starts_with("Unknown: ") && told.contains("node group workers"),
        "{told}"
    );
    assert!(line("{resources: {limits: {nvidia.com/gpu: '1'}}}", &full).starts_with("Unknown: "));
}

#[test]
fn a_cluster_autoscaler_without_room_or_health_promises_nothing() {
    let mut full = cluster([node("node-a", "{}", "{unschedulable: true}", "True")], &[]);
    for (autoscaler, why) in [
        (
            autoscaler(10, "Healthy", 5, 5, "NoActivity"),
            "has no node group that can grow",
        ),
        (
            autoscaler(10, "Healthy", 2, 5, "Backoff"),
            "has no node group that can grow",
        ),
        (
            autoscaler(10, "Unhealthy", 2, 5, "NoActivity"),
            "is not healthy",
        ),
        (
            autoscaler(600, "Healthy", 2, 5, "NoActivity"),
            "has not written its status for minutes",
        ),
        (
            Autoscaler::read("Cluster-autoscaler status at 2019-01-01: no YAML: at all"),
            "has not written its status for minutes",
        ),
    ] {
        full.autoscaler = Some(autoscaler);
        assert_eq!(
            line("{}", &full),
            format!(
                "No: the nodes it could run on take no pods; cordoned: node-a; the Cluster Autoscaler {why}"
            )
        );
    }
}
