//! Attack C1 by way of references: a machine gets nothing out of a Secret because its user can name it.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, KeyRef, condition};
use devserver_e2e::{Rig, condition, has_reason, is_running};
use devserver_testkit::{Scene, sample, with_namespace};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{Event, Secret},
    },
};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

/// What is in a Secret of somebody else.
const CANARY: &str = "canary-of-a-database-5a3c";
/// `openssl passwd -6`, of a word that is no password of anybody.
const HASH: &str = "$6$c1canary$bU.S1xpkDMcg8GT1aiDtIUWUbuuA409SZecQ64E9s0XFpBSMtZ1McDGkIT6CCFMzQEwLX/3Daz5Sq4Fil2PRU/";

/// Whom the references are taken from.
const ALICE: &str = "alice";

/// Secrets and keys in them that are named as a password, and what is said of each.
const PASSWORDS: [(&str, &str, &str); 7] = [
    (
        "alice-host-keys",
        "ssh_host_ed25519_key",
        "ReferenceNotAllowed",
    ),
    ("alice-host-keys", "absent", "ReferenceNotAllowed"),
    (
        "alice-authorized-keys",
        "password-hash",
        "ReferenceNotAllowed",
    ),
    (
        "workbench-host-keys",
        "ssh_host_ecdsa_key",
        "ReferenceNotAllowed",
    ),
    ("database", "dsn", "InvalidPasswordHash"),
    ("database", "absent", "PasswordHashNotFound"),
    ("absent", "hash", "PasswordHashNotFound"),
];

async fn strangers_secret(scene: &Scene) -> anyhow::Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "database"}, "stringData": {"dsn": CANARY},
    }))?;
    let api = scene.api::<Secret>();
    let made = api.create(&PostParams::default(), &secret).await;
    made.map(drop).context("no Secret")
}

/// Names something in the spec of the sample and waits until the operator says what it thinks of it.
async fn told(scene: &Scene, ssh: Value, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    scene
        .patch(sample::NAME, json!({"spec": {"ssh": ssh}}))
        .await?;
    let says_so = |message: &str| words.iter().all(|word| message.contains(word));
    let seen = scene
        .status(sample::NAME, reason, |s| {
            has_reason(s, condition::VALID, reason)
                && condition(s, condition::VALID).is_some_and(|c| says_so(&c.message))
        })
        .await
        .with_context(|| format!("{ssh}"))?;
    let status = seen.status.context("no status")?;
    ensure!(is_running(&status), "it was stopped: {status:?}");
    Ok(())
}

async fn keys_of(scene: &Scene, server: &str) -> anyhow::Result<Vec<(String, ByteString)>> {
    let name = format!("{server}-authorized-keys");
    let secret = scene.api::<Secret>().get(&name).await?;
    Ok(secret.data.into_iter().flatten().collect())
}

async fn is_nowhere(rig: &Rig, word: &str) -> anyhow::Result<()> {
    let servers = rig
        .scene
        .api::<DevServer>()
        .list(&ListParams::default())
        .await?;
    let workloads = rig
        .scene
        .api::<StatefulSet>()
        .list(&ListParams::default())
        .await?;
    let events = rig
        .scene
        .api::<Event>()
        .list(&ListParams::default())
        .await?;
    for (place, text) in [
        ("a DevServer", serde_json::to_string(&servers.items)?),
        ("a StatefulSet", serde_json::to_string(&workloads.items)?),
        ("an Event", serde_json::to_string(&events.items)?),
        (
            "the operator's log",
            std::fs::read_to_string(rig.operator.log())?,
        ),
    ] {
        ensure!(!text.contains(word), "{word} is in {place}");
    }
    Ok(())
}

/// Two machines in one namespace, alice's with a password.
async fn neighbours(scene: &Scene) -> anyhow::Result<Rig> {
    let rig = Rig::with_config(scene.clone(), "allowPasswordAuthentication: true").await?;
    let password: Secret = serde_json::from_value(json!({
        "metadata": {"name": "login"}, "stringData": {"hash": HASH},
    }))?;
    let api = scene.api::<Secret>();
    api.create(&PostParams::default(), &password).await?;
    strangers_secret(scene).await?;
    let mut alice = sample::devserver(ALICE, &rig.small);
    alice.spec.ssh.password_hash_from = Some(KeyRef {
        name: "login".to_owned(),
        key: "hash".to_owned(),
    });
    scene.create(&alice).await?;
    scene.status(ALICE, "runs", is_running).await?;
    rig.running().await?;
    Ok(rig)
}

#[tokio::test]
async fn c1_no_secret_comes_into_a_machine_because_its_user_names_it() -> anyhow::Result<()> {
    with_namespace("c1 secrets", async |scene| {
        let rig = neighbours(&scene).await?;
        let (before, keys) = (rig.snapshot().await?, keys_of(&scene, sample::NAME).await?);
        ensure!(
            keys_of(&scene, ALICE)
                .await?
                .iter()
                .any(|(key, _)| key == "password-hash"),
            "alice has no password, so there is nothing to take"
        );
        for (name, key, reason) in PASSWORDS {
            let ssh = json!({"passwordHashFrom": {"name": name, "key": key}});
            told(&scene, ssh, reason, &["spec.ssh.passwordHashFrom", name]).await?;
        }
        for (kind, name, key) in [
            (
                "secretKeyRef",
                "alice-host-keys",
                "ssh_host_ed25519_key.pub",
            ),
            ("secretKeyRef", "alice-authorized-keys", "authorized_keys"),
            ("configMapKeyRef", "alice-sshd-config", "motd"),
        ] {
            let source = json!({kind: {"name": name, "key": key}});
            let ssh = json!({"passwordHashFrom": null, "authorizedKeysFrom": [source]});
            let words = ["spec.ssh.authorizedKeysFrom[0]", name];
            told(&scene, ssh, "ReferenceNotAllowed", &words).await?;
        }
        ensure!(
            keys_of(&scene, sample::NAME).await? == keys,
            "what lets people in was changed"
        );
        for word in [CANARY, HASH] {
            is_nowhere(&rig, word).await?;
        }
        let workloads = scene
            .api::<StatefulSet>()
            .list(&ListParams::default())
            .await?;
        let text = serde_json::to_string(&workloads.items)?;
        for name in ["\"database\"", "\"login\""] {
            ensure!(!text.contains(name), "{name} is mounted");
        }
        rig.is_unchanged_since(&before).await
    })
    .await
}
