//! What deploy/ ships, as `kubectl apply --server-side --validate=strict` would take it: answered by the real admission, stored nowhere.

use anyhow::{Context as _, ensure};
use devserver_testkit::{Scene, chart, cluster::root, with_namespace};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};

/// Kinds of others, which this control plane does not know; hack/manifests.sh looks at Karpenter's.
const FOREIGN: [&str; 4] = ["NodePool", "EC2NodeClass", "ClusterConfig", "Application"];

async fn is_accepted(scene: &Scene, mut object: DynamicObject) -> anyhow::Result<()> {
    let types = object.types.as_ref().context("no kind")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
    // The namespaces of the examples are not there.
    let api: Api<DynamicObject> = if object.metadata.namespace.take().is_some() {
        Api::namespaced_with(scene.client(), scene.namespace(), &resource)
    } else {
        Api::all_with(scene.client(), &resource)
    };
    let params = PatchParams::apply("kubectl").dry_run().validation_strict();
    api.patch(&object.name_any(), &params, &Patch::Apply(&object))
        .await?;
    Ok(())
}

#[tokio::test]
async fn every_manifest_of_deploy_and_every_rendering_is_accepted_strictly() -> anyhow::Result<()> {
    with_namespace("manifests", async |scene| {
        let mut seen = 0;
        let mut open = [
            "deploy/storage",
            "deploy/github-runner",
            "deploy/karpenter",
            "deploy/argo",
            "charts/devservers/tests",
            "charts/dev-env/tests",
        ]
        .map(|folder| root().join(folder))
        .to_vec();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.extension().is_none_or(|e| e != "yaml") {
                    continue;
                }
                let text = std::fs::read_to_string(&path)?;
                for object in serde_saphyr::from_multiple::<DynamicObject>(&text)? {
                    if FOREIGN.contains(&chart::kind_of(&object)) {
                        continue;
                    }
                    seen += 1;
                    let what = format!(
                        "{}: {} {}",
                        path.display(),
                        chart::kind_of(&object),
                        object.name_any()
                    );
                    is_accepted(&scene, object).await.context(what)?;
                }
            }
        }
        ensure!(seen > 40, "only {seen} objects were found");
        Ok(())
    })
    .await
}
