//! Applies the few objects that a lab comes with.

use serde_json::Value;

use crate::{api::Client, error::Error};

/// Applies every object of a YAML text, in its order.
pub fn apply(client: &Client, yaml: &str) -> Result<(), Error> {
    for document in yaml.split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).map_err(|error| Error::Content {
            path: "embedded manifest".into(),
            why: error.to_string(),
        })?;
        client.apply(&path(&object), &object.to_string())?;
    }
    Ok(())
}

/// The path of an object. Plurals are regular for every kind that is used here.
fn path(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap_or_default();
    let root = if version.contains('/') { "apis" } else { "api" };
    let kind = text("/kind").unwrap_or_default().to_lowercase();
    let plural = if kind.ends_with("ss") {
        format!("{kind}es")
    } else {
        format!("{kind}s")
    };
    let namespace = text("/metadata/namespace")
        .map(|name| format!("/namespaces/{name}"))
        .unwrap_or_default();
    format!(
        "/{root}/{version}{namespace}/{plural}/{}",
        text("/metadata/name").unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_rules_of_the_api() {
        let at = |yaml| path(&serde_saphyr::from_str(yaml).unwrap());
        assert_eq!(
            at("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}"),
            "/api/v1/namespaces/b/configmaps/a"
        );
        assert_eq!(
            at("{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: a}}"),
            "/apis/storage.k8s.io/v1/storageclasses/a"
        );
    }
}
