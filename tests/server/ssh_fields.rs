//! Where sshd runs, who may log in, and what an environment is told about its start and its end.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, DevServerFlavor, condition};
use devserver_e2e::{Rig, condition, has_reason, is_running};
use devserver_testkit::{Scene, kubelet::Fortune, operator::Settings, sample, with_namespace};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Container, Namespace, Pod, PodSpec, Secret, Service},
    },
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

const AUTHORIZED_KEYS: &str = "workbench-authorized-keys";
const CONFIG: &str = "workbench-sshd-config";

async fn secret(scene: &Scene, name: &str, text: &str) -> anyhow::Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": name}, "stringData": {"keys": text}}))?;
    let api = scene.api::<Secret>();
    api.create(&PostParams::default(), &secret).await?;
    Ok(())
}

fn may_log_in(secret: &Secret, word: &str) -> bool {
    let data = secret.data.as_ref().and_then(|d| d.get("authorized_keys"));
    data.is_some_and(|ByteString(bytes)| String::from_utf8_lossy(bytes).contains(word))
}

fn valid(server: &DevServer) -> anyhow::Result<String> {
    let status = server.status.as_ref().context("no status")?;
    let condition = condition(status, condition::VALID).context("no condition")?;
    Ok(condition.message.clone())
}

async fn template(scene: &Scene) -> anyhow::Result<PodSpec> {
    let workload: StatefulSet = scene.object(sample::NAME, "is there", |_| true).await?;
    let template = workload.spec.map(|spec| spec.template);
    template.and_then(|t| t.spec).context("no pod template")
}

fn container<'a>(pod: &'a PodSpec, name: &str) -> anyhow::Result<&'a Container> {
    let found = pod.containers.iter().find(|c| c.name == name);
    found.with_context(|| format!("no container {name}"))
}

