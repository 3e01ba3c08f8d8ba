//! C7 in the environment: whose keys log in where somebody is named, and by whose word.

use anyhow::{Context as _, ensure};
use devserver_e2e::Rig;
use devserver_testkit::{account::Account, sample, with_namespace};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

const IMPOSTERS: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAaEnue1k7Lon/dgQ5uXNW/qRiC2XKSUYHbJMZHmo0p8 imposter";
const SECOND: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFaeXfy4gfc10IuRe8OgyhLorb1hnQIAue34+4DNAmV6 bob's second";

/// The keys that sshd of the sample reads, once they are as wanted.
async fn keys(rig: &Rig, what: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    let text = |secret: &Secret| {
        let data = secret.data.as_ref()?.get("authorized_keys")?;
        String::from_utf8(data.0.clone()).ok()
    };
    let name = format!("{}-authorized-keys", sample::NAME);
    let seen = rig
        .scene
        .object::<Secret>(&name, what, |secret| {
            text(secret).is_some_and(|text| wanted(&text))
        })
        .await?;
    text(&seen).context("no keys")
}

fn base64(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or(line)
}

#[tokio::test]
async fn c7_keys_of_a_user_log_in_where_they_are_named_and_no_imposters_do() -> anyhow::Result<()> {
    with_namespace("c7", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let bob = Account::new(&scene).await?;
        rig.running().await?;
        bob.create(json!({"sshPublicKeys": [sample::OTHER_KEY]}))
            .await?;
        let (bobs, imposters) = (base64(sample::OTHER_KEY), base64(IMPOSTERS));
        let second = base64(SECOND);
        keys(&rig, "is the owner's alone", |text| !text.contains(bobs)).await?;
        let named = json!({"spec": {"collaborators": [{"user": bob.username}]}});
        scene.patch(sample::NAME, named).await?;
        keys(&rig, "lets Bob in", |text| text.contains(bobs)).await?;
        // A second DevServerUser of the name, younger: nothing of it counts, and Bob's own key still does.
        let spec = json!({"username": bob.username, "sshPublicKeys": [IMPOSTERS]});
        let imposter = bob.named(&format!("{}-2", bob.username), spec)?;
        bob.users()
            .create(&PostParams::default(), &imposter)
            .await?;
        // Bob's change comes through, so what came before it was looked at, too.
        bob.patch(json!({"spec": {"sshPublicKeys": [sample::OTHER_KEY, SECOND]}}))
            .await?;
        let text = keys(&rig, "has Bob's second key", |text| text.contains(second)).await?;
        ensure!(text.contains(bobs) && !text.contains(imposters), "{text}");
        // Keys that the owner wrote down are the ones meant.
        let written = json!([{"user": bob.username, "publicKeys": [sample::KEY]}]);
        scene
            .patch(sample::NAME, json!({"spec": {"collaborators": written}}))
            .await?;
        keys(&rig, "lets in what is written", |text| !text.contains(bobs)).await?;
        scene
            .patch(
                sample::NAME,
                json!({"spec": {"collaborators": [{"user": bob.username}]}}),
            )
            .await?;
        keys(&rig, "lets Bob in again", |text| text.contains(bobs)).await?;
        for name in [imposter.metadata.name.as_deref(), Some(&*bob.username)] {
            let name = name.context("no name")?;
            bob.users().delete(name, &DeleteParams::default()).await?;
        }
        keys(&rig, "is the owner's alone again", |text| {
            !text.contains(bobs) && !text.contains(imposters)
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c7_what_the_gateway_tells_counts_only_where_the_platform_has_direct_mode()
-> anyhow::Result<()> {
    for (config, is_in) in [
        (
            "gateway: {host: gw.example.com, port: 22, direct: true}",
            true,
        ),
        ("gateway: {host: gw.example.com, port: 22}", false),
    ] {
        with_namespace("c7-direct", async |scene| {
            let told: ConfigMap = serde_json::from_value(json!({
                "metadata": {"name": "devserver-gateway"},
                "data": {"host-keys": sample::KEY, "user-ca-keys": sample::OTHER_KEY},
            }))?;
            let maps: Api<ConfigMap> = scene.api();
            maps.create(&PostParams::default(), &told).await?;
            let rig = Rig::with_config(scene.clone(), config).await?;
            let server = rig.running().await?;
            let uid = server.metadata.uid.context("no UID")?;
            let line =
                format!("cert-authority,restrict,pty,user-rc,principals=\"devserver-{uid}\"");
            let text = keys(&rig, "is there", |_| true).await?;
            ensure!(text.contains(&line) == is_in, "{config}: {text}");
            if is_in {
                // Direct mode is off at the gateway: what it told before goes with the operator's next start.
                let patch = Patch::Merge(json!({"data": {"user-ca-keys": null}}));
                maps.patch("devserver-gateway", &PatchParams::default(), &patch)
                    .await?;
                for operator in scene.operators() {
                    operator.restart().await?;
                }
                keys(&rig, "lets the gateway in no more", |text| {
                    !text.contains("cert-authority")
                })
                .await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}
