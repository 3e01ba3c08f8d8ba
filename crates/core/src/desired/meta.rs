//! Names, labels, ownership, and the mark that tells what was applied last.

use std::{collections::BTreeMap, fmt::Write};

use devserver_api::{group, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::core::ObjectMeta;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Environment;

/// Hash of the object as applied last: a field that we no longer set changes it, though every field we set is in place.
pub const HASH_ANNOTATION: &str = "devserver.io/applied-hash";
/// Owner of the DevServer a home claim was made for; it outlives the DevServer.
pub const OWNER_ANNOTATION: &str = "devserver.io/owner";

pub(super) fn object_meta(env: &Environment, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(env.namespace.clone()),
        labels: Some(labels(env).into_iter().chain(cost_labels(env)).collect()),
        owner_references: Some(vec![owner_reference(env.name.as_str(), &env.uid)]),
        ..ObjectMeta::default()
    }
}

/// The reference by which garbage collection finds what belongs to a DevServer.
pub fn owner_reference(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: group::API_VERSION.to_owned(),
        kind: "DevServer".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Labels of every object of an environment.
pub fn labels(env: &Environment) -> BTreeMap<String, String> {
    let mut labels = selector(env);
    for (key, value) in [
        (group::LABEL_APP_NAME, group::APP_NAME),
        (group::LABEL_APP_INSTANCE, env.name.as_str()),
        (group::LABEL_MANAGED_BY, group::FIELD_MANAGER),
        (group::LABEL_SERVICE, group::APP_NAME),
        (group::LABEL_FLAVOR, env.flavor.name.as_str()),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// Whom it counts for and where it runs (document 003): what cost tools and quotas go by. Not on what is written once.
fn cost_labels(env: &Environment) -> impl Iterator<Item = (String, String)> {
    let labels = [
        (group::LABEL_TEAM, env.counts_for.team.as_deref()),
        (group::LABEL_PROJECT, env.counts_for.project.as_deref()),
        (group::LABEL_WORKLOAD, Some(env.placement.class.as_str())),
    ];
    labels
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), names::label_safe(value?))))
}

/// Labels of the pod: those of every object, and whom it belongs to.
pub(super) fn pod_labels(env: &Environment) -> BTreeMap<String, String> {
    let mut labels = labels(env);
    labels.extend(cost_labels(env));
    if let Some(owner) = &env.owner {
        labels.insert(group::LABEL_USER.to_owned(), names::label_safe(owner));
    }
    labels
}

/// What selects the pod: our own labels only, the UID among them, because names are not identity.
pub fn selector(env: &Environment) -> BTreeMap<String, String> {
    [
        (group::LABEL_NAME, env.name.as_str()),
        (group::LABEL_UID, env.uid.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

pub(super) fn label_selector(env: &Environment) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector(env)),
        ..LabelSelector::default()
    }
}

/// A short hash of what an object says.
pub(super) fn fingerprint(text: &str) -> String {
    let mut hash = String::with_capacity(32);
    for byte in Sha256::digest(text.as_bytes()).iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

/// Marks an object with the hash of what it says.
pub(crate) fn stamp(metadata: &mut ObjectMeta, says: &Value) {
    let hash = fingerprint(&says.to_string());
    metadata
        .annotations
        .get_or_insert_with(BTreeMap::new)
        .insert(HASH_ANNOTATION.to_owned(), hash);
}
