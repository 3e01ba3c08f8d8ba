//! Attacks C1, C5, C6 and C12: to see, take or catch what is another's.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use devserver_api::group;
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{Scene, certificates, sample, users::User, with_namespace};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::{
    Client, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::json;

use crate::guard::{bind, install_roles, until_may};

/// Somebody with the rights that the chart gives, in one namespace.
async fn developer(scene: &Scene, name: &str) -> anyhow::Result<User> {
    let name = format!("{name}-{}", sample::word(6));
    let user = certificates::person(scene.cluster(), &name, None).await?;
    let subject = json!({"kind": "User", "name": name});
    bind(scene, subject, "devserver-user").await?;
    let servers = (group::GROUP, "devservers");
    until_may(&user.client, Some(scene.namespace()), "list", servers).await?;
    Ok(user)
}

async fn code(client: &Client, method: &str, path: &str) -> anyhow::Result<u16> {
    let mut request = http::Request::builder().method(method).uri(path);
    if method == "PATCH" {
        request = request.header("content-type", "application/merge-patch+json");
    }
    let body = if method == "GET" {
        Vec::new()
    } else {
        b"{}".to_vec()
    };
    match client.request_text(request.body(body)?).await {
        Ok(_) => Ok(200),
        Err(kube::Error::Api(status)) => Ok(status.code),
        Err(other) => Err(other.into()),
    }
}

/// What belongs to a machine, and every way to ask for it.
fn requests(namespace: &str) -> Vec<(&'static str, String)> {
    let mut requests = Vec::new();
    for (root, plural, name) in [
        ("/apis/devserver.io/v1", "devservers", "workbench"),
        ("/api/v1", "pods", "workbench-0"),
        ("/api/v1", "secrets", "workbench-host-keys"),
        ("/api/v1", "secrets", "workbench-authorized-keys"),
        ("/api/v1", "configmaps", "workbench-sshd-config"),
        ("/api/v1", "persistentvolumeclaims", "home-workbench-0"),
        ("/api/v1", "services", "workbench-ssh"),
        ("/api/v1", "serviceaccounts", "devserver-workbench"),
        ("/api/v1", "events", "any"),
        ("/apis/events.k8s.io/v1", "events", "any"),
        ("/apis/apps/v1", "statefulsets", "workbench"),
    ] {
        let all = format!("{root}/namespaces/{namespace}/{plural}");
        requests.push(("GET", all.clone()));
        requests.push(("GET", format!("{all}?watch=1&timeoutSeconds=1")));
        requests.push(("DELETE", all.clone()));
        requests.push(("POST", all.clone()));
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            requests.push((method, format!("{all}/{name}")));
        }
        requests.push(("GET", format!("{root}/{plural}")));
    }
    let pod = format!("/api/v1/namespaces/{namespace}/pods/workbench-0");
    for (method, rest) in [
        ("GET", "log"),
        ("POST", "exec?command=id&stdout=true"),
        ("POST", "attach?stdout=true"),
        ("POST", "portforward"),
        ("GET", "proxy"),
        ("POST", "eviction"),
        ("PATCH", "ephemeralcontainers"),
        ("PATCH", "status"),
    ] {
        requests.push((method, format!("{pod}/{rest}")));
    }
    let account =
        format!("/api/v1/namespaces/{namespace}/serviceaccounts/devserver-workbench/token");
    requests.push(("POST", account));
    let status =
        format!("/apis/devserver.io/v1/namespaces/{namespace}/devservers/workbench/status");
    requests.push(("PATCH", status));
    requests
}

#[tokio::test]
async fn c1_a_strangers_machine_is_closed_in_every_way() -> anyhow::Result<()> {
    with_namespace("c1 mallory", async |own| {
        install_roles(&own.client()).await?;
        let mallory = developer(&own, "mallory").await?;
        let servers = |scene: &Scene| {
            format!(
                "/apis/devserver.io/v1/namespaces/{}/devservers",
                scene.namespace()
            )
        };
        ensure!(
            code(&mallory.client, "GET", &servers(&own)).await? == 200,
            "her own"
        );
        with_namespace("c1 alice", async |scene| {
            let rig = Rig::new(scene.clone()).await?;
            rig.running().await?;
            let alice = developer(&scene, "alice").await?;
            ensure!(
                code(&alice.client, "GET", &servers(&scene)).await? == 200,
                "alice's own"
            );
            let requests = requests(scene.namespace());
            ensure!(requests.len() > 100, "a short table");
            for (method, path) in &requests {
                let code = code(&mallory.client, method, path).await?;
                ensure!(code == 403, "{method} {path}: {code}");
            }
            // And it is all there, for the administrator to see.
            for name in ["workbench-host-keys", "workbench-authorized-keys"] {
                scene.api::<Secret>().get(name).await?;
            }
            Ok(())
        })
        .await
    })
    .await
}

