//! What the chart installs: its committed rendering, put onto the control plane where a test needs a part of it.

use anyhow::{Context as _, bail};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};

use crate::cluster::root;

/// Namespace that the committed rendering is for.
pub const NAMESPACE: &str = "devserver-system";
/// User name of the operator in it.
pub const OPERATOR: &str = "system:serviceaccount:devserver-system:devserver-operator";

/// Everything that the chart installs with default values, in its order; `make lint` checks that it is what Helm renders.
pub fn rendering() -> anyhow::Result<Vec<DynamicObject>> {
    let path = root().join("charts/devserver-platform/tests/golden.yaml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    serde_saphyr::from_multiple(&text)
        .with_context(|| format!("failed to understand {}", path.display()))
}

/// Kind of an object of the rendering.
pub fn kind_of(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

/// The objects of those kinds.
pub fn of_kinds(kinds: &[&str]) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = rendering()?;
    objects.retain(|object| kinds.contains(&kind_of(object)));
    if objects.is_empty() {
        bail!("the chart installs none of {kinds:?}");
    }
    Ok(objects)
}

/// Creates or updates the object as it is, whatever its kind.
pub async fn install(client: &Client, object: &DynamicObject) -> anyhow::Result<()> {
    let types = object.types.as_ref().context("an object without a kind")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.name_any();
    let params = PatchParams::apply("devserver-testkit").force();
    api.patch(&name, &params, &Patch::Apply(object))
        .await
        .with_context(|| format!("failed to install {} {name}", types.kind))?;
    Ok(())
}

/// Creates or updates the namespace that the chart is installed into.
pub async fn install_namespace(client: &Client) -> anyhow::Result<()> {
    let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    install(client, &serde_json::from_value(namespace)?).await
}
