//! Creation: the right objects, the right words, and `Running` not a moment too early.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, Phase};
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{
    kubelet::Fortune,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount},
};
use kube::{ResourceExt as _, core::ObjectMeta};

fn check_meta(meta: &ObjectMeta, server: &DevServer, flavor: &str) -> anyhow::Result<()> {
    let name = meta.name.as_deref().unwrap_or_default();
    let uid = server.uid().context("no uid")?;
    let owners = meta.owner_references.clone().unwrap_or_default();
    let [owner] = owners.as_slice() else {
        anyhow::bail!("{name}: owners {owners:?}")
    };
    ensure!(
        owner.uid == uid && owner.kind == "DevServer",
        "{name}: {owner:?}"
    );
    ensure!(
        owner.controller == Some(true) && owner.block_owner_deletion == Some(true),
        "{name}: {owner:?}"
    );
    for (key, value) in [
        ("app.kubernetes.io/name", "devserver"),
        ("app.kubernetes.io/instance", sample::NAME),
        ("app.kubernetes.io/managed-by", "devserver-operator"),
        ("service", "devserver"),
        ("devserver.io/name", sample::NAME),
        ("devserver.io/uid", uid.as_str()),
        ("devserver.io/flavor", flavor),
    ] {
        let actual = meta
            .labels
            .as_ref()
            .and_then(|l| l.get(key))
            .map(String::as_str);
        ensure!(
            actual == Some(value),
            "{name}: label {key} is {actual:?}, not {value}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_devserver_gets_its_seven_objects_owned_and_labelled() -> anyhow::Result<()> {
    with_namespace("seven objects", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let server = rig.running().await?;
        let get = |name: &'static str| name;
        let account = scene
            .api::<ServiceAccount>()
            .get(get("devserver-workbench"))
            .await?;
        let host_keys = scene
            .api::<Secret>()
            .get(get("workbench-host-keys"))
            .await?;
        let authorized = scene
            .api::<Secret>()
            .get(get("workbench-authorized-keys"))
            .await?;
        let sshd = scene
            .api::<ConfigMap>()
            .get(get("workbench-sshd-config"))
            .await?;
        let headless = scene
            .api::<Service>()
            .get(get("workbench-headless"))
            .await?;
        let ssh = scene.api::<Service>().get(get("workbench-ssh")).await?;
        let workload = scene.api::<StatefulSet>().get(get("workbench")).await?;
        for meta in [
            &account.metadata,
            &host_keys.metadata,
            &authorized.metadata,
            &sshd.metadata,
            &headless.metadata,
            &ssh.metadata,
            &workload.metadata,
        ] {
            check_meta(meta, &server, &rig.small)?;
        }
        ensure!(
            account.automount_service_account_token == Some(false),
            "the token is mounted"
        );
        ensure!(host_keys.immutable == Some(true), "host keys may be edited");
        let spec = headless.spec.context("no spec")?;
        ensure!(spec.cluster_ip.as_deref() == Some("None"), "{spec:?}");
        ensure!(spec.publish_not_ready_addresses == Some(true), "{spec:?}");
        let spec = ssh.spec.context("no spec")?;
        ensure!(spec.type_.as_deref() == Some("NodePort"), "{spec:?}");
        let keys = authorized.data.unwrap_or_default();
        let line = keys.get("authorized_keys").context("no authorized_keys")?;
        ensure!(
            line.0 == format!("{}\n", sample::KEY).into_bytes(),
            "the key differs"
        );
        scene
            .api::<PersistentVolumeClaim>()
            .get(get("home-workbench-0"))
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn it_says_running_only_when_the_pod_is_ready() -> anyhow::Result<()> {
    with_namespace("running when ready", async |scene| {
        let rig = Rig::with_fortune(scene.clone(), Fortune::NotReady).await?;
        scene.create(&rig.sample()).await?;
        scene
            .status(sample::NAME, "is starting", |s| {
                s.phase == Some(Phase::Provisioning)
            })
            .await?;
        wait::stays(
            "not running before the pod is ready",
            Duration::from_secs(2),
            async || {
                let status = scene
                    .api::<DevServer>()
                    .get(sample::NAME)
                    .await?
                    .status
                    .unwrap_or_default();
                Ok(Seen::when(!is_running(&status), format!("{status:?}")))
            },
        )
        .await?;
        rig.kubelet.set(Fortune::Ready);
        scene.status(sample::NAME, "runs", is_running).await?;
        rig.kubelet.set(Fortune::NotReady);
        scene
            .status(
                sample::NAME,
                "no longer runs when sshd stops answering",
                |s| !is_running(s),
            )
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn it_publishes_the_public_halves_of_its_host_keys_and_its_port() -> anyhow::Result<()> {
    with_namespace("host keys published", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let ssh = rig
            .running()
            .await?
            .status
            .and_then(|s| s.ssh)
            .context("no ssh status")?;
        ensure!(ssh.user == "dev", "{ssh:?}");
        let secret = scene.api::<Secret>().get("workbench-host-keys").await?;
        let data = secret.data.unwrap_or_default();
        for algorithm in ["ed25519", "ecdsa"] {
            let private = data
                .get(&format!("ssh_host_{algorithm}_key"))
                .context("no private key")?;
            ensure!(
                private
                    .0
                    .starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----"),
                "not OpenSSH's form"
            );
            let public = data
                .get(&format!("ssh_host_{algorithm}_key.pub"))
                .context("no public key")?;
            let public = String::from_utf8(public.0.clone())?;
            // Without a comment: it would tell nothing and has no place in known_hosts.
            let words: Vec<&str> = public.split_whitespace().take(2).collect();
            ensure!(
                ssh.host_keys.contains(&words.join(" ")),
                "{public:?} is not in {:?}",
                ssh.host_keys
            );
        }
        ensure!(ssh.host_keys.len() == 2, "{:?}", ssh.host_keys);
        let service = scene.api::<Service>().get("workbench-ssh").await?;
        let port = service.spec.and_then(|s| s.ports?.first()?.node_port);
        ensure!(port.is_some() && ssh.node_port == port, "{port:?} {ssh:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn host_keys_outlive_every_restart_of_the_operator() -> anyhow::Result<()> {
    with_namespace("host keys stay", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let before = rig.running().await?;
        let secret = scene.api::<Secret>().get("workbench-host-keys").await?;
        for _ in 0..3 {
            rig.operator.restart().await?;
        }
        wait::quiet(rig.operator.trace(), Duration::from_secs(1), PATIENCE).await?;
        let after = scene.api::<Secret>().get("workbench-host-keys").await?;
        ensure!(
            after.resource_version() == secret.resource_version(),
            "the Secret was written to"
        );
        let server = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(server.status == before.status, "the status moved");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_it_exposes_is_what_was_asked_for() -> anyhow::Result<()> {
    with_namespace("expose", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let set = |expose: &'static str| serde_json::json!({"spec": {"ssh": {"expose": expose}}});
        scene.patch(sample::NAME, set("ClusterIP")).await?;
        scene
            .object::<Service>("workbench-ssh", "is inside only", |s| {
                s.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("ClusterIP")
            })
            .await?;
        scene
            .status(sample::NAME, "has no node port", |s| {
                s.ssh.as_ref().is_some_and(|ssh| ssh.node_port.is_none())
            })
            .await?;
        scene.patch(sample::NAME, set("None")).await?;
        scene.gone::<Service>("workbench-ssh").await?;
        scene.patch(sample::NAME, set("NodePort")).await?;
        scene
            .status(sample::NAME, "has a node port again", |s| {
                s.ssh.as_ref().is_some_and(|ssh| ssh.node_port.is_some())
            })
            .await?;
        Ok(())
    })
    .await
}
