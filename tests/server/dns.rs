//! Names in the DNS: what ExternalDNS reads, and what people are told.

use anyhow::ensure;
use devserver_api::{Expose, SshStatus};
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::core::v1::Service;
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

const HOST: &str = "external-dns.alpha.kubernetes.io/hostname";
const TTL: &str = "external-dns.alpha.kubernetes.io/ttl";

fn host(service: &Service) -> Option<&str> {
    service.annotations().get(HOST).map(String::as_str)
}

fn told(ssh: Option<&SshStatus>) -> Option<&str> {
    ssh.and_then(|s| s.host.as_deref())
}

#[tokio::test]
async fn a_load_balancer_is_called_by_name_once_it_has_an_address() -> anyhow::Result<()> {
    with_namespace("dns of a load balancer", async |scene| {
        let rig = Rig::with_config(scene.clone(), "dnsDomain: dev.example.com").await?;
        let mut server = rig.sample();
        server.spec.ssh.expose = Some(Expose::LoadBalancer);
        scene.create(&server).await?;
        let server = scene.status(sample::NAME, "runs", is_running).await?;
        let name = format!("workbench.{}.dev.example.com", scene.namespace());
        let service = scene
            .object::<Service>("workbench-ssh", "is named", |s| host(s) == Some(&name))
            .await?;
        ensure!(
            service
                .annotations()
                .get(TTL)
                .is_some_and(|ttl| ttl == "60"),
            "resolvers would keep it: {:?}",
            service.annotations()
        );
        let ssh = server.status.and_then(|s| s.ssh);
        ensure!(
            told(ssh.as_ref()).is_none(),
            "told before there is an address: {ssh:?}"
        );
        // What the controller of a cloud does.
        let balanced = json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}});
        scene
            .api::<Service>()
            .patch_status(
                "workbench-ssh",
                &PatchParams::default(),
                &Patch::Merge(balanced),
            )
            .await?;
        scene
            .status(sample::NAME, "tells its name", |s| {
                told(s.ssh.as_ref()) == Some(&name)
            })
            .await?;
        let inside = json!({"spec": {"ssh": {"expose": "ClusterIP"}}});
        scene.patch(sample::NAME, inside).await?;
        scene
            .object::<Service>("workbench-ssh", "has no name any more", |s| {
                host(s).is_none() && !s.annotations().contains_key(TTL)
            })
            .await?;
        scene
            .status(sample::NAME, "tells no name any more", |s| {
                told(s.ssh.as_ref()).is_none()
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn names_of_the_flat_namespace_have_one_label_less() -> anyhow::Result<()> {
    with_namespace("flat names", async |scene| {
        let flat = format!(
            "{{dnsDomain: dev.example.com, dnsFlatNamespace: {}}}",
            scene.namespace()
        );
        let rig = Rig::with_config(scene.clone(), &flat).await?;
        rig.running().await?;
        scene
            .object::<Service>("workbench-ssh", "has the short name", |s| {
                host(s) == Some("workbench.dev.example.com")
            })
            .await?;
        scene
            .status(sample::NAME, "tells name and node port", |s| {
                let ssh = s.ssh.as_ref();
                told(ssh) == Some("workbench.dev.example.com")
                    && ssh.is_some_and(|s| s.node_port.is_some())
            })
            .await?;
        Ok(())
    })
    .await
}
