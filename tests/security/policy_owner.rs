//! A DevServer belongs to who asks for it.

use anyhow::ensure;
use devserver_api::{DevServer, group};
use devserver_e2e::refusal;
use devserver_testkit::{certificates, sample, users::User, with_namespace};
use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    config::AuthInfo,
};
use serde_json::json;

use crate::guard::{Guarded, everything, is_refused, until_may};

fn owned_by(guarded: &Guarded, name: &str, owner: Option<&str>) -> DevServer {
    let mut server = guarded.devserver();
    server.metadata.name = Some(name.to_owned());
    server.spec.owner = owner.map(str::to_owned);
    server
}

#[tokio::test]
async fn c2_nobody_makes_a_devserver_in_the_name_of_somebody_else() -> anyhow::Result<()> {
    with_namespace("policy owner", async |scene| {
        let guarded = Guarded::new(scene).await?;
        let servers = guarded.api::<DevServer>();
        let params = PostParams::default();
        servers
            .create(&params, &owned_by(&guarded, "mine", Some(&guarded.name)))
            .await?;
        let words = ["spec.owner", guarded.name.as_str()];
        for other in ["bob", "system:masters", &guarded.name.to_uppercase()] {
            let theirs = owned_by(&guarded, "theirs", Some(other));
            is_refused(servers.create(&params, &theirs).await, "owner", &words)?;
        }
        let nobodys = owned_by(&guarded, "nobodys", None);
        let message = refusal(servers.create(&params, &nobodys).await)?;
        ensure!(
            message.contains("spec.owner is needed") && message.contains("devctl create"),
            "{message}"
        );
        // What is there keeps its owner; for that no policy is needed.
        for owner in [json!("bob"), json!(null)] {
            let patch = Patch::Merge(json!({"spec": {"owner": owner}}));
            let changed = servers.patch("mine", &PatchParams::default(), &patch).await;
            let message = refusal(changed)?;
            ensure!(message.contains("spec.owner cannot change"), "{message}");
        }
        let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
        servers
            .patch("mine", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_has_no_owner_can_be_taken_by_nobody_but_oneself() -> anyhow::Result<()> {
    with_namespace("policy owner taken", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        // Made by an administrator, who need not say.
        scene.create(&owned_by(&guarded, "nobodys", None)).await?;
        let servers = guarded.api::<DevServer>();
        let params = PatchParams::default();
        let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
        servers.patch("nobodys", &params, &patch).await?;
        let patch = Patch::Merge(json!({"spec": {"owner": "bob"}}));
        let changed = servers.patch("nobodys", &params, &patch).await;
        is_refused(changed, "owner", &["spec.owner"])?;
        let patch = Patch::Merge(json!({"spec": {"owner": guarded.name}}));
        servers.patch("nobodys", &params, &patch).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_administrator_makes_devservers_for_others() -> anyhow::Result<()> {
    with_namespace("policy owner admin", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let name = format!("root-{}", sample::word(6));
        let admin = certificates::person(scene.cluster(), &name, Some(group::ADMIN_GROUP)).await?;
        everything(&scene, json!({"kind": "User", "name": name})).await?;
        let able = (group::GROUP, "devservers");
        until_may(&admin.client, Some(scene.namespace()), "create", able).await?;
        until_may(&admin.client, None, "administrate", able).await?;
        let servers: Api<DevServer> = Api::namespaced(admin.client, scene.namespace());
        let server = owned_by(&guarded, "given", Some("bob"));
        servers.create(&PostParams::default(), &server).await?;
        Ok(())
    })
    .await
}

/// A ServiceAccount of the scene's namespace with a token, and every right in the namespace.
async fn account(guarded: &Guarded, name: &str) -> anyhow::Result<User> {
    let scene = &guarded.scene;
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    let accounts = scene.api::<ServiceAccount>();
    let params = PostParams::default();
    accounts.create(&params, &account).await?;
    let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": scene.namespace()});
    everything(scene, subject).await?;
    let answer = accounts
        .create_token_request(name, &params, &TokenRequest::default())
        .await?;
    let mut config = scene.cluster().config.clone();
    config.auth_info = AuthInfo {
        token: answer
            .status
            .and_then(|status| status.token)
            .map(Into::into),
        ..AuthInfo::default()
    };
    let client = Client::try_from(config.clone())?;
    let able = (group::GROUP, "devservers");
    until_may(&client, Some(scene.namespace()), "create", able).await?;
    Ok(User { client, config })
}

#[tokio::test]
async fn an_account_of_a_users_namespace_acts_for_the_user_and_for_nobody_else()
-> anyhow::Result<()> {
    with_namespace("policy owner account", async |scene| {
        let guarded = Guarded::new(scene.clone()).await?;
        let robot = account(&guarded, "robot").await?;
        let servers: Api<DevServer> = Api::namespaced(robot.client, scene.namespace());
        let params = PostParams::default();
        let own = format!("system:serviceaccount:{}:robot", scene.namespace());
        for (name, owner) in [("for-user", guarded.name.as_str()), ("own", &own)] {
            servers
                .create(&params, &owned_by(&guarded, name, Some(owner)))
                .await?;
        }
        let theirs = owned_by(&guarded, "x", Some("bob"));
        let made = servers.create(&params, &theirs).await;
        is_refused(made, "owner", &["spec.owner"])
    })
    .await
}
