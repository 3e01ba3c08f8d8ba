//! D: what people paste where keys and packages belong. Refused with the reason, never stored, never repeated.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition};
use devserver_e2e::{Rig, condition, has_reason, refusal};
use devserver_testkit::{Scene, sample, with_namespace};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// A word of every private key below that must not be seen again.
const CANARY: &str = "Y2FuYXJ5LW9mLWEtcHJpdmF0ZS1rZXktdGhhdC1pcy1ub25l";

fn private_keys() -> Vec<String> {
    ["OPENSSH", "RSA", "EC", "DSA", "ENCRYPTED", ""]
        .map(|kind| {
            let kind = format!("{kind} PRIVATE KEY").trim().to_owned();
            format!("-----BEGIN {kind}-----\n{CANARY}\n-----END {kind}-----\n")
        })
        .to_vec()
}

fn bad_lines() -> Vec<(&'static str, String)> {
    let key = sample::KEY;
    vec![
        (
            "a second key after CR",
            format!("{key}\r{}", sample::OTHER_KEY),
        ),
        ("a command", format!("command=\"id\" {key}")),
        (
            "an environment",
            format!("environment=\"LD_PRELOAD=/x\",no-pty {key}"),
        ),
        ("a certificate authority", format!("cert-authority {key}")),
        (
            "another inner type",
            key.replacen("ssh-ed25519", "ssh-rsa", 1),
        ),
        (
            "a comment of a megabyte",
            format!("{key}{}", "x".repeat(900_000)),
        ),
        ("an escape sequence", format!("{key}\u{1b}[2J")),
        (
            "a short RSA key",
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDJ".to_owned(),
        ),
        ("a password", "hunter2-hunter2-hunter2".to_owned()),
    ]
}

async fn change(scene: &Scene, spec: Value) -> Result<DevServer, kube::Error> {
    let params = PatchParams::default();
    let patch = Patch::Merge(json!({"spec": spec}));
    scene
        .api::<DevServer>()
        .patch(sample::NAME, &params, &patch)
        .await
}

/// What admission or, where that can judge no further, the condition says; afterwards the keys are good again.
async fn judged(scene: &Scene, ssh: Value) -> anyhow::Result<String> {
    if let Err(refused) = change(scene, json!({"ssh": ssh})).await {
        return refusal::<DevServer>(Err(refused));
    }
    let seen = scene
        .status(sample::NAME, "is refused", |s| {
            has_reason(s, condition::VALID, "InvalidPublicKey")
        })
        .await?;
    let good = json!({"publicKey": sample::KEY, "publicKeys": null});
    change(scene, json!({"ssh": good})).await?;
    let status = seen.status.context("no status")?;
    Ok(condition(&status, condition::VALID)
        .context("no condition")?
        .message
        .clone())
}

/// Puts the text into a Secret and a ConfigMap that the DevServer names as sources, one after the other, and returns what
/// the condition says each time.
async fn told_about(scene: &Scene, text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let word = sample::word(8);
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": word}, "stringData": {"keys": text}}))?;
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": word}, "data": {"keys": text}}))?;
    let params = PostParams::default();
    scene.api::<Secret>().create(&params, &secret).await?;
    scene.api::<ConfigMap>().create(&params, &map).await?;
    let mut told = Vec::new();
    for kind in ["secretKeyRef", "configMapKeyRef"] {
        let source = json!([{kind: {"name": word, "key": "keys"}}]);
        change(scene, json!({"ssh": {"authorizedKeysFrom": source}})).await?;
        let seen = scene
            .status(sample::NAME, "is judged", |s| {
                condition(s, condition::VALID).is_some_and(|c| c.message.contains(&word))
            })
            .await?;
        let status = seen.status.context("no status")?;
        let valid = condition(&status, condition::VALID).context("no condition")?;
        told.push((valid.reason.clone(), serde_json::to_string(&status)?));
    }
    Ok(told)
}

