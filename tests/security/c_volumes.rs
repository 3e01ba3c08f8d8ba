//! Attacks C3 and C11: to mount what is somebody else's, and to harm others through what is shared.

use anyhow::{Context as _, ensure};
use devserver_e2e::{Rig, SHARED, claim, is_running, judged, offer, refusal};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

/// Both fields by which a claim can be named.
fn naming(claim: &str) -> [Value; 2] {
    [
        json!({"sharedVolumeClaimName": claim, "volumes": null}),
        json!({"sharedVolumeClaimName": null, "volumes": [{"claimName": claim, "mountPath": "/data"}]}),
    ]
}

#[tokio::test]
async fn c3_claims_that_nobody_shared_are_not_mounted() -> anyhow::Result<()> {
    with_namespace("c3 claims", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut alice = rig.sample();
        alice.metadata.name = Some("alice".to_owned());
        scene.create(&alice).await?;
        scene.status("alice", "runs", is_running).await?;
        claim(&scene, "unlabelled", None).await?;
        claim(&scene, "half", Some(("devserver.io/shared", "false"))).await?;
        claim(&scene, "alike", Some(("devserver.io/name", "alice"))).await?;
        rig.running().await?;
        let before = rig.snapshot().await?;
        for (name, reason) in [
            ("home-alice-0", "ClaimNotShared"),
            ("unlabelled", "ClaimNotShared"),
            ("half", "ClaimNotShared"),
            ("alike", "ClaimNotShared"),
            ("home-workbench-0", "ClaimNotShared"),
            ("absent", "ClaimNotFound"),
        ] {
            for change in naming(name) {
                scene.patch(sample::NAME, json!({"spec": change})).await?;
                let (status, message) = judged(&scene, reason).await?;
                ensure!(
                    message.contains(name) && message.contains("spec."),
                    "{message}"
                );
                ensure!(is_running(&status), "{status:?}");
            }
        }
        rig.is_unchanged_since(&before).await
    })
    .await
}

#[tokio::test]
async fn c3_a_claim_of_another_namespace_cannot_even_be_named() -> anyhow::Result<()> {
    with_namespace("c3 names", async |scene| {
        scene
            .create(&sample::devserver(sample::NAME, "any"))
            .await?;
        let api: Api<devserver_api::DevServer> = scene.api();
        for name in [
            "dev-alice/home-alice-0",
            "../home",
            "/home",
            "Home",
            "a b",
            "a\n",
            "",
        ] {
            for change in naming(name) {
                let patch = Patch::Merge(json!({"spec": change}));
                let answer = api
                    .patch(sample::NAME, &PatchParams::default(), &patch)
                    .await;
                let message = refusal(answer).with_context(|| name.to_owned())?;
                ensure!(message.contains("laimName"), "{name:?}: {message}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c11_a_flavors_shared_claim_is_read_only_and_never_keeps_anybody_from_starting()
-> anyhow::Result<()> {
    with_namespace("c11 shared", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        claim(&scene, "reference", None).await?;
        claim(&scene, "own", SHARED).await?;
        let spec = json!({
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            "volumes": [
                {"claimName": "reference", "mountPath": "/reference", "readOnly": true},
                {"claimName": "not-here", "mountPath": "/not-here"},
                {"claimName": "reference", "mountPath": "/data"},
            ],
        });
        let flavor = offer(&scene, "volumes", spec).await?;
        let mut server = rig.sample();
        server.spec.flavor = Some(flavor);
        server.spec.volumes =
            serde_json::from_value(json!([{"claimName": "own", "mountPath": "/data"}]))?;
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let mounts = mounted(&scene.api::<StatefulSet>().get(sample::NAME).await?);
        let expected = [("/data", "own", false), ("/reference", "reference", true)]
            .map(|(path, claim, read_only)| (path.to_owned(), claim.to_owned(), read_only));
        ensure!(mounts == expected, "{mounts:?}");
        Ok(())
    })
    .await
}

/// Path, claim and whether it is mounted and attached read-only.
fn mounted(workload: &StatefulSet) -> Vec<(String, String, bool)> {
    let pod = workload
        .spec
        .as_ref()
        .and_then(|s| s.template.spec.as_ref());
    let volumes = pod.and_then(|p| p.volumes.clone()).unwrap_or_default();
    let container = pod.and_then(|p| p.containers.first());
    let mounts = container.and_then(|c| c.volume_mounts.clone());
    let mut found: Vec<_> = mounts
        .into_iter()
        .flatten()
        .filter_map(|mount| {
            let volume = volumes.iter().find(|v| v.name == mount.name)?;
            let claim = volume.persistent_volume_claim.as_ref()?;
            let read_only = mount.read_only == Some(true) && claim.read_only == Some(true);
            Some((mount.mount_path, claim.claim_name.clone(), read_only))
        })
        .collect();
    found.sort();
    found
}
