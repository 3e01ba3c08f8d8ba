//! Whether a flavor would find a node: said in words, by events, and only when the answer changes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{Schedulable, condition};
use devserver_e2e::is_running;
use devserver_testkit::{
    Scene, certificates, chart,
    kubelet::Fortune,
    proxy::{
        request::Verb,
        rule::{Action, Count, Match, Rule},
    },
    sample, wait, with_namespace,
};
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use crate::flavor_rig::{AUTOSCALER, FlavorRig, LABEL, ROOM, one_cpu, settings};

#[tokio::test]
async fn a_flavor_says_whether_a_node_has_room_and_what_is_missing_when_none_has()
-> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("flavor status", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        let flavor = rig.flavor("one", one_cpu()).await?;
        let label = format!("{LABEL}={}", scene.namespace());
        rig.answers(&flavor, &format!("No: no node has the label {label}, which spec.nodeSelector asks for"))
            .await?;
        rig.node().await?;
        rig.answers(&flavor, ROOM).await?;
        let status = rig.told(&flavor, "has conditions", |s| s.conditions.len() == 2).await?;
        let schedulable = condition::find(&status.conditions, condition::SCHEDULABLE).context("none")?;
        ensure!((schedulable.status.as_str(), schedulable.reason.as_str()) == ("True", "NodeHasRoom"), "{schedulable:?}");

        rig.pod("big", "3500m", json!({})).await?;
        rig.answers(&flavor, "No: too little is left on {node}: cpu").await?;
        rig.end("big").await?;
        rig.answers(&flavor, ROOM).await?;
        // What starts before the main container takes its place as well.
        let init = json!({"initContainers": [{"name": "i", "image": "i", "resources": {"requests": {"memory": "7.5Gi"}}}]});
        rig.pod("init", "100m", init).await?;
        rig.answers(&flavor, "No: too little is left on {node}: memory").await?;
        rig.end("init").await?;
        rig.answers(&flavor, ROOM).await?;

        rig.node_spec(json!({"unschedulable": true})).await?;
        rig.told(&flavor, "cordoned", |s| s.schedulable == Some(Schedulable::No)).await?;
        rig.node_spec(json!({"unschedulable": null})).await?;
        rig.answers(&flavor, ROOM).await?;
        rig.node_status(false).await?;
        rig.told(&flavor, "not Ready", |s| {
            s.message.as_deref().is_some_and(|m| m.contains("not Ready") || m.contains("not-ready"))
        })
        .await?;
        rig.node_status(true).await?;
        rig.answers(&flavor, ROOM).await?;
        rig.node_spec(json!({"taints": [{"key": "keep", "value": "out", "effect": "NoExecute"}]})).await?;
        rig.answers(&flavor, "No: {node} would do, but spec.tolerations does not tolerate keep=out:NoExecute")
            .await?;
        rig.change(&flavor, json!({"tolerations": [{"key": "keep", "operator": "Exists"}]})).await?;
        rig.answers(&flavor, ROOM).await?;
        rig.change(&flavor, json!({"resources": {"requests": {"cpu": "5"}}})).await?;
        rig.answers(&flavor, "No: no node is large enough: {node} has 4 cpu, 5 is asked for").await
    })
    .await
}

#[tokio::test]
async fn a_flavor_without_resources_works() -> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("no resources", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        let _pods = scene.kubelet(Fortune::Ready);
        rig.node().await?;
        let flavor = rig.flavor("bare", json!({})).await?;
        rig.answers(&flavor, ROOM).await?;
        scene
            .create(&sample::devserver(sample::NAME, &flavor))
            .await?;
        scene
            .status(sample::NAME, "runs", is_running)
            .await
            .map(drop)
    })
    .await
}

