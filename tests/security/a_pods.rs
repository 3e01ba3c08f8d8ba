//! Attacks A2, A9 and A10: to shape the pod by a DevServer, and to get onto nodes that are for others.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition::VALID};
use devserver_e2e::{Rig, has_reason, is_running, offer, refusal};
use devserver_testkit::{sample, wait, with_namespace};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PodTemplateSpec};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

/// What of a pod people would like to set; the values are what Kubernetes would take.
fn smuggled() -> Vec<(&'static str, Value)> {
    let root = json!({"name": "x", "image": "x", "securityContext": {"privileged": true}});
    let host = json!({"name": "x", "hostPath": {"path": "/"}});
    vec![
        ("nodeSelector", json!({"swish.io/workload": "gpu"})),
        ("nodeName", json!("control-plane")),
        ("tolerations", json!([{"operator": "Exists"}])),
        ("affinity", json!({"nodeAffinity": {}})),
        ("priorityClassName", json!("system-node-critical")),
        ("priorityClass", json!("system-node-critical")),
        ("runtimeClassName", json!("host")),
        ("schedulerName", json!("mine")),
        ("securityContext", json!({"privileged": true})),
        ("hostNetwork", json!(true)),
        ("hostPID", json!(true)),
        ("hostUsers", json!(true)),
        ("isolation", json!("HostUsers")),
        ("serviceAccountName", json!("default")),
        ("serviceAccountAnnotations", json!({"role": "admin"})),
        ("automountServiceAccountToken", json!(true)),
        ("initContainers", json!([root])),
        ("containers", json!([root])),
        ("podTemplate", json!({"spec": {"containers": [root]}})),
        ("env", json!([{"name": "LD_PRELOAD", "value": "/tmp/x"}])),
        ("command", json!(["/bin/sh"])),
        (
            "volumes",
            json!([{"claimName": "a", "mountPath": "/data", "hostPath": {"path": "/"}}]),
        ),
        ("volumes", json!([host])),
        ("ssh", json!({"publicKey": sample::KEY, "image": "x"})),
        ("resources", json!({"claims": [{"name": "x"}]})),
        (
            "lifecycle",
            json!({"preStop": {"exec": {"command": ["x"]}}}),
        ),
    ]
}

async fn template(rig: &Rig) -> anyhow::Result<PodTemplateSpec> {
    let workload = rig.scene.api::<StatefulSet>().get(sample::NAME).await?;
    Ok(workload.spec.context("no spec")?.template)
}

