//! Login by password, where the platform allows it: the hash comes by the operator, and a changed one counts at once.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, KeyRef, condition};
use devserver_e2e::{Rig, condition, has_reason, is_running, judged};
use devserver_testkit::{Scene, operator::Settings, sample, with_namespace};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Secret},
    },
};
use kube::api::{Patch, PatchParams};
use serde_json::json;

const AUTHORIZED_KEYS: &str = "workbench-authorized-keys";
/// Made by `openssl passwd -6`.
const PASSWORDS: [&str; 2] = [
    "$6$test1$PfJgbG/qVSpvT9nLm.hEdbM5ExfjLyxtkvs4vnPbPfAj03ZKk7e0LjHEliANNX4FMAVmp5ynvODceHg8GP6jp0",
    "$6$test2$L3BRxoE2kwCmVUmk30JT793uET54AK0vrzWyWa2dYcltwg3uNVvasFlRkyZtPDEK798YHuJv95.EI.q6El.Z4.",
];

fn with_password(flavor: &str) -> DevServer {
    let mut server = sample::devserver(sample::NAME, flavor);
    server.spec.ssh.password_hash_from = Some(KeyRef {
        name: "login".to_owned(),
        key: "hash".to_owned(),
    });
    server
}

/// The Secret that [`with_password`] names, made or changed.
async fn password(scene: &Scene, hash: &str) -> anyhow::Result<()> {
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "login"}, "stringData": {"hash": format!("{hash}\n")}});
    let params = PatchParams::apply("test").force();
    let api = scene.api::<Secret>();
    api.patch("login", &params, &Patch::Apply(&secret)).await?;
    Ok(())
}

/// Has the operator look again: it watches no Secret.
async fn look(scene: &Scene) -> anyhow::Result<()> {
    let motd = json!({"spec": {"ssh": {"motd": sample::word(8)}}});
    scene.patch(sample::NAME, motd).await.map(drop)
}

fn hash_of(secret: &Secret) -> Option<&str> {
    let ByteString(bytes) = secret.data.as_ref()?.get("password-hash")?;
    std::str::from_utf8(bytes).ok()?.strip_suffix('\n')
}

#[tokio::test]
async fn s0_15_a_password_is_refused_unless_the_platform_allows_it() -> anyhow::Result<()> {
    with_namespace("password", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        scene.create(&with_password(&rig.small)).await?;
        scene
            .status(sample::NAME, "refused", |s| {
                has_reason(s, condition::VALID, "PasswordAuthenticationNotAllowed")
            })
            .await?;
        ensure!(
            rig.names::<StatefulSet>().await?.is_empty(),
            "a pod was made"
        );
        rig.operator.kill().await?;
        let settings = Settings {
            config: Some("allowPasswordAuthentication: true".to_owned()),
            ..Settings::alone(scene.namespace())
        };
        scene.operator_with(&settings).await?;
        let (_, told) = judged(&scene, "PasswordHashNotFound").await?;
        for word in [
            "spec.ssh.passwordHashFrom",
            "\"login\"",
            "\"hash\"",
            "openssl passwd -6",
        ] {
            ensure!(told.contains(word), "{word} is missing in: {told}");
        }
        ensure!(
            rig.names::<StatefulSet>().await?.is_empty(),
            "a pod was made"
        );
        password(&scene, PASSWORDS[0]).await?;
        look(&scene).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let config: ConfigMap = scene
            .object("workbench-sshd-config", "is there", |_| true)
            .await?;
        let text = &config.data.unwrap_or_default()["sshd_config"];
        ensure!(
            text.contains("\nPasswordAuthentication yes\n")
                && text.contains("\nPerSourcePenalties yes\n"),
            "{text}"
        );
        scene
            .object(AUTHORIZED_KEYS, "has the hash", |s| {
                hash_of(s) == Some(PASSWORDS[0])
            })
            .await?;
        // It comes by the operator: the pod mounts nothing that a user names.
        let workload = scene.api::<StatefulSet>().get(sample::NAME).await?;
        let pod = serde_json::to_string(&workload.spec)?;
        ensure!(!pod.contains(r#""login""#), "{pod}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_changed_password_hash_counts_without_a_restart_and_a_bad_one_changes_nothing()
-> anyhow::Result<()> {
    with_namespace("password change", async |scene| {
        let rig = Rig::with_config(scene.clone(), "allowPasswordAuthentication: true").await?;
        password(&scene, PASSWORDS[0]).await?;
        scene.create(&with_password(&rig.small)).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let before = rig.snapshot().await?;
        let has = |hash: &'static str| move |s: &Secret| hash_of(s) == Some(hash);
        scene
            .object(AUTHORIZED_KEYS, "has the hash", has(PASSWORDS[0]))
            .await?;

        password(&scene, "hunter2").await?;
        look(&scene).await?;
        let (status, told) = judged(&scene, "InvalidPasswordHash").await?;
        ensure!(!told.contains("hunter2"), "repeated: {told}");
        ensure!(is_running(&status), "it was stopped");
        scene
            .object(AUTHORIZED_KEYS, "has the hash of before", has(PASSWORDS[0]))
            .await?;

        password(&scene, PASSWORDS[1]).await?;
        look(&scene).await?;
        scene
            .object(AUTHORIZED_KEYS, "has the new hash", has(PASSWORDS[1]))
            .await?;
        let pending = scene
            .status(sample::NAME, "is valid again", |s| {
                condition(s, condition::VALID).is_some_and(|c| c.status == "True")
            })
            .await?;
        let status = pending.status.context("no status")?;
        ensure!(
            condition(&status, condition::RESTART_PENDING).is_none(),
            "{status:?}"
        );

        rig.is_unchanged_since(&before).await?;

        // sshd was started to take passwords: that it should take none is a restart's to settle, and no password is right now.
        let none = json!({"spec": {"ssh": {"passwordHashFrom": null}}});
        scene.patch(sample::NAME, none).await?;
        let has_none = |s: &Secret| hash_of(s).is_none();
        scene
            .object(AUTHORIZED_KEYS, "has no hash any more", has_none)
            .await?;
        scene
            .status(sample::NAME, "says that it waits for a restart", |s| {
                condition(s, condition::RESTART_PENDING)
                    .is_some_and(|c| c.message.contains("DEVSERVER_PASSWORD_LOGIN"))
            })
            .await?;
        Ok(())
    })
    .await
}