#[tokio::test]
async fn pods_that_come_and_go_cost_no_write_and_no_request_while_the_answer_stays()
-> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("flavor at rest", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        let _pods = scene.kubelet(Fortune::Ready);
        rig.node().await?;
        let flavor = rig.flavor("one", one_cpu()).await?;
        rig.flavor("large", json!({"resources": {"requests": {"cpu": "64"}}}))
            .await?;
        rig.answers(&flavor, ROOM).await?;
        scene
            .create(&sample::devserver(sample::NAME, &flavor))
            .await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let trace = rig.operator.trace();
        wait::quiet(trace, Duration::from_secs(3), Duration::from_secs(60)).await?;
        let mark = trace.mark();
        for turn in 0..5 {
            for pod in 0..4 {
                rig.pod(&format!("pod-{turn}-{pod}"), "500m", json!({}))
                    .await?;
            }
            wait::no_writes(trace, Duration::from_millis(1500)).await?;
            for pod in 0..4 {
                rig.end(&format!("pod-{turn}-{pod}")).await?;
            }
        }
        wait::no_writes(trace, Duration::from_secs(3)).await?;
        let records = trace.records();
        let asked: Vec<String> = records
            .iter()
            .skip(mark)
            .map(|r| r.asked.summary())
            .collect();
        let lists = records
            .iter()
            .skip(mark)
            .filter(|r| r.asked.verb == Verb::List)
            .count();
        ensure!(lists == 0, "{lists} lists: {asked:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_told_of_a_flavor_survives_a_restart_and_a_failing_api_server() -> anyhow::Result<()>
{
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("flavor restart", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        rig.node().await?;
        let flavor = rig.flavor("one", one_cpu()).await?;
        rig.answers(&flavor, ROOM).await?;
        let before = rig.flavors().get(&flavor).await?;
        rig.operator.restart().await?;
        wait::no_writes(rig.operator.trace(), Duration::from_secs(4)).await?;
        ensure!(
            rig.flavors().get(&flavor).await? == before,
            "a restart changed the flavor"
        );
        rig.operator.proxy().arm(Rule {
            when: Match::writes_of("devserverflavors"),
            nth: Count::First(2),
            then: Action::fail(500, "InternalError"),
        });
        rig.node_spec(json!({"unschedulable": true})).await?;
        rig.told(&flavor, "cordoned", |s| {
            s.schedulable == Some(Schedulable::No)
        })
        .await
        .map(drop)
    })
    .await
}

#[tokio::test]
async fn who_may_not_list_the_pods_of_the_cluster_says_so() -> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("no right to pods", async |scene| {
        let rules = json!([
            {"apiGroups": ["devserver.io"], "resources": ["devserverflavors", "devserverusers"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["devserver.io"], "resources": ["devserverflavors/status"], "verbs": ["patch"]},
            {"apiGroups": [""], "resources": ["nodes", "persistentvolumes"], "verbs": ["get", "list", "watch"]},
        ]);
        let name = scene.flavor_name("operator");
        let user = certificates::person(scene.cluster(), &name, None).await?;
        grant(&scene, &name, rules).await?;
        let operator = scene.operator_as(&user.config, &settings(&scene)).await?;
        let rig = FlavorRig { scene: scene.clone(), operator };
        rig.node().await?;
        let flavor = rig.flavor("one", one_cpu()).await?;
        rig.answers(
            &flavor,
            "Unknown: it is not known what is free on the nodes: the operator may not list the pods of all namespaces",
        )
        .await?;
        let lost = rig.flavor("lost", json!({"nodeSelector": {"nowhere": "x"}})).await?;
        rig.told(&lost, "No", |s| s.schedulable == Some(Schedulable::No)).await.map(drop)
    })
    .await
}

/// Gives somebody these rights in the cluster, and all in the scene's namespace.
async fn grant(scene: &Scene, user: &str, rules: Value) -> anyhow::Result<()> {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let subjects = json!([{"apiGroup": group, "kind": "User", "name": user}]);
    let mut metadata = ObjectMeta::default();
    scene.own(&mut metadata);
    let owners = metadata.owner_references;
    let (cluster, place) = (
        json!({"name": user, "ownerReferences": owners}),
        json!({"name": user, "namespace": scene.namespace()}),
    );
    let role = |name: &str| json!({"apiGroup": group, "kind": "ClusterRole", "name": name});
    for object in [
        json!({"apiVersion": version, "kind": "ClusterRole", "metadata": cluster, "rules": rules}),
        json!({"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": cluster, "roleRef": role(user), "subjects": subjects}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": place, "roleRef": role("cluster-admin"), "subjects": subjects}),
    ] {
        chart::install(&scene.client(), &serde_json::from_value(object)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_flavor_that_makes_no_sense_is_explained_and_hurts_only_itself() -> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("invalid flavor", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        rig.node().await?;
        let good = rig.flavor("good", one_cpu()).await?;
        // Whole devices only: more than the schema can say.
        let odd = rig
            .flavor(
                "odd",
                json!({"resources": {"requests": {"example.com/device": "1"}}}),
            )
            .await?;
        let status = rig
            .told(&odd, "is invalid", |s| {
                s.schedulable == Some(Schedulable::No)
            })
            .await?;
        let valid =
            condition::find(&status.conditions, condition::VALID).context("no condition")?;
        ensure!(
            valid.status == "False" && valid.reason == "InvalidFlavor",
            "{valid:?}"
        );
        ensure!(
            valid
                .message
                .contains("spec.resources.limits.example.com/device is needed"),
            "{}",
            valid.message
        );
        rig.answers(&good, ROOM).await
    })
    .await
}
