//! The examples of documents 001 and 002, word for word and with real keys.

use std::path::Path;

use anyhow::{Context as _, ensure};
use devserver_e2e::refusal;
use devserver_testkit::{Scene, cluster::root, sample, with_namespace};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::Value;

const PLACEHOLDER: &str = "ssh-rsa AAAA...";

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_saphyr::from_str(&text)?)
}

fn document(name: &str) -> anyhow::Result<Value> {
    read(&root().join("tests/api/documents").join(name))
}

/// `kubectl apply --validate=strict`, answered by the real admission and stored nowhere.
async fn apply(scene: &Scene, object: &Value) -> Result<DynamicObject, kube::Error> {
    let text = |path| {
        object
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = GroupVersionKind::gvk("devserver.io", "v1", text("/kind"));
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match text("/kind") {
        "DevServer" => Api::default_namespaced_with(scene.client(), &resource),
        _ => Api::all_with(scene.client(), &resource),
    };
    let params = PatchParams::apply("kubectl").dry_run().validation_strict();
    api.patch(text("/metadata/name"), &params, &Patch::Apply(object))
        .await
}

#[tokio::test]
async fn the_devservers_of_the_documents_are_accepted_with_a_real_key() -> anyhow::Result<()> {
    with_namespace("documents with a key", async |scene| {
        for name in ["001-devserver.yaml", "002-devserver.yaml"] {
            let mut example = document(name)?;
            *example
                .pointer_mut("/spec/ssh/publicKey")
                .context("no key")? = sample::KEY.into();
            apply(&scene, &example)
                .await
                .with_context(|| name.to_owned())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_placeholder_key_is_refused_with_a_word_on_what_a_key_looks_like() -> anyhow::Result<()>
{
    with_namespace("documents as they stand", async |scene| {
        for name in ["001-devserver.yaml", "002-devserver.yaml"] {
            let example = document(name)?;
            let key = example
                .pointer("/spec/ssh/publicKey")
                .and_then(Value::as_str);
            ensure!(
                key == Some(PLACEHOLDER),
                "{name} is not the document's example any more"
            );
            let message = refusal(apply(&scene, &example).await)?;
            for word in [
                "spec.ssh.publicKey",
                "not an OpenSSH public key",
                ".pub",
                "ssh-ed25519 AAAA",
            ] {
                ensure!(
                    message.contains(word),
                    "{name}: {word:?} is missing in: {message}"
                );
            }
            // Nothing else is wrong with it.
            ensure!(message.matches("spec.").count() <= 2, "{name}: {message}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_flavor_and_the_user_of_document_002_are_accepted_as_they_stand() -> anyhow::Result<()>
{
    with_namespace("flavor and user of 002", async |scene| {
        let flavor = document("002-devserverflavor.yaml")?;
        ensure!(
            flavor.pointer("/status/schedulable").is_some(),
            "the example has a status"
        );
        apply(&scene, &flavor).await?;
        apply(&scene, &document("002-devserveruser.yaml")?).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_file_of_examples_is_accepted() -> anyhow::Result<()> {
    with_namespace("files of examples", async |scene| {
        let mut seen = 0;
        for entry in std::fs::read_dir(root().join("examples"))? {
            let path = entry?.path();
            let text = std::fs::read_to_string(&path)?;
            if path.extension().is_none_or(|e| e != "yaml") || !text.contains("devserver.io/v1") {
                continue;
            }
            seen += 1;
            apply(&scene, &read(&path)?)
                .await
                .with_context(|| path.display().to_string())?;
        }
        ensure!(seen >= 5, "only {seen} examples were found");
        Ok(())
    })
    .await
}
