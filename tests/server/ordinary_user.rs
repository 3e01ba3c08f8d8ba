//! An ordinary user needs no more than DevServers: host keys come by the status, Secrets stay closed.

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_e2e::{Rig, is_running, refusal};
use devserver_testkit::{sample, users, with_namespace};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};

#[tokio::test]
async fn a_developer_can_create_follow_and_delete_but_read_no_secret() -> anyhow::Result<()> {
    with_namespace("developer", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let user = users::user(&scene, "alice", users::developer()).await?;
        let servers: Api<DevServer> = Api::namespaced(user.client.clone(), scene.namespace());
        servers
            .create(&PostParams::default(), &rig.sample())
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let ssh = servers.get(sample::NAME).await?.status.and_then(|s| s.ssh);
        ensure!(
            ssh.is_some_and(|ssh| ssh.host_keys.len() == 2),
            "the host keys are not in the status"
        );
        let secrets: Api<Secret> = Api::namespaced(user.client.clone(), scene.namespace());
        let message = refusal(secrets.get("workbench-host-keys").await)?;
        ensure!(message.contains("forbidden"), "{message}");
        let pods: Api<Pod> = Api::namespaced(user.client, scene.namespace());
        ensure!(
            pods.list(&ListParams::default()).await?.items.len() == 1,
            "pods"
        );
        servers
            .delete(sample::NAME, &DeleteParams::default())
            .await?;
        scene.gone::<DevServer>(sample::NAME).await
    })
    .await
}
