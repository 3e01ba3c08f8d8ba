//! The three definitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{DevServer, DevServerFlavor, DevServerUser};

/// All definitions, with the file each is committed in.
pub fn all() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![
        ("devservers.yaml", DevServer::crd()),
        ("devserverflavors.yaml", DevServerFlavor::crd()),
        ("devserverusers.yaml", DevServerUser::crd()),
    ]
}

/// One definition as YAML, with the line that says where it comes from.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    // By way of JSON, so that the order of keys does not depend on the serializer of the types.
    let value = serde_json::to_value(crd).unwrap_or_default();
    Ok(format!(
        "# Generated from crates/api by `make generate`. Do not edit.\n{}",
        serde_saphyr::to_string(&value)?
    ))
}
