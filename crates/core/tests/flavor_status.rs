//! What is told of a flavor besides nodes: whether it makes sense, and which one is the default.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "fixtures/cluster.rs"]
mod clusters;
mod fixtures;

use clusters::{cluster, flavor, line, node, now, told};
use devserver_api::{DevServerFlavor, DevServerFlavorStatus, Schedulable, condition};
use devserver_core::{
    Platform,
    flavor::{self, Cluster, effective_default},
};
use fixtures::yaml;
use jiff::{SignedDuration, Timestamp};

fn condition(status: &DevServerFlavorStatus, type_: &str) -> (String, String, String) {
    let found = condition::find(&status.conditions, type_).unwrap();
    (
        found.status.clone(),
        found.reason.clone(),
        found.message.clone(),
    )
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn a_fault_names_the_field_and_the_remedy() {
    let room = cluster([node("node-a", "{}", "{}", "True")], &[]);
    for (spec, words) in [
        (
            "{resources: {requests: {cpu: lots}}}",
            "spec.resources.requests.cpu is not a Kubernetes quantity; write",
        ),
        (
            "{resources: {limits: {memory: 1GiB}}}",
            "spec.resources.limits.memory is not a Kubernetes quantity",
        ),
        (
            "{resources: {requests: {cpu: '-1'}}}",
            "spec.resources.requests.cpu must not be negative",
        ),
        (
            "{resources: {requests: {cpu: '2'}, limits: {cpu: '1'}}}",
            "spec.resources.requests.cpu must not be larger than its limit",
        ),
        (
            "{resources: {requests: {nvidia.com/gpu: '1'}}}",
            "spec.resources.limits.nvidia.com/gpu is needed",
        ),
        (
            "{resources: {requests: {nvidia.com/gpu: '1'}, limits: {nvidia.com/gpu: '2'}}}",
            "must be as large as its limit",
        ),
        (
            "{resources: {limits: {nvidia.com/gpu: 500m}}}",
            "must be a whole number",
        ),
        (
            "{resources: {requests: {cpu: '1'}}, minimumResources: {cpu: '2'}}",
            "spec.minimumResources.cpu must not be more",
        ),
        (
            "{resources: {requests: {cpu: '1'}}, minimumResources: {memory: 1Gi}}",
            "spec.minimumResources.memory must not be more",
        ),
        (
            "{resources: {requests: {cpu: '2'}}, maximumResources: {cpu: '1'}}",
            "spec.maximumResources.cpu must be at least",
        ),
        (
            "{tolerations: [{key: a, operator: Equals}]}",
            "spec.tolerations[0] operator must be Equal or Exists",
        ),
        (
            "{tolerations: [{key: a, operator: Exists, value: b}]}",
            "spec.tolerations[0] must not have a value",
        ),
        (
            "{tolerations: [{operator: Exists}, {value: b}]}",
            "spec.tolerations[1] needs a key",
        ),
        (
            "{tolerations: [{key: a, effect: Never}]}",
            "spec.tolerations[0] effect must be NoSchedule",
        ),
        (
            "{tolerations: [{key: a, operator: Exists, tolerationSeconds: 5}]}",
            "tolerationSeconds needs effect NoExecute",
        ),
        ("{defaultImage: 'UPPER CASE'}", "spec.defaultImage"),
        (
            "{nodeSelector: {disk: 'a b'}}",
            "spec.nodeSelector.disk must be a label value",
        ),
        (
            "{runtimeClassName: Kata}",
            "spec.runtimeClassName must be a name",
        ),
    ] {
        let told = told(spec, &room);
        let (status, reason, message) = condition(&told, condition::VALID);
        assert_eq!(
            (status.as_str(), reason.as_str()),
            ("False", "InvalidFlavor"),
            "{spec}"
        );
        assert!(message.contains(words), "{spec}: {message}");
        assert_eq!(told.schedulable, Some(Schedulable::No), "{spec}");
        assert!(told.message.unwrap().contains(words), "{spec}");
    }
}

#[test]
fn good_flavors_are_valid() {
    let room = cluster([node("node-a", "{}", "{}", "True")], &[]);
    for spec in [
        "{}",
        "{resources: {limits: {cpu: '2', memory: 4Gi}}}",
        "{resources: {requests: {cpu: '1'}, limits: {cpu: 1000m}}, minimumResources: {cpu: 1000m}, maximumResources: {cpu: '1', memory: 8Gi}}",
        "{resources: {limits: {cpu: '2'}}, minimumResources: {cpu: '1'}}",
        "{allowedUsers: [], allowedTeams: []}",
        "{tolerations: [{operator: Exists}, {key: a}, {key: a, operator: Equal, value: '', effect: NoExecute, tolerationSeconds: 5}]}",
    ] {
        let told = told(spec, &room);
        assert_eq!(
            condition(&told, condition::VALID).0,
            "True",
            "{spec}: {told:?}"
        );
        assert_eq!(told.schedulable, Some(Schedulable::Yes), "{spec}");
        assert_eq!(told.observed_generation, Some(1));
    }
}

#[test]
fn the_condition_says_the_same_as_the_answer() {
    let room = cluster([node("node-a", "{}", "{}", "True")], &[]);
    let schedulable = |spec: &str, cluster: &Cluster| {
        let (status, reason, _) = condition(&told(spec, cluster), condition::SCHEDULABLE);
        format!("{status} {reason}")
    };
    assert_eq!(schedulable("{}", &room), "True NodeHasRoom");
    assert_eq!(schedulable("{}", &Cluster::default()), "False NoNodes");
    assert_eq!(
        schedulable("{nodeSelector: {a: b}}", &room),
        "False NoNodeMatches"
    );
}

#[test]
fn a_second_look_at_an_unchanged_cluster_changes_nothing() {
    let room = cluster([node("node-a", "{}", "{}", "True")], &[]);
    let mut flavor = flavor("{default: true}");
    let tell = |flavor: &DevServerFlavor, later: i64| {
        let now = now() + SignedDuration::from_secs(later);
        flavor::status(
            flavor,
            Some("f"),
            &room,
            &Platform::default(),
            &|_| None,
            now,
        )
    };
    flavor.status = Some(tell(&flavor, 0));
    assert_eq!(tell(&flavor, 3600), flavor.status.clone().unwrap());
}

/// A marked flavor, made at that second, known as the default since that second.
fn marked(name: &str, made: i64, known: Option<i64>) -> DevServerFlavor {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let status = known.map_or(String::new(), |since| {
        let since = at(since);
        format!(", status: {{conditions: [{{type: Default, status: 'True', reason: IsDefault, message: '', lastTransitionTime: '{since}'}}]}}")
    });
    let made = at(made);
    yaml(&format!(
        "{{apiVersion: devserver.io/v1, kind: DevServerFlavor, metadata: {{name: {name}, creationTimestamp: '{made}'}}, spec: {{default: true}}{status}}}"
    ))
}

#[test]
fn there_is_never_more_than_one_default_and_it_is_the_one_marked_first() {
    let name = |flavors: &[DevServerFlavor]| {
        effective_default(flavors)
            .and_then(|f| f.metadata.name.clone())
            .unwrap_or_default()
    };
    // Two raced: the older one; made in the same second: by name.
    assert_eq!(name(&[marked("b", 1, None), marked("a", 2, None)]), "b");
    assert_eq!(name(&[marked("b", 1, None), marked("a", 1, None)]), "a");
    // One is the default already: an older one that is marked later does not take its place.
    assert_eq!(
        name(&[marked("old", 1, None), marked("young", 2, Some(5))]),
        "young"
    );
    assert_eq!(
        name(&[marked("old", 1, Some(9)), marked("young", 2, Some(5))]),
        "young"
    );
    let mut unmarked = marked("young", 2, Some(5));
    unmarked.spec.default = false;
    assert_eq!(name(&[marked("old", 1, None), unmarked.clone()]), "old");
    assert_eq!(name(&[unmarked]), "");
}

#[test]
fn whoever_is_not_the_default_though_marked_is_told_who_is() {
    let cluster = cluster([node("node-a", "{}", "{}", "True")], &[]);
    let tell = |flavor: &DevServerFlavor, default| {
        flavor::status(
            flavor,
            default,
            &cluster,
            &Platform::default(),
            &|_| None,
            now(),
        )
    };
    let is_default = |status: &DevServerFlavorStatus| {
        condition::find(&status.conditions, condition::DEFAULT)
            .map(|c| (c.status.clone(), c.message.clone()))
    };
    let first = is_default(&tell(&marked("a", 1, None), Some("a"))).unwrap();
    assert_eq!(first.0, "True");
    let (status, message) = is_default(&tell(&marked("b", 1, None), Some("a"))).unwrap();
    assert_eq!(status, "False");
    assert!(
        message.contains("DevServerFlavor a") && message.contains("spec.default"),
        "{message}"
    );
    assert_eq!(is_default(&tell(&flavor("{}"), Some("a"))), None);
}

#[test]
fn a_flavor_that_only_some_may_use_is_asked_about_all_the_same() {
    let room = cluster([node("node-a", "{}", "{}", "True")], &[]);
    assert_eq!(
        line(
            "{allowedUsers: [root@example.com], allowedTeams: []}",
            &room
        ),
        "Yes: a node has room"
    );
}
