//! E1: a quota is never exceeded, however many ask at once.

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::{
    account::Account,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ResourceQuota};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;

const COUNT: &str = "count/devservers.devserver.io";

/// Waits until the quota counts, which it does from the moment on that the cluster knows the kind.
async fn counts(account: &Account) -> anyhow::Result<()> {
    wait::until("the quota counts", PATIENCE, async || {
        let quota = account.api::<ResourceQuota>().get("devserver-user").await?;
        let used = quota.status.and_then(|s| s.used).unwrap_or_default();
        Ok(Seen::when(used.contains_key(COUNT), format!("{used:?}")))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e1_a_hundred_racing_creates_never_exceed_the_quota_by_one() -> anyhow::Result<()> {
    with_namespace("e1 race", async |scene| {
        let account = Account::new(&scene).await?;
        scene.operator_with(&account.settings(None)).await?;
        account.ready(json!({"quota": {COUNT: "5"}})).await?;
        counts(&account).await?;
        let person = account.person().await?;
        let servers: Api<DevServer> = Api::namespaced(person.client, &account.namespace());
        let racing = (0..100).map(|n| {
            let servers = servers.clone();
            async move {
                let server = sample::devserver(&format!("r{n}"), "no-such-flavor");
                servers.create(&PostParams::default(), &server).await
            }
        });
        let mut refused = 0;
        for answer in futures::future::join_all(racing).await {
            match answer {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.message.contains("exceeded quota") => {
                    refused += 1;
                }
                // The quota's own bookkeeping is written by all hundred at once; who loses is told to try again.
                Err(kube::Error::Api(status)) if matches!(status.code, 409 | 500) => refused += 1,
                Err(error) => return Err(error).context("neither made nor refused"),
            }
        }
        let there = servers.list(&ListParams::default()).await?.items.len();
        ensure!(there <= 5, "{there} were made, {refused} refused");
        ensure!(
            there >= 1 && there + refused == 100,
            "{there} were made, {refused} refused"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn e1_the_quota_bounds_volumes_that_machines_ask_for_too() -> anyhow::Result<()> {
    with_namespace("e1 volumes", async |scene| {
        let account = Account::new(&scene).await?;
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        scene.operator_with(&account.settings(None)).await?;
        account
            .ready(json!({"quota": {"requests.storage": "2Gi", COUNT: "10"}}))
            .await?;
        counts(&account).await?;
        let person = account.person().await?;
        let servers: Api<DevServer> = Api::namespaced(person.client, &account.namespace());
        for name in ["a", "b", "c"] {
            let mut server = sample::devserver(name, &flavor);
            server.spec.owner = Some(account.username.clone());
            servers.create(&PostParams::default(), &server).await?;
        }
        let claims = account.api::<PersistentVolumeClaim>();
        wait::until("two homes of 1Gi are there", PATIENCE, async || {
            let there = claims.list(&ListParams::default()).await?.items.len();
            Ok(Seen::when(there == 2, there))
        })
        .await?;
        wait::until("the third says why it has none", PATIENCE, async || {
            let list = servers.list(&ListParams::default()).await?;
            let told: Vec<String> = list
                .iter()
                .filter_map(|s| s.status.as_ref()?.message.clone())
                .collect();
            Ok(Seen::when(
                told.iter().any(|m| m.contains("exceeded quota")),
                format!("{told:?}"),
            ))
        })
        .await?;
        ensure!(
            claims.list(&ListParams::default()).await?.items.len() == 2,
            "a third home"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn e1_the_volume_of_a_docker_daemon_counts_in_the_quota_of_its_user() -> anyhow::Result<()> {
    with_namespace("e1 docker", async |scene| {
        let account = Account::new(&scene).await?;
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        let config = "{userNamespaces: Enabled, docker: {defaultStorageSize: 2Gi}}";
        scene.operator_with(&account.settings(Some(config))).await?;
        account
            .ready(json!({"quota": {"requests.storage": "2Gi", COUNT: "10"}, "podSecurity": "privileged"}))
            .await?;
        counts(&account).await?;
        let person = account.person().await?;
        let servers: Api<DevServer> = Api::namespaced(person.client, &account.namespace());
        let mut server = sample::devserver("box", &flavor);
        server.spec.owner = Some(account.username.clone());
        server.spec.docker = Some(serde_json::from_value(json!({"enabled": true}))?);
        servers.create(&PostParams::default(), &server).await?;
        wait::until("it says why it has no volume", PATIENCE, async || {
            let status = servers.get("box").await?.status.unwrap_or_default();
            let told = status.message.unwrap_or_default();
            // Whichever of the two volumes comes second has no room.
            let is_told = told.contains("exceeded quota") && told.contains("-box-0");
            Ok(Seen::when(is_told, told))
        })
        .await?;
        let claims = account.api::<PersistentVolumeClaim>();
        let are_there = async || {
            let (home, docker) = (claims.get_opt("home-box-0").await?, claims.get_opt("docker-box-0").await?);
            anyhow::Ok((home.is_some(), docker.is_some()))
        };
        ensure!(are_there().await? != (true, true), "a volume beyond the quota");
        account
            .patch(json!({"spec": {"quota": {"requests.storage": "3Gi"}}}))
            .await?;
        wait::until("both volumes are there", PATIENCE, async || {
            let are = are_there().await?;
            Ok(Seen::when(are == (true, true), format!("{are:?}")))
        })
        .await
    })
    .await
}