#[tokio::test]
async fn a2_a9_what_is_no_field_is_refused_by_name() -> anyhow::Result<()> {
    with_namespace("a9 strict", async |scene| {
        let api: Api<DevServer> = scene.api();
        for (field, value) in smuggled() {
            let mut spec = json!({"flavor": "any", "ssh": {"publicKey": sample::KEY}});
            spec[field] = value.clone();
            let server = json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServer",
                "metadata": {"name": sample::NAME}, "spec": spec,
            });
            let params = PatchParams::apply("mallory").validation_strict();
            let answer = api
                .patch(sample::NAME, &params, &Patch::Apply(&server))
                .await;
            let message = refusal(answer).with_context(|| format!("{field} {value}"))?;
            let named = message.contains("not declared in schema")
                || message.contains("unknown field")
                || message.contains("Required value");
            ensure!(named, "{field}: {message}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a2_a9_what_is_no_field_has_no_effect_where_nobody_checks() -> anyhow::Result<()> {
    with_namespace("a9 pruned", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = template(&rig).await?;
        // Untyped: what our own type does not know would be lost on the way, and the check could not fail.
        let api: Api<DynamicObject> = Api::namespaced_with(
            scene.client(),
            scene.namespace(),
            &ApiResource::erase::<DevServer>(&()),
        );
        for (field, value) in smuggled() {
            // Those are fields; what is smuggled inside them is the matter of the strict test.
            if ["volumes", "ssh", "resources", "lifecycle"].contains(&field) {
                continue;
            }
            let change = Patch::Merge(json!({"spec": {field: value}}));
            let changed = api
                .patch(sample::NAME, &PatchParams::default(), &change)
                .await?;
            let stored = changed.data.get("spec").context("no spec")?;
            ensure!(stored.get(field).is_none(), "{field} was kept: {stored}");
        }
        scene.nudge(sample::NAME).await?;
        scene
            .patch(sample::NAME, json!({"spec": {"ssh": {"motd": "looked"}}}))
            .await?;
        scene
            .status(sample::NAME, "is looked at", is_running)
            .await?;
        ensure!(template(&rig).await? == before, "the pod template changed");
        Ok(())
    })
    .await
}

fn tolerates_high_memory(template: &PodTemplateSpec) -> bool {
    let tolerations = template.spec.as_ref().and_then(|s| s.tolerations.as_ref());
    tolerations.into_iter().flatten().any(|t| {
        t.key.as_deref() == Some("swish.io/workload") && t.value.as_deref() == Some("high-memory")
    })
}

#[tokio::test]
async fn a10_one_byte_more_opens_the_high_memory_pool_only_to_whom_the_flavor_allows_it()
-> anyhow::Result<()> {
    with_namespace("a10 memory", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = template(&rig).await?;
        for (resources, reason) in [
            (
                json!({"requests": {"memory": "68719476737"}}),
                "ResourcesTooLarge",
            ),
            (json!({"limits": {"memory": "65Gi"}}), "ResourcesTooLarge"),
            (json!({"limits": {"nvidia.com/gpu": 1}}), "FlavorNotAllowed"),
        ] {
            let change = json!({"spec": {"resources": resources}});
            scene.patch(sample::NAME, change).await?;
            scene
                .status(sample::NAME, reason, |s| {
                    has_reason(s, VALID, reason) && is_running(s)
                })
                .await?;
            ensure!(
                template(&rig).await? == before,
                "{resources}: the template changed"
            );
            scene
                .patch(sample::NAME, json!({"spec": {"resources": null}}))
                .await?;
            scene
                .status(sample::NAME, "is valid again", |s| {
                    has_reason(s, VALID, "Valid")
                })
                .await?;
        }
        let large = json!({
            "resources": {"requests": {"cpu": "4", "memory": "16Gi"}},
            "maximumResources": {"cpu": "8", "memory": "100Gi"},
        });
        let flavor = offer(&scene, "memory", large).await?;
        let exactly =
            json!({"spec": {"flavor": flavor, "resources": {"requests": {"memory": "64Gi"}}}});
        scene.patch(sample::NAME, exactly).await?;
        scene
            .object::<StatefulSet>(sample::NAME, "asks for 64Gi", |w| requests(w, "64Gi"))
            .await?;
        ensure!(
            !tolerates_high_memory(&template(&rig).await?),
            "64Gi is not above 64Gi"
        );
        let more = json!({"spec": {"resources": {"requests": {"memory": "68719476737"}}}});
        scene.patch(sample::NAME, more).await?;
        scene
            .object::<StatefulSet>(sample::NAME, "asks for a byte more", |w| {
                requests(w, "68719476737")
            })
            .await?;
        let template = template(&rig).await?;
        ensure!(tolerates_high_memory(&template), "{template:?}");
        let second = std::time::Duration::from_secs(1);
        wait::quiet(rig.operator.trace(), second, 30 * second).await
    })
    .await
}

fn requests(workload: &StatefulSet, memory: &str) -> bool {
    let pod = workload
        .spec
        .as_ref()
        .and_then(|s| s.template.spec.as_ref());
    let container = pod.and_then(|p| p.containers.first());
    let resources = container.and_then(|c| c.resources.as_ref());
    let requests = resources.and_then(|r| r.requests.as_ref());
    requests
        .and_then(|r| r.get("memory"))
        .is_some_and(|m| m.0 == memory)
}
