//! What admission says of a flavor that makes no sense: the field, and the remedy.

use anyhow::{Context as _, ensure};
use devserver_api::DevServerFlavor;
use devserver_e2e::refusal;
use devserver_testkit::with_namespace;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

/// Creates a flavor with that spec, but not really.
async fn try_out(client: &kube::Client, spec: &Value) -> Result<DevServerFlavor, kube::Error> {
    let object = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "tried"}, "spec": spec,
    });
    // By the address, because the type would refuse some of it first.
    let request = http::Request::post("/apis/devserver.io/v1/devserverflavors?dryRun=All")
        .header("Content-Type", "application/json")
        .body(object.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

#[tokio::test]
async fn a_flavor_that_makes_no_sense_is_refused_with_field_and_remedy() -> anyhow::Result<()> {
    with_namespace("bad flavors", async |scene| {
        let client = scene.client();
        for (spec, words) in [
            (json!({"resources": {"requests": {"cpu": "lots"}}}), ["spec.resources.requests.cpu", "should match"]),
            (json!({"resources": {"limits": {"memory": "1GiB"}}}), ["spec.resources.limits.memory", "should match"]),
            (json!({"minimumResources": {"cpu": "-1"}}), ["spec.minimumResources.cpu", "should match"]),
            (
                json!({"resources": {"requests": {"cpu": 3}, "limits": {"cpu": "2"}}}),
                ["spec.resources.requests", "must not be larger than spec.resources.limits: cpu"],
            ),
            (
                json!({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
                ["spec.resources.requests", "must not be larger than spec.resources.limits: memory"],
            ),
            (
                json!({"resources": {"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": 1}}}),
                ["spec.resources.requests", "must not be larger than spec.resources.limits: nvidia.com/gpu"],
            ),
            (
                json!({"resources": {"requests": {"cpu": "1"}}, "minimumResources": {"cpu": "1001m"}}),
                ["spec.minimumResources", "must not be more than spec.resources.requests: cpu"],
            ),
            (
                json!({"resources": {"requests": {"memory": "1Gi"}}, "maximumResources": {"memory": "1023Mi"}}),
                ["spec.maximumResources", "must be at least spec.resources.requests: memory"],
            ),
            (json!({"tolerations": [{"key": "a", "operator": "Exist"}]}), ["spec.tolerations", "must be Equal or Exists"]),
            (json!({"tolerations": [{"key": "a", "effect": "Never"}]}), ["spec.tolerations", "must be NoSchedule"]),
            (json!({"tolerations": [{"operator": "Exists", "value": "a"}]}), ["spec.tolerations", "must not have a value"]),
            (json!({"tolerations": [{"value": "a"}]}), ["spec.tolerations", "needs a key"]),
        ] {
            let message = refusal(try_out(&client, &spec).await).with_context(|| spec.to_string())?;
            for word in words {
                ensure!(message.contains(word), "{spec}: {word:?} is missing in: {message}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn flavors_that_make_sense_are_accepted_and_read_back_as_they_are() -> anyhow::Result<()> {
    with_namespace("good flavors", async |scene| {
        let api: Api<DevServerFlavor> = Api::all(scene.client());
        for (i, spec) in [
            json!({}),
            json!({"resources": {}}),
            json!({"resources": {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"cpu": "2000m", "memory": "1024Mi"}}}),
            json!({"resources": {"limits": {"nvidia.com/gpu": 1}}}),
            json!({"resources": {"requests": {"cpu": "1"}}, "minimumResources": {"cpu": "100m"}, "maximumResources": {"cpu": 4}}),
            json!({"tolerations": [{"operator": "Exists"}, {"key": "a"}, {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute"}]}),
        ]
        .into_iter()
        .enumerate()
        {
            try_out(&scene.client(), &spec).await.with_context(|| spec.to_string())?;
            let mut flavor: DevServerFlavor = serde_json::from_value(json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor",
                "metadata": {"name": scene.flavor_name(&i.to_string())}, "spec": spec,
            }))?;
            scene.own(&mut flavor.metadata);
            let made = api.create(&PostParams::default(), &flavor).await?;
            ensure!(made.spec == flavor.spec, "{spec}: {:?}", made.spec);
        }
        Ok(())
    })
    .await
}
