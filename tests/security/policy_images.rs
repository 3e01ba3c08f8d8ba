//! Images of allowed registries only, judged by the API server as the operator judges them.

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_e2e::refusal;
use devserver_testkit::{Scene, chart, sample, with_namespace};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::guard::{Guarded, is_refused, policy, restrict, until_refused};

const OWN: &str = "registry.example.com/platform/base:1";

/// Images of allowed repositories, however they are written.
const GOOD: [&str; 9] = [
    "allowed.io/x",
    "allowed.io/deep/er/x:1",
    "ubuntu",
    "ubuntu:22.04",
    "library/ubuntu",
    "docker.io/ubuntu",
    "index.docker.io/library/ubuntu:22.04",
    "registry.example.com:5000/team/x",
    OWN,
];
/// Images that only look so.
const BAD: [&str; 12] = [
    "evil.io/x",
    "allowed.io.evil.com/x",
    "allowed.iox/y",
    "evil.io/allowed.io/x",
    "allowed.io:444/x",
    "libraryx/ubuntu",
    "docker.io/librarian/x",
    "registry.example.com/team/x",
    "registry.example.com:5000/teams/x",
    "localhost/allowed.io",
    "eVil/library/x",
    "registry.example.com/platform/base:2",
];

/// The policy for this namespace alone, with another list: `None` allows every image.
async fn install(scene: &Scene, allowed: Option<&[&str]>) -> anyhow::Result<()> {
    let ending = format!("-{}", sample::word(6));
    for mut object in policy("devserver-images")? {
        let own = json!({"kubernetes.io/metadata.name": scene.namespace()});
        restrict(&mut object, &ending, &own)?;
        // What the chart writes there from its values.
        let values = [
            ("anyImage", json!(allowed.is_none()).to_string()),
            ("ownImage", json!(OWN).to_string()),
            ("allowed", json!(allowed.unwrap_or_default()).to_string()),
        ];
        let variables = object.data.pointer_mut("/spec/variables");
        let mut variables = variables.and_then(Value::as_array_mut);
        for (name, expression) in values {
            for variable in variables.iter_mut().flat_map(|list| list.iter_mut()) {
                if variable["name"] == name {
                    variable["expression"] = json!(expression);
                }
            }
        }
        scene.own(&mut object.metadata);
        chart::install(&scene.client(), &object).await?;
    }
    Ok(())
}

fn with_image(guarded: &Guarded, image: Option<&str>) -> DevServer {
    let mut server = guarded.devserver();
    server.metadata.name = Some(format!("m{}", sample::word(8)));
    server.spec.image = image.map(str::to_owned);
    server
}

async fn guarded(scene: &Scene, allowed: &[&str]) -> anyhow::Result<Guarded> {
    let guarded = Guarded::new(scene.clone()).await?;
    install(scene, Some(allowed)).await?;
    let bad = with_image(&guarded, Some("evil.example.com/x"));
    until_refused(&guarded.api(), &bad, "spec.image").await?;
    Ok(guarded)
}

#[tokio::test]
async fn d8_registry_and_path_are_compared_as_a_whole_by_the_api_server_too() -> anyhow::Result<()>
{
    with_namespace("policy images", async |scene| {
        let allowed = [
            "allowed.io",
            "docker.io/library",
            "registry.example.com:5000/team",
        ];
        let guarded = guarded(&scene, &allowed).await?;
        let servers = guarded.api::<DevServer>();
        let digest = "a".repeat(64);
        let pinned = format!("allowed.io/x:1@sha256:{digest}");
        for image in GOOD.into_iter().chain([pinned.as_str()]) {
            servers
                .create(&PostParams::default(), &with_image(&guarded, Some(image)))
                .await?;
        }
        servers
            .create(&PostParams::default(), &with_image(&guarded, None))
            .await?;
        let evil_pinned = format!("evil.io/allowed.io@sha256:{digest}");
        for image in BAD.into_iter().chain([evil_pinned.as_str()]) {
            let made = servers
                .create(&PostParams::default(), &with_image(&guarded, Some(image)))
                .await;
            is_refused(made, "images", &["spec.image", image, "docker.io/library"])?;
        }
        for image in [
            "allowed.io@evil",
            "library/../x",
            "аllowed.io/x",
            "allowed.io/X",
            "allowed.io/x@sha256:00",
        ] {
            let made = servers
                .create(&PostParams::default(), &with_image(&guarded, Some(image)))
                .await;
            let message = refusal(made)?;
            ensure!(message.contains("spec.image"), "{image}: {message}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_shorter_list_refuses_no_change_elsewhere() -> anyhow::Result<()> {
    with_namespace("policy images old", async |scene| {
        let guarded = guarded(&scene, &[]).await?;
        let mut old = with_image(&guarded, Some("was-allowed.example.com/x"));
        old.metadata.name = Some("old".to_owned());
        scene.create(&old).await?;
        let servers = guarded.api::<DevServer>();
        let params = PatchParams::default();
        let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
        servers.patch("old", &params, &patch).await?;
        let patch = Patch::Merge(json!({"spec": {"image": "was-allowed.example.com/y"}}));
        let changed = servers.patch("old", &params, &patch).await;
        is_refused(changed, "images", &["spec.image", "its own images only"])?;
        let patch = Patch::Merge(json!({"spec": {"image": OWN}}));
        servers.patch("old", &params, &patch).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_a_list_every_image_is_allowed_and_with_an_empty_one_none() -> anyhow::Result<()> {
    with_namespace("policy images any", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let servers = guarded.api::<DevServer>();
        let server = with_image(&guarded, Some("anything.example.com/x"));
        install(&scene, None).await?;
        servers.create(&PostParams::default(), &server).await?;
        // Both hold at once, and one refusal is enough.
        install(&scene, Some(&[])).await?;
        let server = with_image(&guarded, Some("anything.example.com/x"));
        until_refused(&servers, &server, "its own images only").await?;
        let made = servers.create(&PostParams::default(), &server).await;
        is_refused(made, "images", &["spec.image", "remove the field"])?;
        for image in [None, Some(OWN)] {
            servers
                .create(&PostParams::default(), &with_image(&guarded, image))
                .await?;
        }
        Ok(())
    })
    .await
}
