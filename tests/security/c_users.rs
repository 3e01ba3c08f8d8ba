//! C15, and C1 seen from a fresh user: the own namespace and nothing else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::condition;
use devserver_e2e::refusal;
use devserver_testkit::{
    account::{Account, is_ready},
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

/// What devctl does for a user, in the own namespace.
const ALLOWED: [(&str, &str, &str); 22] = [
    ("devserver.io", "devservers", "get"),
    ("devserver.io", "devservers", "list"),
    ("devserver.io", "devservers", "watch"),
    ("devserver.io", "devservers", "create"),
    ("devserver.io", "devservers", "update"),
    ("devserver.io", "devservers", "patch"),
    ("devserver.io", "devservers", "delete"),
    ("", "pods", "get"),
    ("", "pods", "list"),
    ("", "pods", "watch"),
    ("", "pods/log", "get"),
    ("", "pods/portforward", "get"),
    ("", "pods/portforward", "create"),
    ("", "events", "get"),
    ("", "events", "list"),
    ("", "events", "watch"),
    ("events.k8s.io", "events", "get"),
    ("events.k8s.io", "events", "list"),
    ("events.k8s.io", "events", "watch"),
    ("", "persistentvolumeclaims", "get"),
    ("", "persistentvolumeclaims", "list"),
    ("devserver.io", "devserverflavors", "list"),
];

/// What no user does, not even in the own namespace.
const FORBIDDEN: [(&str, &str, &str); 30] = [
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "secrets", "create"),
    ("", "pods", "create"),
    ("", "pods", "patch"),
    ("", "pods/ephemeralcontainers", "patch"),
    ("", "pods/attach", "create"),
    ("", "configmaps", "create"),
    ("", "services", "create"),
    ("", "serviceaccounts", "create"),
    ("", "serviceaccounts/token", "create"),
    ("", "persistentvolumeclaims", "create"),
    ("", "persistentvolumeclaims", "delete"),
    ("", "persistentvolumes", "get"),
    ("", "resourcequotas", "patch"),
    ("", "limitranges", "delete"),
    ("", "namespaces", "patch"),
    ("", "nodes", "list"),
    ("apps", "statefulsets", "patch"),
    ("apps", "deployments", "create"),
    ("networking.k8s.io", "networkpolicies", "delete"),
    ("networking.k8s.io", "ingresses", "create"),
    ("policy", "poddisruptionbudgets", "create"),
    ("rbac.authorization.k8s.io", "roles", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "patch"),
    (
        "certificates.k8s.io",
        "certificatesigningrequests",
        "create",
    ),
    ("devserver.io", "devserverusers", "list"),
    ("devserver.io", "devserverflavors", "patch"),
    ("devserver.io", "devservers/status", "patch"),
];

/// What the API server's own authorizer says to whoever asks.
async fn may(
    client: &Client,
    namespace: &str,
    (group, resource, verb): (&str, &str, &str),
) -> anyhow::Result<bool> {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, sub)) => (resource, Some(sub.to_owned())),
        None => (resource, None),
    };
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(verb.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &question).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

