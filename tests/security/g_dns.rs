//! G7: nobody claims a name in the DNS that is not theirs.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, Expose, condition};
use devserver_e2e::{Rig, has_reason, is_running, refusal};
use devserver_testkit::{
    canonical, sample,
    users::{developer, user},
    with_namespace,
};
use k8s_openapi::api::{core::v1::Service, networking::v1::Ingress};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

const HOST: &str = "external-dns.alpha.kubernetes.io/hostname";
const DOMAIN: &str = "dnsDomain: dev.example.com";

fn host(service: &Service) -> Option<String> {
    service.annotations().get(HOST).cloned()
}

fn balanced(rig: &Rig) -> DevServer {
    let mut server = rig.sample();
    server.spec.ssh.expose = Some(Expose::LoadBalancer);
    server
}

#[tokio::test]
async fn g7_labels_and_annotations_of_a_devserver_reach_no_object() -> anyhow::Result<()> {
    with_namespace("g7 annotations", async |scene| {
        let rig = Rig::with_config(scene.clone(), DOMAIN).await?;
        let mallory = user(&scene, "mallory", developer()).await?;
        let mut server = balanced(&rig);
        let claims = [
            (HOST, "login.corp.example"),
            (
                "external-dns.alpha.kubernetes.io/target",
                "claimed.corp.example",
            ),
            (
                "external-dns.alpha.kubernetes.io/internal-hostname",
                "claimed.corp.example",
            ),
            (
                "external-dns.kubernetes.io/hostname",
                "claimed.corp.example",
            ),
        ];
        let claims = claims.map(|(key, value)| (key.to_owned(), value.to_owned()));
        server.metadata.annotations = Some(claims.clone().into());
        server.metadata.labels = Some(claims.into());
        let servers: Api<DevServer> = Api::namespaced(mallory.client, scene.namespace());
        servers.create(&PostParams::default(), &server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let service = scene.api::<Service>().get("workbench-ssh").await?;
        let own = format!("workbench.{}.dev.example.com", scene.namespace());
        ensure!(host(&service) == Some(own), "{:?}", service.annotations());
        let mut state = canonical::state(&scene.client(), scene.namespace()).await?;
        let objects = state.as_object_mut().context("no objects")?;
        objects
            .remove("DevServer/workbench")
            .context("no DevServer")?;
        ensure!(!state.to_string().contains("corp.example"), "{state}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn g7_users_make_and_edit_nothing_that_gets_a_name() -> anyhow::Result<()> {
    with_namespace("g7 services", async |scene| {
        let rig = Rig::with_config(scene.clone(), DOMAIN).await?;
        scene.create(&balanced(&rig)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let mallory = user(&scene, "mallory", developer()).await?.client;
        let services: Api<Service> = Api::namespaced(mallory.clone(), scene.namespace());
        let claim =
            json!({"metadata": {"name": "claim", "annotations": {HOST: "alice.dev.example.com"}}});
        let made: Service = serde_json::from_value(claim.clone())?;
        let said = refusal(services.create(&PostParams::default(), &made).await)?;
        ensure!(said.contains("forbidden"), "{said}");
        let patch = Patch::Merge(json!({"metadata": {"annotations": {HOST: "*.dev.example.com"}}}));
        let params = PatchParams::default();
        let said = refusal(services.patch("workbench-ssh", &params, &patch).await)?;
        ensure!(said.contains("forbidden"), "{said}");
        let ingresses: Api<Ingress> = Api::namespaced(mallory, scene.namespace());
        let made: Ingress = serde_json::from_value(claim)?;
        let said = refusal(ingresses.create(&PostParams::default(), &made).await)?;
        ensure!(said.contains("forbidden"), "{said}");
        // Whoever may edit it does not keep the name.
        let own = format!("workbench.{}.dev.example.com", scene.namespace());
        let other = json!({"metadata": {"annotations": {HOST: "alice.dev.example.com"}}});
        rig.meddle::<Service>("workbench-ssh", other).await?;
        scene
            .object::<Service>("workbench-ssh", "has its own name again", |s| {
                host(s).as_ref() == Some(&own)
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn g7_no_name_of_a_machine_is_the_apex_a_wildcard_or_a_challenge() -> anyhow::Result<()> {
    with_namespace("g7 names", async |scene| {
        let flat = format!("{{{DOMAIN}, dnsFlatNamespace: {}}}", scene.namespace());
        let rig = Rig::with_config(scene.clone(), &flat).await?;
        let long = "a".repeat(64);
        for name in [
            "@",
            "*",
            "_acme-challenge",
            "-",
            "A",
            "alice.bob",
            "*.alice",
            long.as_str(),
        ] {
            let mut server = balanced(&rig);
            server.metadata.name = Some(name.to_owned());
            let made = scene
                .api::<DevServer>()
                .create(&PostParams::default(), &server)
                .await;
            if made.is_ok() {
                scene
                    .status(name, "is told that this is no name", |s| {
                        has_reason(s, condition::VALID, "InvalidName")
                    })
                    .await?;
            }
        }
        let mut server = balanced(&rig);
        server.metadata.name = Some("xn--lice-5na".to_owned());
        scene.create(&server).await?;
        scene
            .status("xn--lice-5na", "is told what it would look like", |s| {
                has_reason(s, condition::VALID, "InvalidDnsName")
            })
            .await?;
        let services = rig.names::<Service>().await?;
        ensure!(services.is_empty(), "{services:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn g7_one_name_in_two_namespaces_is_two_hosts() -> anyhow::Result<()> {
    let one = host_in("g7 alice").await?;
    let other = host_in("g7 mallory").await?;
    ensure!(one != other, "both are {one}");
    Ok(())
}

async fn host_in(whose: &str) -> anyhow::Result<String> {
    with_namespace(whose, async |scene| {
        let rig = Rig::with_config(scene.clone(), DOMAIN).await?;
        scene.create(&balanced(&rig)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let service = scene.api::<Service>().get("workbench-ssh").await?;
        let host = host(&service).context("no name")?;
        let rest = host
            .strip_prefix("workbench.")
            .context("another label comes first")?;
        ensure!(
            rest == format!("{}.dev.example.com", scene.namespace()),
            "{host}"
        );
        Ok(host)
    })
    .await
}

#[tokio::test]
async fn g7_a_name_goes_with_its_machine_and_is_kept_a_minute_at_most() -> anyhow::Result<()> {
    with_namespace("g7 deletion", async |scene| {
        let rig = Rig::with_config(scene.clone(), DOMAIN).await?;
        scene.create(&balanced(&rig)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let old = scene.api::<Service>().get("workbench-ssh").await?;
        let ttl = old
            .annotations()
            .get("external-dns.alpha.kubernetes.io/ttl");
        ensure!(ttl.is_some_and(|ttl| ttl == "60"), "{ttl:?}");
        let servers = scene.api::<DevServer>();
        servers
            .delete(sample::NAME, &DeleteParams::default())
            .await?;
        scene.gone::<Service>("workbench-ssh").await?;
        // Made again without a name, nothing of the old one is left to point at it.
        let mut server = balanced(&rig);
        server.spec.ssh.expose = Some(Expose::ClusterIP);
        let server = scene.create(&server).await?;
        let is_its_own = |service: &Service| {
            let owners = service.owner_references().iter();
            owners
                .map(|o| Some(&o.uid))
                .any(|uid| uid == server.metadata.uid.as_ref())
        };
        // A look that had begun before the deletion may have written one more for the old one, which is collected, too.
        let new = scene
            .object::<Service>("workbench-ssh", "is that of the new one", is_its_own)
            .await?;
        ensure!(host(&new).is_none(), "{:?}", new.annotations());
        Ok(())
    })
    .await
}
