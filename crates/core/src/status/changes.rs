//! What a restart would change, in words: how the pod that runs differs from the one that would be made.
//!
//! Both are reduced to facts that people know by name. Only what we set is among them, because the pod that runs also has
//! what the API server and admission added to it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use devserver_api::{group, quantity};
use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec, PodTemplateSpec, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};
use serde::Serialize;

use crate::desired::workload::HOME_VOLUME;

/// Changes that one sentence can hold; the others are counted.
const MOST: usize = 8;
/// Taints of nodes in trouble; Kubernetes itself adds a toleration of some to every pod.
const SYSTEM_TAINTS: &str = "node.kubernetes.io/";

type Facts = BTreeMap<String, String>;

/// What differs, for people.
pub(super) fn between(now: &Pod, wanted: &PodTemplateSpec) -> String {
    let labels = |map: Option<&BTreeMap<String, String>>| map.cloned().unwrap_or_default();
    let (Some(pod), Some(template)) = (now.spec.as_ref(), wanted.spec.as_ref()) else {
        return String::new();
    };
    let template_metadata = wanted.metadata.as_ref();
    let before = facts(pod, &labels(now.metadata.labels.as_ref()));
    let after = facts(
        template,
        &labels(template_metadata.and_then(|m| m.labels.as_ref())),
    );
    let mut found = differences(&before, &after);
    if is_other(pod.affinity.as_ref(), template.affinity.as_ref()) {
        found.push("the affinity to nodes changes".to_owned());
    }
    let spread = |pod: &PodSpec| pod.topology_spread_constraints.clone();
    if is_other(spread(pod).as_ref(), spread(template).as_ref()) {
        found.push("the spread over nodes changes".to_owned());
    }
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    if found.is_empty() {
        "settings of the pod change".to_owned()
    } else {
        found.join("; ")
    }
}

fn is_other<T: Serialize>(now: Option<&T>, wanted: Option<&T>) -> bool {
    serde_json::to_value(now).ok() != serde_json::to_value(wanted).ok()
}

fn differences(before: &Facts, after: &Facts) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| "none".to_owned());
    keys.into_iter()
        .filter(|key| !is_same(before.get(*key), after.get(*key)))
        .map(|key| {
            let (before, after) = (text(before.get(key)), text(after.get(key)));
            format!("{key} {before} becomes {after}")
        })
        .collect()
}

/// The API server writes `1024Mi` as `1Gi`.
fn is_same(before: Option<&String>, after: Option<&String>) -> bool {
    let quantity = |text: &String| Quantity(text.clone());
    before == after
        || before.zip(after).is_some_and(|(a, b)| {
            quantity::compare(&quantity(a), &quantity(b)) == Some(Ordering::Equal)
        })
}

fn facts(pod: &PodSpec, labels: &BTreeMap<String, String>) -> Facts {
    let mut facts = Facts::new();
    for container in &pod.containers {
        of_container(&mut facts, container, pod);
    }
    for (word, key) in [
        ("team", group::LABEL_TEAM),
        ("project", group::LABEL_PROJECT),
        ("workload", group::LABEL_WORKLOAD),
    ] {
        facts.extend(
            labels
                .get(key)
                .map(|value| (word.to_owned(), value.clone())),
        );
    }
    for (key, value) in pod.node_selector.iter().flatten() {
        facts.insert(format!("node selection {key}"), value.clone());
    }
    for toleration in pod.tolerations.iter().flatten() {
        facts.extend(of_toleration(toleration));
    }
    for secret in pod.image_pull_secrets.iter().flatten() {
        facts.insert(format!("pull secret {}", secret.name), "used".to_owned());
    }
    for volume in pod.volumes.iter().flatten() {
        let fact = match volume.name.as_str() {
            "editor" => "editor",
            "kubeconfig" => "kubeconfig",
            _ => continue,
        };
        facts.insert(fact.to_owned(), "there".to_owned());
    }
    let class = pod.runtime_class_name.as_ref();
    facts.extend(class.map(|name| ("runtime class".to_owned(), name.clone())));
    if pod.host_users == Some(false) {
        facts.insert("user namespace".to_owned(), "its own".to_owned());
    }
    let grace = pod.termination_grace_period_seconds;
    facts.extend(grace.map(|seconds| ("time to end".to_owned(), format!("{seconds} s"))));
    facts
}