#[tokio::test]
async fn d1_what_is_no_public_key_is_refused_with_the_reason_wherever_it_stands()
-> anyhow::Result<()> {
    with_namespace("d1", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = rig.precious().await?;
        for (what, line) in bad_lines() {
            for ssh in [json!({"publicKey": line}), json!({"publicKeys": [line]})] {
                let told = judged(&scene, ssh).await.context(what)?;
                ensure!(told.contains("spec.ssh.publicKey"), "{what}: {told}");
            }
            for (reason, told) in told_about(&scene, &format!("{}\n{line}\n", sample::KEY)).await? {
                ensure!(reason == "InvalidPublicKey", "{what}: {told}");
                ensure!(told.contains("line 2"), "{what}: {told}");
                ensure!(
                    !told.contains("hunter2") && !told.contains("LD_PRELOAD"),
                    "{what}: {told}"
                );
            }
        }
        // Whoever could log in still can, and nobody else.
        let secret = scene
            .api::<Secret>()
            .get("workbench-authorized-keys")
            .await?;
        let data = secret.data.unwrap_or_default();
        let text = String::from_utf8_lossy(&data["authorized_keys"].0).into_owned();
        ensure!(text == format!("{}\n", sample::KEY), "{text}");
        ensure!(rig.precious().await? == before, "it was restarted");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d1_a_private_key_is_neither_stored_nor_repeated() -> anyhow::Result<()> {
    with_namespace("d1 private", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        for key in private_keys() {
            for ssh in [json!({"publicKey": key}), json!({"publicKeys": [key]})] {
                let message = refusal(change(&scene, json!({"ssh": ssh})).await)?;
                ensure!(!message.contains(CANARY), "repeated: {message}");
            }
            for (reason, told) in told_about(&scene, &key).await? {
                ensure!(
                    reason == "InvalidPublicKey" && told.contains("PRIVATE"),
                    "{told}"
                );
                ensure!(!told.contains(CANARY), "repeated: {told}");
            }
        }
        ensure!(
            !std::fs::read_to_string(rig.operator.log())?.contains(CANARY),
            "it is in the operator's log"
        );
        let server = scene.api::<DevServer>().get(sample::NAME).await?;
        ensure!(
            !serde_json::to_string(&server)?.contains(CANARY),
            "it was stored"
        );
        let secrets = scene.api::<Secret>().list(&ListParams::default()).await?;
        let ours = secrets
            .iter()
            .filter(|s| s.name_any().starts_with(sample::NAME));
        for secret in ours {
            for value in secret.data.iter().flat_map(|d| d.values()) {
                ensure!(
                    !String::from_utf8_lossy(&value.0).contains(CANARY),
                    "stored in {}",
                    secret.name_any()
                );
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d3_a_source_cannot_lead_out_of_the_namespace() -> anyhow::Result<()> {
    with_namespace("d3 paths", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        for name in [
            "../../../namespaces/kube-system/secrets/x",
            "a/b",
            "a?x=y",
            "A",
            "..",
        ] {
            for kind in ["secretKeyRef", "configMapKeyRef"] {
                let source = json!([{kind: {"name": name, "key": "keys"}}]);
                let ssh = json!({"ssh": {"authorizedKeysFrom": source}});
                let message = refusal(change(&scene, ssh).await)?;
                ensure!(
                    message.contains("name must be that of an object"),
                    "{message}"
                );
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d3_what_is_no_package_is_refused_with_the_reason() -> anyhow::Result<()> {
    with_namespace("d3 packages", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        for text in [
            "-r/etc/passwd",
            "--index-url=http://evil",
            "numpy --pre",
            "numpy\n--pre",
            "x@http://evil/x.whl",
            "git+https://evil/x",
            "./x",
            "x;id",
            "$(id)",
            "`id`",
            "x|y",
            "x'y",
            "x==1;id",
            "x[",
            "x-",
            " x",
        ] {
            let message = refusal(change(&scene, json!({"packages": {"pip": [text]}})).await)
                .with_context(|| format!("{text:?}"))?;
            ensure!(message.contains("spec.packages.pip"), "{text:?}: {message}");
        }
        change(
            &scene,
            json!({"packages": {"pip": ["numpy==2.1", "httpx[http2]>=0.27,<1"]}}),
        )
        .await?;
        Ok(())
    })
    .await
}
