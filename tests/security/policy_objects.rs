//! In the namespaces of users the platform makes what runs and what leads there.

use anyhow::{Context as _, ensure};
use devserver_api::group;
use devserver_testkit::{
    Scene, certificates, chart, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::json;

use crate::guard::{Guarded, bind, install_roles, is_refused, until_may};

/// The smallest objects of kinds that a user does not make.
const FORBIDDEN: &str = r"
{apiVersion: v1, kind: Pod, spec: {containers: [{name: c, image: i}]}}
---
{apiVersion: v1, kind: Service, spec: {ports: [{port: 22}]}}
---
{apiVersion: v1, kind: Endpoints, subsets: []}
---
{apiVersion: v1, kind: PodTemplate, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}
---
{apiVersion: v1, kind: ReplicationController, spec: {selector: {a: b}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: ReplicaSet, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, spec: {serviceName: x, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, spec: {schedule: '* * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, spec: {defaultBackend: {service: {name: x, port: {number: 80}}}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {podSelector: {}, ingress: [{}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: []}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: x}}}
";

fn api(
    client: &Client,
    namespace: &str,
    object: &DynamicObject,
) -> anyhow::Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("no kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let plural = match kind.kind.as_str() {
        // Already plural; the rule of English would add to it.
        "Endpoints" => "endpoints",
        _ => "",
    };
    let resource = if plural.is_empty() {
        ApiResource::from_gvk(&kind)
    } else {
        ApiResource::from_gvk_with_plural(&kind, plural)
    };
    Ok(Api::namespaced_with(client.clone(), namespace, &resource))
}

#[tokio::test]
async fn nobody_makes_by_hand_what_the_platform_makes() -> anyhow::Result<()> {
    with_namespace("policy objects", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let objects: Vec<DynamicObject> = serde_saphyr::from_multiple(FORBIDDEN)?;
        ensure!(objects.len() == 16, "{} objects", objects.len());
        for mut object in objects {
            object.metadata.name = Some("mine".to_owned());
            let kind = chart::kind_of(&object).to_owned();
            let mine = api(&guarded.alice.client, scene.namespace(), &object)?;
            let made = mine.create(&PostParams::default(), &object).await;
            is_refused(made, "objects", &["spec of a DevServer"]).with_context(|| kind.clone())?;
            // The same by an administrator, and then changed by the user.
            let theirs = api(&scene.client(), scene.namespace(), &object)?;
            theirs
                .create(&PostParams::default(), &object)
                .await
                .with_context(|| kind.clone())?;
            let patch = Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}}}));
            let changed = mine.patch("mine", &PatchParams::default(), &patch).await;
            is_refused(changed, "objects", &["spec of a DevServer"]).context(kind)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_user_may_make_is_made() -> anyhow::Result<()> {
    with_namespace("policy objects accepted", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        for value in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": "b"}}),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ] {
            let object: DynamicObject = serde_json::from_value(value)?;
            let mine = api(&guarded.alice.client, scene.namespace(), &object)?;
            mine.create(&PostParams::default(), &object).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_is_no_users_is_left_alone() -> anyhow::Result<()> {
    with_namespace("policy objects elsewhere", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let nobodys = json!({"metadata": {"labels": {group::LABEL_NAMESPACE_USER: null}}});
        Api::<Namespace>::all(scene.client())
            .patch(
                scene.namespace(),
                &PatchParams::default(),
                &Patch::Merge(nobodys),
            )
            .await?;
        let object = json!({"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}});
        let object: Service = serde_json::from_value(object)?;
        // The API server hears of the label's end a moment later.
        wait::until("the policy leaves off", PATIENCE, async || {
            let services = guarded.api::<Service>();
            let made = services.create(&PostParams::default(), &object).await;
            Ok(Seen::when(made.is_ok(), format!("{:?}", made.err())))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn b8_no_token_without_end_is_made_for_another_account() -> anyhow::Result<()> {
    with_namespace("policy tokens", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": "default"}},
        }))?;
        let mine = api(&guarded.alice.client, scene.namespace(), &object)?;
        let made = mine.create(&PostParams::default(), &object).await;
        is_refused(made, "objects", &["type", "kubectl create token"])
    })
    .await
}

/// A right to make volumes that somebody was given by mistake.
async fn volume_maker(scene: &Scene, name: &str) -> anyhow::Result<()> {
    let role = scene.flavor_name("volumes");
    let objects = [
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role},
            "rules": [{"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["create", "get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]}),
    ];
    for object in objects {
        let mut object: DynamicObject = serde_json::from_value(object)?;
        scene.own(&mut object.metadata);
        chart::install(&scene.client(), &object).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a1_nobody_makes_a_volume_of_the_nodes_own_files() -> anyhow::Result<()> {
    with_namespace("policy volumes", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        volume_maker(&scene, &guarded.name).await?;
        let volumes = ("", "persistentvolumes");
        until_may(&guarded.alice.client, None, "create", volumes).await?;
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": scene.flavor_name("root")},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/"}},
        }))?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "PersistentVolume"));
        let volumes: Api<DynamicObject> = Api::all_with(guarded.alice.client.clone(), &resource);
        let made = volumes.create(&PostParams::default(), &object).await;
        is_refused(made, "objects", &["persistentvolumes"])
    })
    .await
}