/// What a Service sends its connections to.
fn selector(service: &Service) -> String {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
    let words = selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"));
    words.collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn c5_no_machine_takes_the_connections_of_another_by_its_name() -> anyhow::Result<()> {
    with_namespace("c5", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let names = ["a", "a-ssh", "a-headless", "kubernetes", "default"];
        for name in names {
            let mut server = rig.sample();
            server.metadata.name = Some(name.to_owned());
            scene.create(&server).await?;
        }
        for name in names {
            scene.status(name, "runs", is_running).await?;
        }
        for name in names {
            for service in [format!("{name}-ssh"), format!("{name}-headless")] {
                let found = scene.api::<Service>().get(&service).await?;
                let pods = ListParams::default().labels(&selector(&found));
                let pods = scene.api::<Pod>().list(&pods).await?;
                let pods: Vec<String> = pods.iter().map(kube::ResourceExt::name_any).collect();
                ensure!(pods == [format!("{name}-0")], "{service} leads to {pods:?}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c6_a_pod_that_looks_like_anothers_gets_none_of_its_connections() -> anyhow::Result<()> {
    with_namespace("c6", async |scene| {
        install_roles(&scene.client()).await?;
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let service = scene.api::<Service>().get("workbench-ssh").await?;
        ensure!(
            selector(&service).contains(group::LABEL_UID),
            "{}",
            selector(&service)
        );
        let own = scene.api::<Pod>().get("workbench-0").await?;
        // Every label but the one that nobody can know in advance, as if it were another DevServer's of that name.
        let mut labels = own.labels().clone();
        labels.insert(group::LABEL_UID.to_owned(), "another".to_owned());
        labels.insert("app".to_owned(), "workbench".to_owned());
        let lure: Pod =
            serde_json::from_value(json!({"metadata": {"name": "lure", "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}))?;
        let mallory = developer(&scene, "mallory").await?;
        let pods: kube::Api<Pod> = kube::Api::namespaced(mallory.client, scene.namespace());
        let message = devserver_e2e::refusal(pods.create(&PostParams::default(), &lure).await)?;
        ensure!(
            message.contains("cannot create resource \"pods\""),
            "{message}"
        );
        scene
            .api::<Pod>()
            .create(&PostParams::default(), &lure)
            .await?;
        let caught = ListParams::default().labels(&selector(&service));
        let caught = scene.api::<Pod>().list(&caught).await?;
        let caught: BTreeSet<String> = caught.iter().map(kube::ResourceExt::name_any).collect();
        ensure!(
            caught == BTreeSet::from(["workbench-0".to_owned()]),
            "{caught:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c12_an_image_of_a_users_choice_is_asked_for_at_its_registry_at_each_start()
-> anyhow::Result<()> {
    with_namespace("c12", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let pod = scene.api::<Pod>().get("workbench-0").await?;
        let spec = pod.spec.context("no spec")?;
        let dev = spec.containers.iter().find(|c| c.name == group::CONTAINER);
        let dev = dev.context("no container")?;
        ensure!(
            dev.image.as_deref() == Some(sample::IMAGE),
            "{:?}",
            dev.image
        );
        ensure!(
            dev.image_pull_policy.as_deref() == Some("Always"),
            "{:?}",
            dev.image_pull_policy
        );
        // The platform's own, which everybody may have, is not fetched anew.
        let tools = spec
            .volumes
            .into_iter()
            .flatten()
            .find_map(|volume| volume.image);
        let policy = tools.context("no tools")?.pull_policy;
        ensure!(policy.as_deref() == Some("IfNotPresent"), "{policy:?}");
        Ok(())
    })
    .await
}
