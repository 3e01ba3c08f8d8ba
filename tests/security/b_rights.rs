//! Attacks B6 and B7: to act as somebody else, and what the platform's own accounts may do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_e2e::refusal;
use devserver_testkit::{
    Cluster, chart,
    cluster::root,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    authentication::v1::{SelfSubjectReview, TokenRequest},
    authorization::v1::{ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec},
    core::v1::{Pod, Secret, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
    config::AuthInfo,
};
use serde_json::{Value, json};

use crate::guard::{install_roles, mallory, until_may};

/// Rewrites the golden files when set.
const UPDATE: &str = "UPDATE_GOLDEN";

#[tokio::test]
async fn b6_who_asks_as_somebody_else_is_refused() -> anyhow::Result<()> {
    with_namespace("b6", async |scene| {
        install_roles(&scene.client()).await?;
        let (name, mallory) = mallory(&scene).await?;
        let servers = ("devserver.io", "devservers");
        until_may(&mallory.client, Some(scene.namespace()), "list", servers).await?;
        let account = format!("system:serviceaccount:{}:default", scene.namespace());
        let masters = vec!["system:masters".to_owned()];
        for (user, groups) in [
            ("alice", None),
            ("kubernetes-admin", Some(masters.clone())),
            (name.as_str(), Some(masters)),
            (chart::OPERATOR, None),
            (account.as_str(), None),
        ] {
            let mut config = mallory.config.clone();
            config.auth_info.impersonate = Some(user.to_owned());
            config.auth_info.impersonate_groups = groups;
            let client = Client::try_from(config)?;
            let servers: Api<DevServer> = Api::namespaced(client.clone(), scene.namespace());
            let message = refusal(servers.list(&ListParams::default()).await)?;
            ensure!(message.contains("cannot impersonate"), "{user}: {message}");
            let secrets: Api<Secret> = Api::namespaced(client, scene.namespace());
            let message = refusal(secrets.list(&ListParams::default()).await)?;
            ensure!(message.contains("cannot impersonate"), "{user}: {message}");
        }
        let own: Api<DevServer> = Api::namespaced(mallory.client, scene.namespace());
        own.list(&ListParams::default()).await?;
        Ok(())
    })
    .await
}

/// Everything about rights that the chart installs, and the accounts they are for.
async fn install_rights(client: &Client) -> anyhow::Result<Vec<String>> {
    chart::install_namespace(client).await?;
    let kinds = [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ];
    let mut accounts = Vec::new();
    for object in chart::of_kinds(&kinds)? {
        chart::install(client, &object).await?;
        if chart::kind_of(&object) == "ServiceAccount" {
            accounts.push(object.name_any());
        }
    }
    Ok(accounts)
}

/// A client of the administrator that acts as somebody with that name and those groups.
fn acting_as(cluster: &Cluster, name: &str, groups: &[&str]) -> anyhow::Result<Client> {
    let mut config = cluster.config.clone();
    config.auth_info.impersonate = Some(name.to_owned());
    config.auth_info.impersonate_groups = Some(groups.iter().map(|g| (*g).to_owned()).collect());
    Ok(Client::try_from(config)?)
}

/// What `kubectl auth can-i --list` asks.
async fn rules(client: &Client, namespace: &str) -> anyhow::Result<BTreeSet<String>> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let status = api.create(&PostParams::default(), &review).await?.status;
    let status = status.context("no answer")?;
    ensure!(!status.incomplete, "the answer is not complete: {status:?}");
    let words = |rule: &ResourceRule| Ok(serde_json::to_string(rule)?);
    status.resource_rules.iter().map(words).collect()
}

/// What that account may do in a namespace beyond what everybody may.
async fn rights(cluster: &Cluster, account: &str, namespace: &str) -> anyhow::Result<Vec<Value>> {
    let name = format!("system:serviceaccount:{}:{account}", chart::NAMESPACE);
    let everybody = acting_as(cluster, "nobody", &["system:authenticated"])?;
    let groups = ["system:serviceaccounts", "system:authenticated"];
    let client = acting_as(cluster, &name, &groups)?;
    let common = rules(&everybody, namespace).await?;
    let own = rules(&client, namespace).await?;
    let own = own
        .difference(&common)
        .map(|rule| Ok(serde_json::from_str(rule)?));
    own.collect()
}

fn list<'a>(rule: &'a Value, key: &str) -> Vec<&'a str> {
    let list = rule[key].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// What no account of the platform ever has, whatever the committed file says.
