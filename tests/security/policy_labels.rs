//! Labels and annotations devserver.io/… are the platform's.

use devserver_api::{DevServer, group};
use devserver_testkit::{chart, with_namespace};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::guard::{Guarded, is_refused};

fn claim(labels: &Value) -> anyhow::Result<PersistentVolumeClaim> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "data", "labels": labels},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }))?)
}

fn labels(key: &str, value: &Value) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"labels": {key: value}}}))
}

fn annotations(key: &str, value: &Value) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"annotations": {key: value}}}))
}

#[tokio::test]
async fn c3_only_an_administrator_says_that_a_claim_is_shared() -> anyhow::Result<()> {
    with_namespace("policy shared label", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let claims = guarded.api::<PersistentVolumeClaim>();
        let forged = claim(&json!({group::LABEL_SHARED: "true"}))?;
        let words = ["metadata.labels", group::LABEL_SHARED];
        let made = claims.create(&PostParams::default(), &forged).await;
        is_refused(made, "labels", &words)?;
        claims
            .create(&PostParams::default(), &claim(&json!({"team": "a"}))?)
            .await?;
        let params = PatchParams::default();
        let shared = labels(group::LABEL_SHARED, &json!("true"));
        is_refused(
            claims.patch("data", &params, &shared).await,
            "labels",
            &words,
        )?;
        // Said by an administrator it stays said, also against the user who may do everything else with the claim.
        let theirs = scene.api::<PersistentVolumeClaim>();
        theirs.patch("data", &params, &shared).await?;
        for value in [json!("false"), json!(null)] {
            let changed = claims
                .patch("data", &params, &labels(group::LABEL_SHARED, &value))
                .await;
            is_refused(changed, "labels", &words)?;
        }
        claims
            .patch("data", &params, &labels("team", &json!("b")))
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_the_platform_wrote_on_an_object_is_not_changed_by_others() -> anyhow::Result<()> {
    with_namespace("policy own labels", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "ours",
            "labels": {group::LABEL_NAME: "workbench", group::LABEL_UID: "1"},
            "annotations": {"devserver.io/owner": "alice"}}}))?;
        scene
            .api::<ConfigMap>()
            .create(&PostParams::default(), &object)
            .await?;
        let maps = guarded.api::<ConfigMap>();
        let params = PatchParams::default();
        for patch in [
            labels(group::LABEL_NAME, &json!("other")),
            labels(group::LABEL_UID, &json!(null)),
            labels("devserver.io/new", &json!("x")),
        ] {
            let changed = maps.patch("ours", &params, &patch).await;
            is_refused(changed, "labels", &["metadata.labels devserver.io/"])?;
        }
        for value in [json!("mallory"), json!(null)] {
            let patch = annotations("devserver.io/owner", &value);
            let changed = maps.patch("ours", &params, &patch).await;
            is_refused(
                changed,
                "labels",
                &["metadata.annotations devserver.io/owner"],
            )?;
        }
        // Everything else on the same object is the user's own affair.
        let patch = Patch::Merge(json!({"data": {"a": "b"}, "metadata": {"labels": {"x": "y"}}}));
        maps.patch("ours", &params, &patch).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_user_restarts_stops_and_holds_by_the_annotations_that_are_theirs() -> anyhow::Result<()>
{
    with_namespace("policy restart", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let servers = guarded.api::<DevServer>();
        let server = servers
            .create(&PostParams::default(), &guarded.devserver())
            .await?;
        let name = server.metadata.name.unwrap_or_default();
        let params = PatchParams::default();
        let theirs = [
            group::ANNOTATION_RESTART,
            group::ANNOTATION_SUSPENDED_BY,
            "devserver.io/hold",
            "devserver.io/held-by",
        ];
        for key in theirs {
            for value in [json!("some-value"), json!(null)] {
                let patch = annotations(key, &value);
                servers.patch(&name, &params, &patch).await?;
            }
        }
        let patch = annotations("devserver.io/applied-hash", &json!("x"));
        let changed = servers.patch(&name, &params, &patch).await;
        is_refused(changed, "labels", &["devserver.io/applied-hash"])?;
        let patch = annotations(group::ANNOTATION_RESTART, &json!("x"));
        let maps = guarded.api::<ConfigMap>();
        let map = serde_json::from_value(json!({"metadata": {"name": "x"}}))?;
        maps.create(&PostParams::default(), &map).await?;
        let changed = maps.patch("x", &params, &patch).await;
        is_refused(changed, "labels", &[group::ANNOTATION_RESTART])
    })
    .await
}

#[tokio::test]
async fn a_namespace_does_not_become_somebody_elses() -> anyhow::Result<()> {
    with_namespace("policy namespace", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let namespaces: Api<Namespace> = Api::all(guarded.alice.client.clone());
        let patch = labels(group::LABEL_NAMESPACE_USER, &json!("bob"));
        let changed = namespaces
            .patch(scene.namespace(), &PatchParams::default(), &patch)
            .await;
        is_refused(changed, "labels", &[group::LABEL_NAMESPACE_USER])
    })
    .await
}

#[tokio::test]
async fn the_operator_and_kubernetes_own_controllers_write_these_keys() -> anyhow::Result<()> {
    with_namespace("policy exempt", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let controller = "system:serviceaccount:kube-system:statefulset-controller";
        for (index, name) in [chart::OPERATOR, controller].into_iter().enumerate() {
            let mut config = scene.cluster().config.clone();
            config.auth_info.impersonate = Some(name.to_owned());
            let subject = json!({"kind": "User", "name": name});
            crate::guard::everything(&scene, subject).await?;
            let client = Client::try_from(config)?;
            let able = ("", "configmaps");
            crate::guard::until_may(&client, Some(scene.namespace()), "create", able).await?;
            let maps: Api<ConfigMap> = Api::namespaced(client, scene.namespace());
            let object = json!({"metadata": {"name": format!("ours-{index}"), "labels": {group::LABEL_UID: "1"}}});
            let object = serde_json::from_value(object)?;
            maps.create(&PostParams::default(), &object).await?;
        }
        // And the same request by the user is refused: it is who asks that matters.
        let object = json!({"metadata": {"name": "forged", "labels": {group::LABEL_UID: "1"}}});
        let made = guarded
            .api::<ConfigMap>()
            .create(&PostParams::default(), &serde_json::from_value(object)?)
            .await;
        is_refused(made, "labels", &[group::LABEL_UID])
    })
    .await
}
