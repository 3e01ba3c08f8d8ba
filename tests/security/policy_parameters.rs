//! Policies that ask about other objects: what is refused when the API server cannot have those.

use anyhow::{Context as _, ensure};
use devserver_api::DevServerFlavor;
use devserver_e2e::refusal;
use devserver_testkit::{
    Scene, chart, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::guard::{Guarded, policy, until_refused};

/// Label of the only flavors that the test's copies judge.
const LABEL: &str = "test.devserver.io/parameters";

/// The chart's policy for the objects of this scene alone, as it is when the kind of its parameters is not there: the
/// definitions were removed, or not installed yet.
async fn install_without_parameters(scene: &Scene, name: &str) -> anyhow::Result<()> {
    let copy = format!("{name}-{}", sample::word(6));
    for mut object in policy(name)? {
        object.metadata.name = Some(copy.clone());
        scene.own(&mut object.metadata);
        let is_binding = chart::kind_of(&object) == "ValidatingAdmissionPolicyBinding";
        let spec = object.data.get_mut("spec").and_then(Value::as_object_mut);
        let spec = spec.context("no spec")?;
        if is_binding {
            spec.insert("policyName".to_owned(), json!(copy));
        } else {
            let absent = json!({"apiVersion": "devserver.io/v1", "kind": "NobodyDefinedThis"});
            ensure!(spec.contains_key("paramKind"), "{name} takes no parameters");
            spec.insert("paramKind".to_owned(), absent);
            let constraints = spec
                .get_mut("matchConstraints")
                .and_then(Value::as_object_mut);
            let constraints = constraints.context("no matchConstraints")?;
            let own = json!({"matchLabels": {"kubernetes.io/metadata.name": scene.namespace()}});
            constraints.insert("namespaceSelector".to_owned(), own);
            if name == "devserver-default-flavor" {
                let own = json!({"matchLabels": {LABEL: scene.namespace()}});
                constraints.insert("objectSelector".to_owned(), own);
            }
        }
        chart::install(&scene.client(), &object).await?;
    }
    Ok(())
}

fn flavor(scene: &Scene) -> anyhow::Result<DevServerFlavor> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor",
        "metadata": {"name": scene.flavor_name("x"), "labels": {LABEL: scene.namespace()}},
        "spec": {"default": true, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
    }))?)
}

async fn until_delete_refused(
    claims: &Api<PersistentVolumeClaim>,
    name: &str,
) -> anyhow::Result<()> {
    let dry = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    let what = "the policy is at work";
    wait::until(what, PATIENCE, async || {
        Ok(match claims.delete(name, &dry).await {
            Err(kube::Error::Api(status)) if status.message.contains("paramKind") => Seen::Yes(()),
            other => Seen::NotYet(format!("{:?}", other.map(drop))),
        })
    })
    .await
}

#[tokio::test]
async fn a_policy_that_cannot_have_its_parameters_refuses() -> anyhow::Result<()> {
    with_namespace("policy parameters", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let with_parameters: Vec<String> = chart::of_kinds(&["ValidatingAdmissionPolicy"])?
            .iter()
            .filter(|policy| policy.data["spec"].get("paramKind").is_some())
            .map(kube::ResourceExt::name_any)
            .collect();
        ensure!(
            with_parameters == ["devserver-default-flavor", "devserver-homes"],
            "not all of these are tried here: {with_parameters:?}"
        );
        let home: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": {"name": "home-gone-0", "labels": {"devserver.io/name": "gone"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }))?;
        let claims = scene.api::<PersistentVolumeClaim>();
        claims.create(&PostParams::default(), &home).await?;
        // Alice may: the DevServer is gone, and the policy of the other tests finds that out.
        let own = guarded.api::<PersistentVolumeClaim>();
        let dry = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        own.delete(&home.name_any(), &dry).await?;

        install_without_parameters(&scene, "devserver-homes").await?;
        install_without_parameters(&scene, "devserver-default-flavor").await?;
        until_delete_refused(&own, &home.name_any()).await?;
        let deleted = own.delete(&home.name_any(), &DeleteParams::default()).await;
        let told = refusal(deleted)?;
        ensure!(told.contains("devserver-homes"), "{told}");
        claims.get(&home.name_any()).await?;

        // Nobody has marked a flavor as far as the policy knows, and it does not take that for an answer.
        let flavors: Api<DevServerFlavor> = Api::all(scene.client());
        until_refused(&flavors, &flavor(&scene)?, "paramKind").await?;
        let made = flavors.create(&PostParams::default(), &flavor(&scene)?).await;
        let told = refusal(made.map(drop))?;
        ensure!(told.contains("devserver-default-flavor"), "{told}");
        Ok(())
    })
    .await
}