fn of_container(facts: &mut Facts, container: &Container, pod: &PodSpec) {
    // The one that people mean when they speak of the environment is not named.
    let whose = if container.name == group::CONTAINER {
        String::new()
    } else {
        format!("{}: ", container.name)
    };
    let image = container.image.clone().unwrap_or_default();
    facts.insert(format!("{whose}image"), image);
    let resources = container.resources.clone().unwrap_or_default();
    let limits = resources.limits.unwrap_or_default();
    // Where only a limit is given the API server writes the request.
    let mut requests = limits.clone();
    requests.extend(resources.requests.unwrap_or_default());
    for (group, amounts) in [("requests", requests), ("limits", limits)] {
        for (resource, amount) in amounts {
            facts.insert(format!("{whose}{resource} {group}"), amount.0);
        }
    }
    for variable in container.env.iter().flatten() {
        let value: String = variable
            .value
            .iter()
            .flat_map(|v| v.chars())
            .take(60)
            .collect();
        facts.insert(format!("{whose}variable {}", variable.name), value);
    }
    for mount in container.volume_mounts.iter().flatten() {
        let mut volumes = pod.volumes.iter().flatten();
        let volume = volumes.find(|v| v.name == mount.name);
        let Some(source) = volume.and_then(|v| v.persistent_volume_claim.as_ref()) else {
            continue;
        };
        // The StatefulSet controller names the home's claim; in the template it has none yet.
        if mount.name == HOME_VOLUME {
            continue;
        }
        let how = if mount.read_only == Some(true) {
            " (read-only)"
        } else {
            ""
        };
        let claim = format!("{}{how}", source.claim_name);
        facts.insert(format!("{whose}volume at {}", mount.mount_path), claim);
    }
}

fn of_toleration(toleration: &Toleration) -> Option<(String, String)> {
    let key = toleration.key.as_deref().unwrap_or("everything");
    if key.starts_with(SYSTEM_TAINTS) {
        return None;
    }
    let value = toleration.value.as_deref().unwrap_or("any value");
    let effect = toleration.effect.as_deref().unwrap_or("any effect");
    // Several tolerations can have one key.
    Some((
        format!("toleration of {key}={value}:{effect}"),
        "there".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn words(now: &Value, wanted: &Value) -> String {
        let now: Pod = serde_json::from_value(now.clone()).unwrap();
        let wanted: PodTemplateSpec = serde_json::from_value(wanted.clone()).unwrap();
        between(&now, &wanted)
    }

    fn template() -> Value {
        json!({
            "metadata": {"labels": {"swish.io/team": "a"}},
            "spec": {
                "containers": [{"name": "dev", "image": "debian:12",
                    "resources": {"limits": {"memory": "1024Mi", "nvidia.com/gpu": "1"}}}],
                "tolerations": [{"key": "swish.io/workload", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}],
            },
        })
    }

    #[test]
    fn what_the_api_server_adds_is_no_change() {
        let mut pod = template();
        pod["spec"]["containers"][0]["resources"] = json!({
            "limits": {"memory": "1Gi", "nvidia.com/gpu": "1"}, "requests": {"memory": "1Gi", "nvidia.com/gpu": "1"},
        });
        pod["spec"]["priorityClassName"] = json!("default");
        let tolerations = pod["spec"]["tolerations"].as_array_mut().unwrap();
        tolerations.push(json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}));
        assert_eq!(words(&pod, &template()), "settings of the pod change");
    }

    #[test]
    fn every_kind_of_change_has_its_words() {
        let change = |pointer: &str, value: Value| {
            let mut wanted = template();
            *wanted.pointer_mut(pointer).unwrap() = value;
            words(&template(), &wanted)
        };
        for (pointer, value, expected) in [
            (
                "/spec/containers/0/image",
                json!("debian:13"),
                "image debian:12 becomes debian:13",
            ),
            (
                "/metadata/labels",
                json!({"swish.io/team": "b"}),
                "team a becomes b",
            ),
            ("/metadata/labels", json!({}), "team a becomes none"),
            (
                "/spec/tolerations",
                json!([]),
                "toleration of swish.io/workload=gpu:NoSchedule there becomes none",
            ),
            (
                "/spec/containers/0/resources",
                json!({"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}}),
                "memory limits 1024Mi becomes 2Gi; memory requests 1024Mi becomes 2Gi",
            ),
        ] {
            assert_eq!(change(pointer, value), expected);
        }
    }
}