#[tokio::test]
async fn c1_a_fresh_user_may_what_devctl_needs_in_the_own_namespace_and_nothing_elsewhere()
-> anyhow::Result<()> {
    with_namespace("c1 table", async |scene| {
        let (alice, mallory) = (Account::new(&scene).await?, Account::new(&scene).await?);
        scene.operator_with(&alice.settings(None)).await?;
        alice.ready(json!({})).await?;
        mallory.ready(json!({})).await?;
        let person = mallory.person().await?;
        let mut wrong = Vec::new();
        for row in ALLOWED {
            if !may(&person.client, &mallory.namespace(), row).await? {
                wrong.push(format!("{row:?} is forbidden in the own namespace"));
            }
            let is_flavors = row.1 == "devserverflavors";
            for elsewhere in [
                alice.namespace(),
                "default".to_owned(),
                "kube-system".to_owned(),
                String::new(),
            ] {
                if !is_flavors && may(&person.client, &elsewhere, row).await? {
                    wrong.push(format!("{row:?} is allowed in {elsewhere:?}"));
                }
            }
        }
        for row in FORBIDDEN {
            for namespace in [mallory.namespace(), alice.namespace(), String::new()] {
                if may(&person.client, &namespace, row).await? {
                    wrong.push(format!("{row:?} is allowed in {namespace:?}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        // Not only said: tried.
        let server = sample::devserver(sample::NAME, "any");
        let own: Api<devserver_api::DevServer> =
            Api::namespaced(person.client.clone(), &mallory.namespace());
        own.create(&PostParams::default(), &server)
            .await
            .context("in the own namespace")?;
        let theirs: Api<devserver_api::DevServer> =
            Api::namespaced(person.client.clone(), &alice.namespace());
        for refused in [
            refusal(theirs.create(&PostParams::default(), &server).await)?,
            refusal(theirs.list(&ListParams::default()).await)?,
            refusal(theirs.delete(sample::NAME, &DeleteParams::default()).await)?,
        ] {
            ensure!(refused.contains("forbidden"), "{refused}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c15_an_existing_foreign_namespace_is_never_adopted() -> anyhow::Result<()> {
    with_namespace("c15 foreign", async |scene| {
        let account = Account::new(&scene).await?;
        let namespaces: Api<Namespace> = Api::all(scene.client());
        let mut foreign: Namespace = serde_json::from_value(json!({"metadata": {
            "name": account.namespace(),
            // Of another user, and not of this one.
            "labels": {"devserver.io/namespace-of": "somebody-else"},
        }}))?;
        scene.own(&mut foreign.metadata);
        let before = namespaces.create(&PostParams::default(), &foreign).await?;
        let operator = scene.operator_with(&account.settings(None)).await?;
        account.create(json!({"quota": {"pods": "4"}, "limits": [{"type": "Container", "max": {"cpu": "4"}}]})).await?;
        let user = account
            .status("the name is taken", |s| {
                condition::find(&s.conditions, condition::READY).is_some_and(|c| c.reason == "NameTaken")
            })
            .await?;
        let status = user.status.unwrap_or_default();
        ensure!(status.namespace.is_none() && status.phase.as_deref() == Some("Error"), "{status:?}");
        ensure!(status.message.is_some_and(|m| m.contains(&account.namespace())), "it does not say which");
        wait::stays("nothing is written into it", Duration::from_secs(8), async || {
            let now = namespaces.get(&account.namespace()).await?;
            let touched = now.labels() != before.labels() || now.annotations() != before.annotations();
            let all = ListParams::default();
            let inside = account.api::<RoleBinding>().list(&all).await?.items.len()
                + account.api::<ResourceQuota>().list(&all).await?.items.len()
                + account.api::<LimitRange>().list(&all).await?.items.len()
                + account
                    .api::<ServiceAccount>()
                    .list(&all)
                    .await?
                    .iter()
                    .filter(|a| a.name_any() != "default")
                    .count();
            Ok(Seen::when(!touched && inside == 0, format!("{inside} objects, {:?}", now.labels())))
        })
        .await?;
        let writes = operator.trace().writes_since(0);
        let into = writes.iter().filter(|r| r.asked.namespace.as_deref() == Some(account.namespace().as_str()));
        ensure!(into.count() == 0, "the operator tried to write into it");
        // The name becomes free: then, and only then, it is the user's.
        namespaces.delete(&account.namespace(), &DeleteParams::background()).await?;
        // The cluster empties namespaces one after the other, and many tests end at the same time.
        wait::until("the namespace is gone", PATIENCE * 3, async || {
            let found = namespaces.get_opt(&account.namespace()).await?;
            let is_foreign = found.is_some_and(|n| n.metadata.uid == before.metadata.uid);
            Ok(Seen::when(!is_foreign, "it is still there"))
        })
        .await?;
        let user = account.status("is ready once the name is free", is_ready).await?;
        ensure!(user.status.and_then(|s| s.namespace) == Some(account.namespace()), "the namespace");
        Ok(())
    })
    .await
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn c15_of_two_users_of_one_username_the_older_has_it_until_it_goes() -> anyhow::Result<()> {
    with_namespace("c15 two", async |scene| {
        let account = Account::new(&scene).await?;
        scene.operator_with(&account.settings(None)).await?;
        account.ready(json!({})).await?;
        let first = account.api::<RoleBinding>().get("devserver-user").await?;
        // Their creation is told apart by seconds.
        let created = account
            .users()
            .get(&account.username)
            .await?
            .metadata
            .creation_timestamp;
        let created = created.context("no time")?.0;
        wait::until("the clock goes on", Duration::from_secs(5), async || {
            let now = jiff::Timestamp::now();
            Ok(Seen::when(now.duration_since(created).as_secs() >= 2, now))
        })
        .await?;
        let second = format!("{}-again", account.username);
        let user = account.named(
            &second,
            json!({"username": account.username, "teams": ["finance"]}),
        )?;
        account
            .users()
            .create(&PostParams::default(), &user)
            .await?;
        let told = account
            .status_of(&second, "the username is taken", |s| {
                condition::find(&s.conditions, condition::VALID)
                    .is_some_and(|c| c.reason == "UsernameTaken")
            })
            .await?;
        let status = told.status.unwrap_or_default();
        ensure!(status.namespace.is_none(), "{status:?}");
        ensure!(
            status
                .message
                .is_some_and(|m| m.contains(&account.username)),
            "it does not say whose"
        );
        let binding = account.api::<RoleBinding>().get("devserver-user").await?;
        ensure!(binding.uid() == first.uid(), "the binding was made anew");
        let namespaces: Api<Namespace> = Api::all(scene.client());
        let namespace = namespaces.get(&account.namespace()).await?;
        ensure!(
            !namespace.labels().contains_key("swish.io/team"),
            "the second's team"
        );
        // Deleting the one that has nothing takes nothing from the other.
        account
            .users()
            .delete(&second, &DeleteParams::default())
            .await?;
        wait::stays(
            "the first keeps its rights",
            Duration::from_secs(3),
            async || {
                let binding = account
                    .api::<RoleBinding>()
                    .get_opt("devserver-user")
                    .await?;
                Ok(Seen::when(
                    binding.is_some_and(|b| b.uid() == first.uid()),
                    "it is gone",
                ))
            },
        )
        .await?;
        // And the other way round: the place is passed on.
        account
            .users()
            .create(&PostParams::default(), &user)
            .await?;
        account
            .users()
            .delete(&account.username, &DeleteParams::default())
            .await?;
        account
            .status_of(&second, "has the name now", is_ready)
            .await?;
        let binding = account.api::<RoleBinding>().get("devserver-user").await?;
        ensure!(
            binding.uid() != first.uid(),
            "a binding of the first is left"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c15_a_username_that_is_no_namespace_is_refused_and_a_system_namespace_is_never_meant()
-> anyhow::Result<()> {
    with_namespace("c15 names", async |scene| {
        let account = Account::new(&scene).await?;
        let long = "a".repeat(60);
        for username in [
            long.as_str(),
            "Alice",
            "alice@example.com",
            "a.b",
            "-a",
            "a-",
            "",
            "a_b",
            "../x",
            "a b",
            "ä",
        ] {
            let user = account.named("c15-refused", json!({"username": username}))?;
            let message = refusal(account.users().create(&PostParams::default(), &user).await)?;
            ensure!(message.contains("spec.username"), "{username:?}: {message}");
        }
        // The longest that fits.
        let longest = format!(
            "{}{}",
            account.username,
            "a".repeat(59 - account.username.len())
        );
        let mut fits = account.clone();
        fits.username = longest;
        ensure!(fits.namespace().len() == 63, "{}", fits.namespace());
        scene.operator_with(&account.settings(None)).await?;
        fits.ready(json!({})).await?;
        // A DevServerUser may be called anything; the namespace is always dev-<username>.
        let mut system = account.clone();
        system.username = format!("kube-system-{}", sample::word(5));
        let user = system.ready(json!({})).await?;
        ensure!(
            user.status.and_then(|s| s.namespace) == Some(system.namespace()),
            "the namespace"
        );
        ensure!(
            system.namespace().starts_with("dev-kube-system"),
            "{}",
            system.namespace()
        );
        let changed = json!({"spec": {"username": "somebody-else"}});
        let params = kube::api::PatchParams::default();
        let patched = account
            .users()
            .patch(&system.username, &params, &kube::api::Patch::Merge(changed))
            .await;
        let message = refusal(patched)?;
        ensure!(message.contains("spec.username cannot change"), "{message}");
        Ok(())
    })
    .await
}