fn is_modest(rule: &Value) -> anyhow::Result<()> {
    let (groups, resources) = (list(rule, "apiGroups"), list(rule, "resources"));
    let (verbs, names) = (list(rule, "verbs"), list(rule, "resourceNames"));
    for words in [&groups, &resources, &verbs] {
        ensure!(!words.contains(&"*"), "a wildcard: {rule}");
    }
    for verb in [
        "escalate",
        "impersonate",
        "deletecollection",
        "approve",
        "sign",
    ] {
        ensure!(!verbs.contains(&verb), "{verb}: {rule}");
    }
    ensure!(
        !verbs.contains(&"bind") || !names.is_empty(),
        "bind without names: {rule}"
    );
    let only = |resource: &str, allowed: &[&str]| -> anyhow::Result<()> {
        let bad = verbs.iter().find(|verb| !allowed.contains(verb));
        ensure!(
            !resources.contains(&resource) || bad.is_none(),
            "{resource}: {bad:?} in {rule}"
        );
        Ok(())
    };
    only("secrets", &["get", "create", "patch"])?;
    only("nodes", &["get", "list", "watch"])?;
    only("pods", &["get", "list", "watch", "delete", "patch"])?;
    only("clusterroles", &["get", "bind"])?;
    only("roles", &["get", "bind"])?;
    for resource in [
        "clusterrolebindings",
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "serviceaccounts/token",
        "nodes/proxy",
    ] {
        only(resource, &[])?;
    }
    Ok(())
}

#[tokio::test]
async fn b7_the_platforms_accounts_may_do_what_is_committed_and_nothing_grand() -> anyhow::Result<()>
{
    with_namespace("b7", async |scene| {
        let accounts = install_rights(&scene.client()).await?;
        ensure!(!accounts.is_empty(), "the chart has no account");
        for account in accounts {
            let mut found = BTreeMap::new();
            for (place, namespace) in [
                ("everywhere", scene.namespace()),
                (chart::NAMESPACE, chart::NAMESPACE),
            ] {
                let rules = rights(scene.cluster(), &account, namespace).await?;
                ensure!(!rules.is_empty(), "{account} may do nothing in {namespace}");
                rules
                    .iter()
                    .try_for_each(is_modest)
                    .context(account.clone())?;
                found.insert(place, rules);
            }
            as_committed(&account, &serde_json::to_value(found)?)?;
        }
        Ok(())
    })
    .await
}

fn as_committed(account: &str, found: &Value) -> anyhow::Result<()> {
    let path = root().join(format!("tests/golden/rights-{account}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(found)?);
    if std::env::var_os(UPDATE).is_some() {
        return std::fs::write(&path, text).context("failed to write the golden file");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        committed == text,
        "the rights of {account} are not those of {}; if that is meant, run with {UPDATE}=1 and commit it. Now:\n{text}",
        path.display()
    );
    Ok(())
}

#[tokio::test]
async fn b1_kubernetes_puts_no_token_into_a_machine() -> anyhow::Result<()> {
    with_namespace("b1", async |scene| {
        let rig = devserver_e2e::Rig::new(scene.clone()).await?;
        rig.running().await?;
        let pod = scene.api::<Pod>().get("workbench-0").await?;
        let spec = serde_json::to_string(&pod.spec)?;
        for word in ["serviceAccountToken", "kube-api-access", "kubernetes.io/serviceaccount"] {
            ensure!(!spec.contains(word), "{word} in {spec}");
        }
        // The same namespace gives one to a pod that does not decline it, so there was one to decline.
        let other: Pod = serde_json::from_value(
            json!({"metadata": {"name": "other"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
        )?;
        let other = scene.api::<Pod>().create(&PostParams::default(), &other).await?;
        let spec = serde_json::to_string(&other.spec)?;
        ensure!(spec.contains("serviceAccountToken"), "{spec}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b3_a_token_of_a_pod_ends_with_it_and_within_the_hour() -> anyhow::Result<()> {
    with_namespace("b3", async |scene| {
        let rig = devserver_e2e::Rig::new(scene.clone()).await?;
        rig.running().await?;
        let pod = scene.api::<Pod>().get("workbench-0").await?;
        // As a machine would get one that asked for it: of its own account, bound to its pod.
        let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.uid()}}}))?;
        let accounts = scene.api::<ServiceAccount>();
        let asked = PostParams::default();
        let answer = accounts.create_token_request("devserver-workbench", &asked, &request).await?;
        let answer = answer.status.context("no token")?;
        let life = answer.expiration_timestamp.context("no end")?.0.duration_since(jiff::Timestamp::now());
        ensure!(life.as_secs() <= 3600, "the token lives for {life}");
        let mut config = scene.cluster().config.clone();
        config.auth_info = AuthInfo { token: answer.token.map(Into::into), ..AuthInfo::default() };
        let reviews: Api<SelfSubjectReview> = Api::all(Client::try_from(config)?);
        let review = SelfSubjectReview::default();
        reviews.create(&PostParams::default(), &review).await.context("while the pod is there")?;
        scene.patch(sample::NAME, json!({"spec": {"suspend": true}})).await?;
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let _ = scene.api::<Pod>().delete("workbench-0", &now).await;
        wait::until("the token is refused", PATIENCE, async || {
            let answer = reviews.create(&PostParams::default(), &review).await;
            let refused = matches!(&answer, Err(kube::Error::Api(status)) if status.code == 401);
            Ok(Seen::when(refused, format!("{answer:?}")))
        })
        .await
    })
    .await
}
