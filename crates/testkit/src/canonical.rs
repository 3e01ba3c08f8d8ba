//! The state of a namespace in a form that two runs of the same story share.
//!
//! Kept: which objects exist, who owns them, what they say. Left out: what the API server or chance decides
//! (identifiers, versions, times, allocated addresses and ports, key material). Of Secrets the keys, type and lengths stay.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use devserver_api::DevServer;
use k8s_openapi::{
    Resource,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::RoleBinding,
    },
};
use kube::{Api, Client, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::wait::{self, Seen};

/// Metadata that says when and in which order, not what.
const METADATA: [&str; 7] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionGracePeriodSeconds",
];
/// Fields that hold times or allocations wherever they stand.
const ANYWHERE: [&str; 18] = [
    "lastTransitionTime",
    "lastProbeTime",
    "expirationTime",
    "expiration.json",
    "observedGeneration",
    // Of idleness.
    "since",
    "stageTime",
    "warnedTime",
    "nextTime",
    "podUID",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "healthCheckNodePort",
    "currentRevision",
    "updateRevision",
    "collisionCount",
    // Covers namespace and UID; that it is right shows in that nothing is written.
    "devserver.io/applied-hash",
];
/// Annotations with this prefix are the tests' own.
pub const TEST_ANNOTATION: &str = "test.devserver.io/";

/// The canonical state of a namespace: `Kind/name` → object.
pub async fn state(client: &Client, namespace: &str) -> anyhow::Result<Value> {
    let mut all = Map::new();
    collect::<DevServer>(client, namespace, "DevServer", &mut all).await?;
    collect::<ServiceAccount>(client, namespace, ServiceAccount::KIND, &mut all).await?;
    collect::<Secret>(client, namespace, Secret::KIND, &mut all).await?;
    collect::<ConfigMap>(client, namespace, ConfigMap::KIND, &mut all).await?;
    collect::<Service>(client, namespace, Service::KIND, &mut all).await?;
    collect::<StatefulSet>(client, namespace, StatefulSet::KIND, &mut all).await?;
    collect::<PersistentVolumeClaim>(client, namespace, PersistentVolumeClaim::KIND, &mut all)
        .await?;
    collect::<NetworkPolicy>(client, namespace, NetworkPolicy::KIND, &mut all).await?;
    collect::<PodDisruptionBudget>(client, namespace, PodDisruptionBudget::KIND, &mut all).await?;
    collect::<RoleBinding>(client, namespace, RoleBinding::KIND, &mut all).await?;
    // What every namespace has.
    all.remove("ServiceAccount/default");
    all.remove("ConfigMap/kube-root-ca.crt");
    Ok(Value::Object(all))
}

/// The same once nothing in it is on its way out: Kubernetes' own controllers take their time.
pub async fn settled(client: &Client, namespace: &str) -> anyhow::Result<Value> {
    let patience = crate::scene::PATIENCE;
    wait::until("nothing is on its way out", patience, async || {
        let state = state(client, namespace).await?;
        let objects = state.as_object().into_iter().flatten();
        let going: Vec<&str> = objects
            .filter(|(_, object)| object.pointer("/metadata/deletionTimestamp").is_some())
            .map(|(name, _)| name.as_str())
            .collect();
        Ok(match going.as_slice() {
            [] => Seen::Yes(state),
            _ => Seen::NotYet(going.join(", ")),
        })
    })
    .await
}

async fn collect<K>(
    client: &Client,
    namespace: &str,
    kind: &str,
    all: &mut Map<String, Value>,
) -> anyhow::Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .with_context(|| format!("failed to list {kind}"))?;
    for object in list.items {
        let uid = object
            .meta()
            .labels
            .as_ref()
            .and_then(|l| l.get("devserver.io/uid"))
            .cloned();
        let uid = uid
            .or_else(|| object.meta().uid.clone())
            .unwrap_or_default();
        let mut value = serde_json::to_value(&object)?;
        let name = object.meta().name.clone().unwrap_or_default();
        mask(
            &mut value,
            kind,
            &[(namespace, "<namespace>"), (uid.as_str(), "<uid>")],
        );
        all.insert(format!("{kind}/{name}"), value);
    }
    Ok(())
}

