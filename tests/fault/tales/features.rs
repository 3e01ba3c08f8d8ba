//! What happens to a DevServer with editor, Docker and rights in the cluster.

use devserver_api::DevServer;
use devserver_testkit::{crash::Stage, sample};
use k8s_openapi::api::{apps::v1::StatefulSet, rbac::v1::RoleBinding};
use serde_json::json;

use super::{settled, small, waits_for_restart};

/// Nodes of other tests must not decide whether there is a user namespace.
pub(super) const CONFIG: &str =
    "{userNamespaces: Enabled, defaultExpose: ClusterIP, kubeAccess: {allowedRoles: [view, edit]}}";
const BINDING: &str = "devserver-workbench";

pub(super) fn server(stage: &Stage) -> anyhow::Result<DevServer> {
    let mut server = small(stage);
    server.spec.editor = Some(serde_json::from_value(json!({"enabled": true}))?);
    server.spec.docker = Some(serde_json::from_value(
        json!({"enabled": true, "storageSize": "2Gi"}),
    )?);
    server.spec.kube_access = Some(serde_json::from_value(json!({"role": "view"}))?);
    Ok(server)
}

pub(super) async fn withdraw(stage: &Stage) -> anyhow::Result<()> {
    super::change(
        stage,
        json!({"kubeAccess": null, "editor": null, "docker": null}),
    )
    .await?;
    stage.scene.gone::<RoleBinding>(BINDING).await?;
    let plain = |w: &StatefulSet| {
        let pod = w.spec.as_ref().and_then(|s| s.template.spec.as_ref());
        pod.is_some_and(|pod| pod.containers.len() == 1)
    };
    stage
        .scene
        .object(sample::NAME, "has no daemon", plain)
        .await?;
    waits_for_restart(stage).await?;
    settled(stage).await
}
