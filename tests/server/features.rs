//! Editor, Docker daemon and rights in the cluster, asked for later, changed and withdrawn.

use anyhow::{Context as _, ensure};
use devserver_api::condition::{RESTART_PENDING, VALID};
use devserver_e2e::{Rig, has_reason, is_running};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Service},
    rbac::v1::RoleBinding,
};
use serde_json::json;

const BINDING: &str = "devserver-workbench";
const CLAIM: &str = "docker-workbench-0";

#[tokio::test]
async fn docker_can_be_asked_for_later_and_costs_neither_home_nor_pod() -> anyhow::Result<()> {
    with_namespace("docker later", async |scene| {
        let rig = Rig::with_config(scene.clone(), "{userNamespaces: Enabled, defaultExpose: ClusterIP}").await?;
        rig.running().await?;
        let precious = rig.precious().await?;
        let wanted = json!({"spec": {"docker": {"enabled": true, "storageSize": "2Gi"}, "editor": {"enabled": true}}});
        scene.patch(sample::NAME, wanted).await?;
        let waits = |s: &devserver_api::DevServerStatus| has_reason(s, RESTART_PENDING, "TemplateChanged");
        let server = scene.status(sample::NAME, "waits for a restart", waits).await?;
        let conditions = server.status.unwrap_or_default().conditions;
        let message = conditions.iter().find(|c| c.type_ == RESTART_PENDING).map(|c| c.message.clone()).unwrap_or_default();
        ensure!(message.contains("docker: image none becomes") && message.contains("editor none becomes there"), "{message}");
        ensure!(rig.precious().await? == precious, "the home or the pod is another");
        let claim = scene.api::<PersistentVolumeClaim>().get(CLAIM).await?;
        let owner = claim.metadata.owner_references.as_ref().and_then(|o| o.first()).context("no owner")?;
        ensure!(owner.kind == "DevServer" && owner.controller == Some(true), "{owner:?}");
        let ports = scene.api::<Service>().get("workbench-ssh").await?.spec.and_then(|s| s.ports).unwrap_or_default();
        ensure!(ports.iter().any(|p| p.port == 80 && p.name.as_deref() == Some("http")), "{ports:?}");
        // Switched off, the volume stays: only its user knows what is in it.
        scene.patch(sample::NAME, json!({"spec": {"docker": {"enabled": false}}})).await?;
        scene.object::<StatefulSet>(sample::NAME, "has no daemon", |w| {
            let containers = w.spec.iter().flat_map(|s| s.template.spec.iter().flat_map(|p| &p.containers));
            containers.into_iter().all(|c| c.name != "docker")
        })
        .await?;
        ensure!(scene.api::<PersistentVolumeClaim>().get_opt(CLAIM).await?.is_some(), "the volume is gone");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a4_a_daemon_that_the_platform_does_not_allow_makes_no_pod() -> anyhow::Result<()> {
    with_namespace("a4", async |scene| {
        let rig = Rig::with_config(scene.clone(), "{docker: {allowedModes: []}}").await?;
        let mut server = rig.sample();
        server.spec.docker = Some(serde_json::from_value(json!({"enabled": true}))?);
        scene.create(&server).await?;
        let refused = |s: &devserver_api::DevServerStatus| has_reason(s, VALID, "DockerNotAllowed");
        let server = scene.status(sample::NAME, "is refused", refused).await?;
        let message = server.status.and_then(|s| s.message).unwrap_or_default();
        for word in [
            "spec.docker.enabled",
            "docker.allowedModes",
            "ask an administrator",
        ] {
            ensure!(message.contains(word), "{word:?} is missing in: {message}");
        }
        ensure!(
            scene
                .api::<StatefulSet>()
                .get_opt(sample::NAME)
                .await?
                .is_none(),
            "there is a workload"
        );
        scene
            .patch(sample::NAME, json!({"spec": {"docker": null}}))
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn another_role_is_bound_anew_and_a_withdrawn_one_is_gone() -> anyhow::Result<()> {
    with_namespace("kube access", async |scene| {
        let rig =
            Rig::with_config(scene.clone(), "{kubeAccess: {allowedRoles: [view, edit]}}").await?;
        rig.running().await?;
        let ask = async |role: &str| {
            scene
                .patch(
                    sample::NAME,
                    json!({"spec": {"kubeAccess": {"role": role}}}),
                )
                .await
        };
        let bound = async |role: &str| {
            scene
                .object::<RoleBinding>(BINDING, "gives that role", |b| b.role_ref.name == role)
                .await
        };
        ask("view").await?;
        let first = bound("view").await?;
        let subject = first
            .subjects
            .as_ref()
            .and_then(|s| s.first())
            .context("nobody is bound")?;
        ensure!(
            subject.kind == "ServiceAccount" && subject.name == "devserver-workbench",
            "{subject:?}"
        );
        ask("edit").await?;
        let second = bound("edit").await?;
        ensure!(
            first.metadata.uid != second.metadata.uid,
            "a binding cannot change what it gives"
        );
        // One that the platform does not list takes the rights, and nothing else.
        let before = rig.precious().await?;
        ask("admin").await?;
        let refused =
            |s: &devserver_api::DevServerStatus| has_reason(s, VALID, "KubeAccessNotAllowed");
        scene.status(sample::NAME, "is refused", refused).await?;
        scene.gone::<RoleBinding>(BINDING).await?;
        ensure!(
            rig.precious().await? == before,
            "the home or the pod is another"
        );
        ask("view").await?;
        bound("view").await?;
        scene
            .patch(sample::NAME, json!({"spec": {"kubeAccess": null}}))
            .await?;
        scene.gone::<RoleBinding>(BINDING).await?;
        Ok(())
    })
    .await
}
