//! A DevServerUser: a namespace, bounds and rights; changes, repairs, and an end that loses nothing.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, condition};
use devserver_testkit::{
    Operator, Scene,
    account::{Account, is_ready},
    chart, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{LimitRange, Namespace, Node, PersistentVolumeClaim, ResourceQuota, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::AuthInfo,
};
use serde_json::{Value, json};

const NAME: &str = "devserver-user";
const VIEW: &str = "devserver-user-clusterrole-view";
const CONFIG: &str = "allowedRoles: [ClusterRole/view]";

/// A user of the scene and an operator that looks after it.
async fn at_work(scene: &Scene) -> anyhow::Result<(Account, Operator)> {
    let account = Account::new(scene).await?;
    let operator = scene.operator_with(&account.settings(Some(CONFIG))).await?;
    Ok((account, operator))
}

fn full() -> Value {
    json!({
        "teams": ["genomics"],
        "quota": {"requests.cpu": "8000m", "count/devservers.devserver.io": "3"},
        "limits": [{"type": "Container", "max": {"cpu": "4"}}],
        "additionalRoleRefs": [{"kind": "ClusterRole", "name": "view"}],
    })
}

async fn namespace(account: &Account) -> anyhow::Result<Namespace> {
    let api: Api<Namespace> = Api::all(account.scene.client());
    Ok(api.get(&account.namespace()).await?)
}

/// Waits until something of the user's namespace is as wanted.
async fn until(what: &str, look: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    wait::until(what, PATIENCE, async || {
        Ok(Seen::when(look().await?, "not yet"))
    })
    .await
}

async fn bindings(account: &Account) -> anyhow::Result<Vec<String>> {
    let list = account
        .api::<RoleBinding>()
        .list(&ListParams::default())
        .await?;
    Ok(list.iter().map(kube::ResourceExt::name_any).collect())
}

#[tokio::test]
async fn a_user_gets_a_namespace_bounds_and_rights() -> anyhow::Result<()> {
    with_namespace("user full", async |scene| {
        let (account, operator) = at_work(&scene).await?;
        let user = account.ready(full()).await?;
        let status = user.status.clone().context("no status")?;
        ensure!(status.namespace == Some(account.namespace()), "{status:?}");
        let namespace = namespace(&account).await?;
        for (key, value) in [
            ("devserver.io/namespace-of", account.username.as_str()),
            ("pod-security.kubernetes.io/enforce", "baseline"),
            ("pod-security.kubernetes.io/warn", "baseline"),
            ("swish.io/team", "genomics"),
        ] {
            let label = namespace.labels().get(key).map(String::as_str);
            ensure!(label == Some(value), "{key} is {label:?}");
        }
        let quota = account.api::<ResourceQuota>().get(NAME).await?;
        let hard = quota.spec.and_then(|s| s.hard).unwrap_or_default();
        ensure!(
            hard.get("requests.cpu").is_some_and(|q| q.0 == "8"),
            "{hard:?}"
        );
        account.api::<LimitRange>().get(NAME).await?;
        let service_account = format!("{}-sa", account.username);
        account
            .api::<ServiceAccount>()
            .get(&service_account)
            .await?;
        for (name, role) in [(NAME, "devserver-user"), (VIEW, "view")] {
            let binding = account.api::<RoleBinding>().get(name).await?;
            ensure!(
                binding.role_ref.name == role && binding.role_ref.kind == "ClusterRole",
                "{binding:?}"
            );
            let subjects = binding.subjects.clone().unwrap_or_default();
            let named: Vec<(&str, &str)> = subjects
                .iter()
                .map(|s| (s.kind.as_str(), s.name.as_str()))
                .collect();
            ensure!(
                named
                    == [
                        ("User", account.username.as_str()),
                        ("ServiceAccount", service_account.as_str())
                    ],
                "{named:?}"
            );
            let owner = binding.owner_references().first().context("no owner")?;
            ensure!(owner.uid == user.uid().unwrap_or_default(), "{owner:?}");
        }
        wait::no_writes(operator.trace(), Duration::from_secs(3)).await
    })
    .await
}

#[tokio::test]
async fn what_a_user_no_longer_asks_for_goes_and_the_rest_follows() -> anyhow::Result<()> {
    with_namespace("user change", async |scene| {
        let (account, operator) = at_work(&scene).await?;
        account.ready(full()).await?;
        account
            .patch(json!({"spec": {
                "quota": {"requests.cpu": null, "requests.memory": "16Gi"}, "limits": null,
                "additionalRoleRefs": null, "teams": null, "podSecurity": "restricted",
            }}))
            .await?;
        account.status("is ready again", is_ready).await?;
        until("the quota follows", async || {
            let quota = account.api::<ResourceQuota>().get(NAME).await?;
            let hard = quota.spec.and_then(|s| s.hard).unwrap_or_default();
            let keys: Vec<&str> = hard.keys().map(String::as_str).collect();
            Ok(keys == ["count/devservers.devserver.io", "requests.memory"])
        })
        .await?;
        until("limits and the further role are gone", async || {
            let limits = account.api::<LimitRange>().get_opt(NAME).await?;
            Ok(limits.is_none() && bindings(&account).await? == [NAME])
        })
        .await?;
        let namespace = namespace(&account).await?;
        ensure!(
            !namespace.labels().contains_key("swish.io/team"),
            "{:?}",
            namespace.labels()
        );
        let level = namespace.labels().get("pod-security.kubernetes.io/enforce");
        ensure!(level.is_some_and(|l| l == "restricted"), "{level:?}");
        account.patch(json!({"spec": {"quota": null}})).await?;
        until("the quota is gone", async || {
            Ok(account
                .api::<ResourceQuota>()
                .get_opt(NAME)
                .await?
                .is_none())
        })
        .await?;
        account.status("has said so", is_ready).await?;
        wait::no_writes(operator.trace(), Duration::from_secs(3)).await
    })
    .await
}

#[tokio::test]
async fn what_others_change_or_delete_is_repaired() -> anyhow::Result<()> {
    with_namespace("user repair", async |scene| {
        let (account, operator) = at_work(&scene).await?;
        account.ready(full()).await?;
        let params = PatchParams::default();
        let more = Patch::Merge(json!({"spec": {"hard": {"requests.cpu": "800"}}}));
        account.api::<ResourceQuota>().patch(NAME, &params, &more).await?;
        let nobody = Patch::Merge(json!({"subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}]}));
        account.api::<RoleBinding>().patch(VIEW, &params, &nobody).await?;
        account.api::<RoleBinding>().delete(NAME, &DeleteParams::default()).await?;
        let open = Patch::Merge(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}));
        Api::<Namespace>::all(scene.client()).patch(&account.namespace(), &params, &open).await?;
        until("everything is as before", async || {
            let quota = account.api::<ResourceQuota>().get(NAME).await?;
            let hard = quota.spec.and_then(|s| s.hard).unwrap_or_default();
            let binding = account.api::<RoleBinding>().get_opt(NAME).await?;
            let view = account.api::<RoleBinding>().get(VIEW).await?;
            let subjects = view.subjects.unwrap_or_default();
            let labels = namespace(&account).await?.labels().clone();
            Ok(hard.get("requests.cpu").is_some_and(|q| q.0 == "8")
                && binding.is_some()
                && subjects.len() == 2
                && subjects.iter().all(|s| s.kind != "Group")
                && labels.get("pod-security.kubernetes.io/enforce").is_some_and(|l| l == "baseline"))
        })
        .await?;
        wait::no_writes(operator.trace(), Duration::from_secs(3)).await
    })
    .await
}

#[tokio::test]
async fn a_role_that_the_platform_does_not_allow_is_told_and_not_bound() -> anyhow::Result<()> {
    with_namespace("user role", async |scene| {
        let (account, _operator) = at_work(&scene).await?;
        let spec = json!({"additionalRoleRefs": [
            {"kind": "ClusterRole", "name": "cluster-admin"}, {"kind": "ClusterRole", "name": "view"},
        ]});
        account.create(spec).await?;
        let user = account
            .status("the role is refused", |s| {
                condition::find(&s.conditions, condition::VALID).is_some_and(|c| c.reason == "RoleNotAllowed")
            })
            .await?;
        let message = user.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(message.contains("ClusterRole/cluster-admin") && message.contains("allowedRoles"), "{message}");
        ensure!(bindings(&account).await? == [NAME, VIEW], "{:?}", bindings(&account).await?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_quota_that_the_api_server_refuses_gives_no_rights_and_is_told() -> anyhow::Result<()> {
    with_namespace("user quota refused", async |scene| {
        let (account, _operator) = at_work(&scene).await?;
        account.create(json!({"quota": {"nonsense": "1"}})).await?;
        let refused = |s: &devserver_api::DevServerUserStatus| {
            condition::find(&s.conditions, condition::READY)
                .is_some_and(|c| c.reason == "WriteRefused")
        };
        let user = account.status("the quota is refused", refused).await?;
        let message = user.status.and_then(|s| s.message).unwrap_or_default();
        ensure!(
            message.contains("ResourceQuota") && message.contains("nonsense"),
            "{message}"
        );
        ensure!(
            bindings(&account).await?.is_empty(),
            "rights without bounds"
        );
        account
            .patch(json!({"spec": {"quota": {"nonsense": null, "pods": "4"}}}))
            .await?;
        account
            .status("is ready once it is mended", is_ready)
            .await
            .map(drop)
    })
    .await
}

#[tokio::test]
async fn a_deleted_user_loses_rights_and_nothing_else_and_made_again_finds_everything()
-> anyhow::Result<()> {
    with_namespace("user delete", async |scene| {
        let (account, _operator) = at_work(&scene).await?;
        let first = account.ready(full()).await?;
        let home: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": {"name": "home-workbench-0"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }))?;
        let home = account.api::<PersistentVolumeClaim>().create(&PostParams::default(), &home).await?;
        let server = sample::devserver(sample::NAME, "no-such-flavor");
        let server = account.api::<DevServer>().create(&PostParams::default(), &server).await?;
        let before = namespace(&account).await?;
        account.users().delete(&account.username, &DeleteParams::default()).await?;
        until("all rights and bounds are gone", async || {
            let account_name = format!("{}-sa", account.username);
            Ok(bindings(&account).await?.is_empty()
                && account.api::<ServiceAccount>().get_opt(&account_name).await?.is_none()
                && account.api::<ResourceQuota>().get_opt(NAME).await?.is_none()
                && account.api::<LimitRange>().get_opt(NAME).await?.is_none())
        })
        .await?;
        ensure!(namespace(&account).await?.uid() == before.uid(), "the namespace");
        let second = account.ready(full()).await?;
        ensure!(second.uid() != first.uid(), "it is the same");
        ensure!(namespace(&account).await?.uid() == before.uid(), "the namespace was made anew");
        let kept = account.api::<PersistentVolumeClaim>().get("home-workbench-0").await?;
        ensure!(kept.uid() == home.uid() && kept.metadata.deletion_timestamp.is_none(), "the home");
        let kept = account.api::<DevServer>().get(sample::NAME).await?;
        ensure!(kept.uid() == server.uid(), "the DevServer");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_the_whole_cluster_and_without_a_selector_no_user_is_looked_after()
-> anyhow::Result<()> {
    with_namespace("user none", async |scene| {
        let account = Account::new(&scene).await?;
        let operator = scene.operator().await?;
        account.create(json!({})).await?;
        wait::no_writes(operator.trace(), Duration::from_secs(3)).await?;
        let log = std::fs::read_to_string(operator.log())?;
        ensure!(
            log.contains("does not look after users"),
            "the log does not say so"
        );
        Ok(())
    })
    .await
}

/// Rights that the chart gives to the operator, and no others: enough to look after users from their beginning to their end.
#[tokio::test]
async fn the_rights_of_the_chart_are_enough_to_look_after_users() -> anyhow::Result<()> {
    with_namespace("user rights", async |scene| {
        let client = scene.client();
        chart::install_namespace(&client).await?;
        for object in chart::of_kinds(&["ServiceAccount", "ClusterRole", "ClusterRoleBinding"])? {
            if object.name_any().starts_with("devserver-operator") {
                chart::install(&client, &object).await?;
            }
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), chart::NAMESPACE);
        let token = accounts
            .create_token_request("devserver-operator", &PostParams::default(), &TokenRequest::default())
            .await?;
        let mut config = scene.cluster().config.clone();
        config.auth_info = AuthInfo {
            token: Some(token.status.and_then(|s| s.token).context("no token")?.into()),
            ..AuthInfo::default()
        };
        let operator = kube::Client::try_from(config.clone())?;
        // Rights take effect a moment after they were given, and a start without them takes a long breath before the next try.
        wait::until("the rights are there", PATIENCE, async || {
            let all = ListParams::default();
            Api::<RoleBinding>::all(operator.clone()).list(&all).await?;
            Api::<Node>::all(operator.clone()).list(&all).await?;
            Api::<DevServer>::all(operator.clone()).list(&all).await?;
            Ok(Seen::Yes(()))
        })
        .await?;
        let account = Account::new(&scene).await?;
        scene
            .operator_as(&config, &account.settings(None))
            .await?;
        let mut spec = full();
        spec.as_object_mut().context("a spec")?.remove("additionalRoleRefs");
        account.ready(spec).await?;
        account.patch(json!({"spec": {"limits": null, "quota": null, "podSecurity": "restricted"}})).await?;
        until("limits and quota are gone", async || {
            Ok(account.api::<LimitRange>().get_opt(NAME).await?.is_none()
                && account.api::<ResourceQuota>().get_opt(NAME).await?.is_none())
        })
        .await?;
        // What it may not bind, it cannot bind: `view` is not in the default values.
        let stolen = json!({
            "metadata": {"name": "stolen"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": account.username}],
        });
        let stolen: RoleBinding = serde_json::from_value(stolen)?;
        let bindings: Api<RoleBinding> = Api::namespaced(operator, &account.namespace());
        let message = devserver_e2e::refusal(bindings.create(&PostParams::default(), &stolen).await)?;
        ensure!(message.contains("forbidden"), "{message}");
        Ok(())
    })
    .await
}