#[tokio::test]
async fn keys_of_objects_may_log_in_and_a_change_counts_at_the_next_look() -> anyhow::Result<()> {
    with_namespace("keys of objects", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.operator.kill().await?;
        // The objects are not watched: a look every other second instead of every ten minutes.
        let settings = Settings {
            resync: 2,
            ..Settings::alone(scene.namespace())
        };
        scene.operator_with(&settings).await?;
        secret(
            &scene,
            "team",
            &format!("# the team\n\n{}\n", sample::OTHER_KEY),
        )
        .await?;
        let mut server = rig.sample();
        server.spec.ssh = serde_json::from_value(json!({
            "authorizedKeysFrom": [{"secretKeyRef": {"name": "team", "key": "keys"}},
                                   {"configMapKeyRef": {"name": "more", "key": "keys"}}]}))?;
        scene.create(&server).await?;
        // One is missing: told, by name, and nobody is let in by halves.
        let told = scene
            .status(sample::NAME, "a source is missing", |s| {
                has_reason(s, condition::VALID, "AuthorizedKeysNotFound")
            })
            .await?;
        let message = valid(&told)?;
        ensure!(
            message.contains("authorizedKeysFrom[1]") && message.contains("ConfigMap \"more\""),
            "{message}"
        );
        let more: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "more"}, "data": {"keys": sample::KEY}}))?;
        let api = scene.api::<ConfigMap>();
        api.create(&PostParams::default(), &more).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        scene
            .object(AUTHORIZED_KEYS, "both may log in", |s: &Secret| {
                may_log_in(s, sample::KEY) && may_log_in(s, sample::OTHER_KEY)
            })
            .await?;
        let before = rig.precious().await?;
        let patch = Patch::Merge(json!({"stringData": {"keys": "# nobody\n"}}));
        let secrets = scene.api::<Secret>();
        secrets
            .patch("team", &PatchParams::default(), &patch)
            .await?;
        scene
            .object(AUTHORIZED_KEYS, "one was taken away", |s: &Secret| {
                may_log_in(s, sample::KEY) && !may_log_in(s, sample::OTHER_KEY)
            })
            .await?;
        ensure!(rig.precious().await? == before, "a key restarted it");
        Ok(())
    })
    .await
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn a_sidecar_serves_ssh_on_2222_without_root_and_shares_the_home() -> anyhow::Result<()> {
    with_namespace("sidecar", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.ssh.mode = Some(devserver_api::SshMode::Sidecar);
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let pod = template(&scene).await?;
        let ssh = container(&pod, "ssh")?;
        let ports: Vec<(String, i32)> = ssh
            .ports
            .iter()
            .flatten()
            .map(|p| (p.name.clone().unwrap_or_default(), p.container_port))
            .collect();
        ensure!(ports.contains(&("ssh".to_owned(), 2222)), "{ports:?}");
        let security = serde_json::to_value(&ssh.security_context)?;
        for (field, value) in [
            ("/runAsUser", json!(1000)),
            ("/runAsNonRoot", json!(true)),
            ("/allowPrivilegeEscalation", json!(false)),
            ("/capabilities/drop", json!(["ALL"])),
        ] {
            ensure!(
                security.pointer(field) == Some(&value),
                "{field}: {security}"
            );
        }
        for name in ["ssh", "dev"] {
            let mounts = container(&pod, name)?
                .volume_mounts
                .clone()
                .unwrap_or_default();
            for path in ["/home/dev", "/workspace"] {
                ensure!(
                    mounts
                        .iter()
                        .any(|m| m.mount_path == path && m.name == "home"),
                    "{name}: no {path}: {mounts:?}"
                );
            }
            // The keys are in a Secret that only the sidecar has (S3-15).
            let has_keys = mounts.iter().any(|m| m.name == "authorized-keys");
            ensure!(has_keys == (name == "ssh"), "{name}: {mounts:?}");
        }
        let dev = container(&pod, "dev")?;
        let is_ssh =
            |p: &k8s_openapi::api::core::v1::ContainerPort| p.name.as_deref() == Some("ssh");
        ensure!(
            !dev.ports.iter().flatten().any(is_ssh),
            "dev still claims the port"
        );
        let service: Service = scene.object("workbench-ssh", "is there", |_| true).await?;
        let ports = service.spec.and_then(|s| s.ports).unwrap_or_default();
        ensure!(ports[0].port == 22, "{ports:?}");
        let config: ConfigMap = scene.object(CONFIG, "is there", |_| true).await?;
        let text = &config.data.unwrap_or_default()["sshd_config"];
        ensure!(
            text.contains("Port 2222\n") && text.contains("PasswordAuthentication no\n"),
            "{text}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_sshd_there_is_no_key_no_service_and_still_a_machine() -> anyhow::Result<()> {
    with_namespace("disabled", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let _: Service = scene.object("workbench-ssh", "is there", |_| true).await?;
        let ssh = json!({"ssh": {"publicKey": null, "mode": "Disabled"}});
        scene.patch(sample::NAME, json!({"spec": ssh})).await?;
        scene.gone::<Service>("workbench-ssh").await?;
        scene
            .object(CONFIG, "without sshd", |c: &ConfigMap| {
                c.data
                    .as_ref()
                    .is_some_and(|d| !d.contains_key("sshd_config"))
            })
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        Ok(())
    })
    .await
}

async fn restricted_flavor(scene: &Scene) -> anyhow::Result<String> {
    let name = scene.flavor("tight", "500m", "1Gi").await?;
    let flavors: Api<DevServerFlavor> = Api::all(scene.client());
    let patch = Patch::Merge(json!({"spec": {"isolation": "Restricted"}}));
    flavors
        .patch(&name, &PatchParams::default(), &patch)
        .await?;
    Ok(name)
}

async fn enforce_restricted(scene: &Scene) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(scene.client());
    let labels = json!({"metadata": {"labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest"}}});
    let params = PatchParams::default();
    namespaces
        .patch(scene.namespace(), &params, &Patch::Merge(labels))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_restricted_flavor_passes_pod_security_restricted_and_others_do_not() -> anyhow::Result<()>
{
    for delivery in ["ImageVolume", "InitContainer"] {
        with_namespace(&format!("restricted {delivery}"), async |scene| {
            enforce_restricted(&scene).await?;
            let tight = restricted_flavor(&scene).await?;
            let wide = scene.flavor("wide", "500m", "1Gi").await?;
            let _kubelet = scene.kubelet(Fortune::Ready);
            let settings = Settings {
                config: Some(format!("toolsDelivery: {delivery}")),
                ..Settings::alone(scene.namespace())
            };
            scene.operator_with(&settings).await?;
            scene
                .create(&sample::devserver(sample::NAME, &tight))
                .await?;
            scene.status(sample::NAME, "runs", is_running).await?;
            let pod = scene.api::<Pod>().get("workbench-0").await?;
            let names: Vec<&str> = pod
                .spec
                .iter()
                .flat_map(|s| &s.containers)
                .map(|c| c.name.as_str())
                .collect();
            ensure!(names == ["dev", "ssh"], "{names:?}");
            // The same namespace refuses a pod that starts as root, so the admission was really asked.
            let mut other = sample::devserver("loose", &wide);
            other.spec.ssh.mode = None;
            scene.create(&other).await?;
            let told = scene
                .status("loose", "is told why", |s| {
                    s.message
                        .as_ref()
                        .is_some_and(|m| m.contains("PodSecurity"))
                })
                .await?;
            ensure!(!is_running(&told.status.unwrap_or_default()), "it runs");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_restricted_flavor_refuses_sshd_as_root_and_leaves_what_runs() -> anyhow::Result<()> {
    with_namespace("restricted mode", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let tight = restricted_flavor(&scene).await?;
        let mut server = rig.sample();
        server.spec.flavor = Some(tight);
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let before = rig.precious().await?;
        let ssh = json!({"spec": {"ssh": {"mode": "InContainer"}}});
        scene.patch(sample::NAME, ssh).await?;
        let told = scene
            .status(sample::NAME, "refused", |s| {
                has_reason(s, condition::VALID, "SshModeNotAllowed")
            })
            .await?;
        let message = valid(&told)?;
        ensure!(
            message.contains("Sidecar") && message.contains("spec.ssh.mode"),
            "{message}"
        );
        ensure!(rig.precious().await? == before, "it was restarted");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn packages_checkpoint_and_end_reach_the_machine_as_files_and_change_without_a_restart()
-> anyhow::Result<()> {
    with_namespace("files", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        let spec = json!({"packages": {"pip": ["numpy==2.1", "httpx[http2]>=0.27"]},
            "lifecycle": {"timeToLive": "8h", "checkpoint": {"command": ["sh", "-c", "echo $(SECRET) `id`"]}}});
        merge(&mut server, &spec)?;
        scene.create(&server).await?;
        let made = scene.status(sample::NAME, "runs", is_running).await?;
        let config: ConfigMap = scene.object(CONFIG, "is there", |_| true).await?;
        let data = config.data.clone().unwrap_or_default();
        ensure!(data["pip-requirements.txt"] == "numpy==2.1\nhttpx[http2]>=0.27\n", "{data:?}");
        let checkpoint: Value = serde_json::from_str(&data["checkpoint.json"])?;
        ensure!(checkpoint["command"][2] == "echo $(SECRET) `id`", "{checkpoint}");
        let end: Value = serde_json::from_str(&data["expiration.json"])?;
        let created = made.creation_timestamp().context("no creation")?.0;
        ensure!(end["expiresAt"] == created.as_second() + 8 * 3600, "{end}");
        ensure!(end["warnings"] == json!([3600, 900, 300]), "{end}");
        ensure!(data["motd"].contains("devctl extend workbench"), "{}", data["motd"]);
        // D4: no text of the user in a command or a variable, where Kubernetes would expand it.
        let pod = template(&scene).await?;
        for container in &pod.containers {
            let said = format!("{:?}{:?}{:?}", container.command, container.args, container.env);
            ensure!(!said.contains("SECRET") && !said.contains("numpy"), "{said}");
        }
        let before = rig.precious().await?;
        scene
            .patch(sample::NAME, json!({"spec": {"packages": {"pip": ["rich"]}, "lifecycle": {"timeToLive": "9h"}}}))
            .await?;
        scene
            .object(CONFIG, "changed", |c: &ConfigMap| {
                c.data.as_ref().is_some_and(|d| d["pip-requirements.txt"] == "rich\n" && d["expiration.json"] != data["expiration.json"])
            })
            .await?;
        ensure!(rig.precious().await? == before, "it was restarted");
        let now = scene.status(sample::NAME, "runs", is_running).await?;
        let pending = condition(&now.status.unwrap(), "RestartPending").map(|c| c.status.clone());
        ensure!(pending.as_deref() != Some("True"), "a restart is pending");
        Ok(())
    })
    .await
}

fn merge(server: &mut DevServer, spec: &Value) -> anyhow::Result<()> {
    let mut value = serde_json::to_value(&server.spec)?;
    let fields = value.as_object_mut().context("no object")?;
    for (field, new) in spec.as_object().context("no object")? {
        fields.insert(field.clone(), new.clone());
    }
    server.spec = serde_json::from_value(value)?;
    Ok(())
}
