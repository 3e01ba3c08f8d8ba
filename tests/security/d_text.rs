//! Attack D3: words that a shell, a configuration or a log would take for more than words.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition};
use devserver_e2e::{Rig, condition, is_running, refusal};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

/// What ends a word, or begins a command, somewhere.
const HOSTILE: [&str; 8] = [
    "a;id", "$(id)", "`id`", "a\nb", "a'b", "a\"b", "a b", "a|id",
];
/// Fields that hold names, each where it is in the spec.
const NAMES: [&str; 8] = [
    "/flavor",
    "/image",
    "/team",
    "/project",
    "/sharedVolumeClaimName",
    "/storageClassName",
    "/persistentHomeSize",
    "/lifecycle/timeToLive",
];

fn with(server: &DevServer, pointer: &str, text: &str) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(server)?;
    let mut place = value.get_mut("spec").context("no spec")?;
    for key in pointer.split('/').skip(1) {
        place = place
            .as_object_mut()
            .context("no map")?
            .entry(key)
            .or_insert_with(|| json!({}));
    }
    *place = json!(text);
    Ok(value)
}

#[tokio::test]
async fn d3_no_name_is_more_than_a_name() -> anyhow::Result<()> {
    with_namespace("d3 names", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let api = scene.api::<DevServer>();
        let mut left = Vec::new();
        for text in HOSTILE {
            let mut named = rig.sample();
            named.metadata.name = Some(text.to_owned());
            ensure!(
                api.create(&PostParams::default(), &named).await.is_err(),
                "name {text:?}"
            );
            for pointer in NAMES {
                let name = format!("m{}", sample::word(8));
                let mut server = with(&rig.sample(), pointer, text)?;
                server["metadata"]["name"] = json!(name);
                let server: DevServer = serde_json::from_value(server)?;
                match api.create(&PostParams::default(), &server).await {
                    Err(kube::Error::Api(status)) if status.code == 422 => {}
                    Err(other) => return Err(other.into()),
                    Ok(_) => left.push((name, pointer, text)),
                }
            }
        }
        // What the API server let through, the operator refuses, and makes nothing of it.
        for (name, pointer, text) in left {
            let refused =
                |s: &_| condition(s, condition::VALID).is_some_and(|c| c.status == "False");
            let told = scene
                .status(&name, &format!("{pointer} {text:?} is refused"), refused)
                .await?;
            let status = told.status.unwrap_or_default();
            let valid = condition(&status, condition::VALID).context("no condition")?;
            let field = pointer.rsplit('/').next().unwrap_or_default();
            ensure!(
                valid.message.contains(field),
                "{pointer}: {}",
                valid.message
            );
        }
        ensure!(
            rig.names::<StatefulSet>().await?.is_empty(),
            "something was made"
        );
        Ok(())
    })
    .await
}

/// Where in a value the text is: path of keys.
fn places(value: &Value, text: &str, path: &str, found: &mut Vec<String>) {
    match value {
        Value::String(word) if word.contains(text) => found.push(path.to_owned()),
        Value::Object(map) => {
            for (key, inner) in map {
                places(inner, text, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|inner| places(inner, text, path, found)),
        _ => {}
    }
}

fn is_json(log: &str) -> anyhow::Result<()> {
    for line in log.lines() {
        ensure!(
            serde_json::from_str::<Value>(line).is_ok_and(|l| l.is_object()),
            "not JSON: {line}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn d3_free_text_stays_text_in_objects_logs_and_metrics() -> anyhow::Result<()> {
    with_namespace("d3 text", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let (owner, motd) = (
            "o';\"$(id)`id`\\{{x}}%s=1",
            "=cmd|'/c calc'!A1 $(id) `id` {{x}}",
        );
        let mut server = rig.sample();
        server.spec.owner = Some(owner.to_owned());
        server.spec.ssh.motd = Some(motd.to_owned());
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let all = ListParams::default();
        let mut objects = Vec::new();
        macro_rules! gather {
            ($($kind:ty),*) => {$(
                for object in scene.api::<$kind>().list(&all).await? {
                    let path = format!("{}", object.name_any());
                    objects.push((path, serde_json::to_value(&object)?));
                }
            )*};
        }
        gather!(
            StatefulSet,
            Pod,
            Service,
            ServiceAccount,
            ConfigMap,
            Secret,
            PersistentVolumeClaim
        );
        let mut found = Vec::new();
        for (path, object) in &mut objects {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            places(object, "$(id)", path, &mut found);
        }
        found.sort();
        found.dedup();
        // As data, where nothing reads it as anything else; the pod's label has the safe form.
        let expected = [
            "home-workbench-0/metadata/annotations/devserver.io/owner",
            "workbench-sshd-config/data/motd",
            "workbench/spec/volumeClaimTemplates/metadata/annotations/devserver.io/owner",
        ];
        ensure!(found == expected, "{found:#?}");
        is_json(&std::fs::read_to_string(rig.operator.log())?)?;
        for page in ["/metrics", "/metrics/environments"] {
            let metrics = rig.operator.page(page).await?;
            ensure!(
                !metrics.contains("$(id)"),
                "{page} has owners or texts as they are"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d2_a_message_of_the_day_that_takes_over_a_terminal_is_refused() -> anyhow::Result<()> {
    with_namespace("d2", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let api = scene.api::<DevServer>();
        for text in [
            "\u{1b}]0;owned\u{7}",
            "\u{1b}[2J",
            "\u{9b}2J",
            "a\r\nb",
            "a\0b",
            "a\u{8}b",
            "a\u{7f}b",
        ] {
            let mut server = rig.sample();
            server.spec.ssh.motd = Some(text.to_owned());
            let message = refusal(api.create(&PostParams::default(), &server).await)?;
            ensure!(
                message.contains("spec.ssh.motd") && message.contains("control characters"),
                "{text:?}: {message}"
            );
        }
        let mut server = rig.sample();
        server.spec.ssh.motd = Some("x".repeat(1 << 20));
        let message = refusal(api.create(&PostParams::default(), &server).await)?;
        ensure!(message.contains("spec.ssh.motd"), "{message}");
        // What is text arrives as it is, byte for byte.
        let text = "Grüße,\n\tbe kind 🙂\n";
        let mut server = rig.sample();
        server.spec.ssh.motd = Some(text.to_owned());
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let map = scene
            .api::<ConfigMap>()
            .get("workbench-sshd-config")
            .await?;
        let kept = map.data.and_then(|data| data.get("motd").cloned());
        ensure!(kept.as_deref() == Some(text), "{kept:?}");
        Ok(())
    })
    .await
}