/// Removes what two runs of the same story need not share.
fn mask(object: &mut Value, kind: &str, words: &[(&str, &str)]) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        for key in METADATA {
            metadata.remove(key);
        }
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.retain(|key, _| !key.starts_with(TEST_ANNOTATION));
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
        if let Some(Value::Array(owners)) = metadata.get_mut("ownerReferences") {
            for owner in owners.iter_mut().filter_map(Value::as_object_mut) {
                owner.remove("uid");
            }
        }
    }
    // Counted by the disruption controller, some time after the pod is as it is.
    if kind == "PodDisruptionBudget"
        && let Some(budget) = object.as_object_mut()
    {
        budget.remove("status");
    }
    if kind == "Secret"
        && let Some(Value::Object(data)) = object.get_mut("data")
    {
        data.values_mut()
            .for_each(|value| *value = json!(outline(value)));
    }
    if let Some(keys) = object.pointer_mut("/status/ssh/hostKeys") {
        // The type of each key stays; the key is another in every run.
        for key in keys.as_array_mut().into_iter().flatten() {
            let algorithm = key
                .as_str()
                .and_then(|k| k.split(' ').next())
                .unwrap_or_default();
            *key = json!(format!("{algorithm} <key>"));
        }
    }
    let conditions = object.pointer_mut("/status/conditions");
    for condition in conditions
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        // Its sentence holds instants.
        if condition.get("type") == Some(&json!("Idle"))
            && let Some(condition) = condition.as_object_mut()
        {
            condition.remove("message");
        }
    }
    scrub(object, words);
}

/// What a secret value is without what it says. A PEM file's length depends on the key in it: its first line stays.
fn outline(value: &Value) -> String {
    let bytes = value
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    match std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.lines().next())
    {
        Some(line) if line.starts_with("-----BEGIN ") => format!("<{line}>"),
        _ => format!("<{} bytes>", bytes.len()),
    }
}

fn scrub(value: &mut Value, words: &[(&str, &str)]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !ANYWHERE.contains(&key.as_str()));
            map.values_mut().for_each(|inner| scrub(inner, words));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| scrub(inner, words)),
        Value::String(text) => {
            for (word, instead) in words.iter().filter(|(word, _)| !word.is_empty()) {
                if text.contains(word) {
                    *text = text.replace(word, instead);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_one_story_are_equal_and_another_story_is_not() {
        let run = |namespace: &str, uid: &str, port: u32, key: &str| {
            let mut service = json!({
                "metadata": {"name": "box-ssh", "namespace": namespace, "uid": "1", "resourceVersion": "7",
                    "labels": {"devserver.io/uid": uid}, "ownerReferences": [{"uid": uid, "name": "box"}]},
                "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": port, "nodePort": 30_000}]},
                "status": {"ssh": {"hostKeys": [key]}},
            });
            mask(
                &mut service,
                "Service",
                &[(namespace, "<namespace>"), (uid, "<uid>")],
            );
            service
        };
        assert_eq!(
            run("t-one", "u-1", 22, "ssh-ed25519 AAAA"),
            run("t-two", "u-2", 22, "ssh-ed25519 BBBB")
        );
        assert_ne!(
            run("t-one", "u-1", 22, "ssh-ed25519 AAAA"),
            run("t-two", "u-2", 23, "ssh-ed25519 BBBB")
        );
    }

    #[test]
    fn of_a_secret_only_keys_and_lengths_are_kept() {
        let mut secret = json!({"metadata": {}, "data": {"ssh_host_ed25519_key": "c2VjcmV0"}});
        mask(&mut secret, "Secret", &[]);
        assert_eq!(
            secret.pointer("/data/ssh_host_ed25519_key"),
            Some(&json!("<6 bytes>"))
        );
    }
}