/// Asks for a session in a container of a pod that is there, without going through with it.
async fn session(
    client: &Client,
    pod: &str,
    namespace: &str,
    how: &str,
) -> anyhow::Result<(u16, String)> {
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}/{how}");
    let request = http::Request::post(uri).body(Vec::new())?;
    match client.request_text(request).await {
        Ok(text) => Ok((200, text)),
        Err(kube::Error::Api(status)) => Ok((status.code, status.message)),
        Err(other) => Err(other.into()),
    }
}

#[tokio::test]
async fn a3_a_session_leads_into_the_machine_and_into_nothing_beside_it() -> anyhow::Result<()> {
    with_namespace("policy sessions", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {"name": "box-0"}, "spec": {"containers": [
            {"name": "dev", "image": "i"}, {"name": "ssh", "image": "i"}]}}),
        )?;
        let pod = scene
            .api::<Pod>()
            .create(&PostParams::default(), &pod)
            .await?;
        let (client, namespace) = (&guarded.alice.client, scene.namespace());
        let name = pod.name_any();
        for how in [
            "exec?container=ssh&command=id&stdout=true",
            "attach?container=ssh&stdout=true",
        ] {
            let (code, message) = session(client, &name, namespace, how).await?;
            ensure!(
                code == 403
                    && message.contains("'devserver-objects")
                    && message.contains("container dev"),
                "{how}: {code} {message}"
            );
        }
        // Let through by the policy; that no node is there to answer is not its affair.
        for how in [
            "exec?container=dev&command=id&stdout=true",
            "exec?command=id&stdout=true",
            "attach?container=dev&stdout=true",
        ] {
            let (code, message) = session(client, &name, namespace, how).await?;
            ensure!(code != 403, "{how}: {code} {message}");
        }
        let patch = Patch::Strategic(
            json!({"spec": {"ephemeralContainers": [{"name": "mine", "image": "i"}]}}),
        );
        let pods = guarded.api::<Pod>();
        let changed = pods
            .patch_ephemeral_containers(&name, &PatchParams::default(), &patch)
            .await;
        is_refused(changed, "objects", &["pods/ephemeralcontainers"])?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a3_with_the_rights_of_the_chart_there_is_no_session_at_all() -> anyhow::Result<()> {
    with_namespace("a3 rights", async |scene| {
        install_roles(&scene.client()).await?;
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {"name": "box-0"}, "spec": {"containers": [{"name": "dev", "image": "i"}]}}),
        )?;
        scene.api::<Pod>().create(&PostParams::default(), &pod).await?;
        let (name, namespace) = ("box-0", scene.namespace());
        let user = format!("bob-{}", sample::word(6));
        let bob = certificates::person(scene.cluster(), &user, None).await?;
        let subject = json!({"kind": "User", "name": user});
        bind(&scene, subject, "devserver-user").await?;
        until_may(&bob.client, Some(namespace), "get", ("", "pods")).await?;
        for how in [
            "exec?container=ssh&command=id&stdout=true",
            "exec?container=dev&command=id&stdout=true",
            "attach?container=dev&stdout=true",
        ] {
            let (code, message) = session(&bob.client, name, namespace, how).await?;
            ensure!(
                code == 403 && message.contains("cannot create resource"),
                "{how}: {code} {message}"
            );
        }
        let patch = Patch::Strategic(
            json!({"spec": {"ephemeralContainers": [{"name": "mine", "image": "i"}]}}),
        );
        let pods: Api<Pod> = Api::namespaced(bob.client, namespace);
        let changed = pods
            .patch_ephemeral_containers(name, &PatchParams::default(), &patch)
            .await;
        let message = devserver_e2e::refusal(changed)?;
        ensure!(
            message.contains("pods/ephemeralcontainers") && message.contains("forbidden"),
            "{message}"
        );
        Ok(())
    })
    .await
}
