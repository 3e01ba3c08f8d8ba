//! What attackers try with the console: B4, B6, C13, F11.

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::with_namespace;
use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::json;

use crate::{
    browser::apart,
    editors::websocket,
    rig::{CONSOLE, Rig, own_client},
    upstream::Upstream,
};

#[tokio::test]
async fn b4_tokens_of_the_cluster_open_nothing_at_the_console() -> anyhow::Result<()> {
    with_namespace("b4", async |scene| {
        let rig = Rig::new(&scene).await?;
        let accounts: Api<ServiceAccount> = scene.api();
        let token = accounts
            .create_token_request(
                "default",
                &PostParams::default(),
                &k8s_openapi::api::authentication::v1::TokenRequest::default(),
            )
            .await?;
        let token = token.status.and_then(|s| s.token).context("no token")?;
        let bearer = format!("Bearer {token}");
        let forged = format!("__Host-devserver-session={token}");
        for (name, value) in [
            ("authorization", bearer.as_str()),
            ("cookie", forged.as_str()),
        ] {
            let mut mallory = rig.stranger();
            let answer = mallory
                .send(Method::GET, CONSOLE, "/", &[(name, value)], String::new())
                .await?;
            ensure!(
                answer.status == StatusCode::SEE_OTHER && answer.location()?.starts_with("/login"),
                "{name}: {}",
                answer.status
            );
            let host = rig.host("box");
            let answer = mallory
                .send(Method::GET, &host, "/", &[(name, value)], String::new())
                .await?;
            ensure!(
                answer.status == StatusCode::UNAUTHORIZED,
                "{name}: {}",
                answer.status
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b6_the_console_itself_may_ask_as_people_and_as_two_groups_only() -> anyhow::Result<()> {
    with_namespace("b6 account", async |scene| {
        let rig = Rig::new(&scene).await?;
        let config = own_client(scene.cluster(), &scene.client()).await?;
        let ask = async |user: Option<&str>, group: Option<&str>| {
            let mut config = config.clone();
            config.auth_info.impersonate = user.map(str::to_owned);
            config.auth_info.impersonate_groups = group.map(|g| vec![g.to_owned()]);
            let client = Client::try_from(config)?;
            let servers: Api<DevServer> = Api::namespaced(client, &rig.account.namespace());
            anyhow::Ok(servers.list(&ListParams::default()).await.map(drop).map_err(|e| e.to_string()))
        };
        let user = rig.account.username.as_str();
        ensure!(ask(Some(user), Some("devserver-users")).await?.is_ok(), "it cannot act as its users");
        for group in ["system:masters", "platform-team", "system:nodes"] {
            let refused = ask(Some(user), Some(group)).await?;
            ensure!(refused.as_ref().is_err_and(|e| e.contains("cannot impersonate")), "{group}: {refused:?}");
        }
        // By itself it reads no Secret and changes nothing.
        let own = Client::try_from(config.clone())?;
        let secrets: Api<Secret> = Api::all(own.clone());
        ensure!(secrets.list(&ListParams::default()).await.is_err(), "it may read Secrets");
        let servers: Api<DevServer> = Api::namespaced(own.clone(), scene.namespace());
        let made = serde_json::from_value(json!({"apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": "x"}, "spec": {"ssh": {"mode": "Disabled"}}}))?;
        ensure!(servers.create(&PostParams::default(), &made).await.is_err(), "it may create by itself");
        let namespaces: Api<Namespace> = Api::all(own);
        ensure!(namespaces.list(&ListParams::default()).await.is_err(), "it may list namespaces");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c13_what_is_somebody_elses_looks_as_if_it_were_not_there() -> anyhow::Result<()> {
    with_namespace("c13", async |scene| {
        let rig = Rig::new(&scene).await?;
        let upstream = Upstream::start().await?;
        let server = rig.environment("box", &rig.account.username, upstream.address).await?;
        let (mut alice, mut mallory) = (rig.login(&rig.account.username).await?, rig.login(&rig.other.username).await?);
        let host = rig.host("box");
        rig.until_known(&mut alice, &host).await?;
        // Mallory administrates; that opens pages, and no editor.
        let (_, ask) = apart(&mallory.get(&host, "/").await?.expect(303)?.location()?)?;
        mallory.get(CONSOLE, &ask).await?.expect(404)?;
        let (_, none) = apart(&mallory.get(&rig.host("none"), "/").await?.expect(303)?.location()?)?;
        let missing = mallory.get(CONSOLE, &none).await?.expect(404)?;
        ensure!(missing.text == mallory.get(CONSOLE, &ask).await?.text, "the two answers differ");
        // Alice's cookie of one host at another, and her ticket in another browser.
        let entry = alice.cookies[&host].clone();
        rig.environment("other", &rig.other.username, upstream.address).await?;
        let other = rig.host("other");
        alice.cookies.insert(other.clone(), entry.clone());
        alice.send(Method::GET, &other, "/", &[], String::new()).await?.expect(401)?;
        alice.cookies.remove(&host);
        let (_, ask) = apart(&alice.get(&host, "/").await?.location()?)?;
        let (_, ticket) = apart(&alice.get(CONSOLE, &ask).await?.expect(303)?.location()?)?;
        mallory.get(&host, &ticket).await?.expect(403)?;
        alice.get(&host, &ticket).await?.expect(303)?;
        alice.get(&host, &ticket).await?.expect(403)?;
        // A websocket without a cookie of that host.
        let own = format!("https://{host}");
        let refused = websocket(&mallory, &host, Some(&own)).await?;
        ensure!(refused.as_ref().is_err_and(|status| *status == 403), "a websocket of mallory's was opened");
        // Somebody who does not administrate: her pages and forms, by their addresses.
        let bob = rig.account.username.clone();
        let page = format!("/environments/{}/secret-box", rig.other.namespace());
        let theirs: Api<DevServer> = rig.other.api();
        let spec = json!({"apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": "secret-box"}, "spec": {"owner": rig.other.username, "ssh": {"mode": "Disabled"}}});
        let there = theirs.create(&PostParams::default(), &serde_json::from_value(spec)?).await?;
        let mut plain = rig.login(&bob).await?;
        let word = rig.word(&mut plain).await?;
        let seen = plain.get(CONSOLE, &page).await?.expect(404)?;
        let nowhere = plain.get(CONSOLE, &format!("{page}-none")).await?.expect(404)?;
        ensure!(seen.text == nowhere.text, "the two answers differ");
        let uid = there.uid().context("no uid")?;
        for action in ["suspend", "resume", "restart", "extend", "delete"] {
            let fields = [("csrf", word.as_str()), ("uid", &uid), ("confirm", "secret-box"), ("hours", "1")];
            plain.post(CONSOLE, &format!("{page}/{action}"), &fields).await?.expect(404)?;
        }
        ensure!(!theirs.get("secret-box").await?.spec.suspend && server.uid().is_some(), "it was changed");
        // Fields that the form does not have are nothing.
        let over = [("csrf", word.as_str()), ("name", "mine"), ("namespace", &rig.account.namespace()), ("editor", "on"), ("owner", &rig.other.username), ("spec.owner", "x"), ("serviceAccountName", "x")];
        plain.post(CONSOLE, "/new", &over).await?.expect(303)?;
        let mine = rig.account.api::<DevServer>().get("mine").await?;
        ensure!(mine.spec.owner.as_ref() == Some(&bob), "{:?}", mine.spec.owner);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn f11_a_websocket_from_another_origin_is_refused() -> anyhow::Result<()> {
    with_namespace("f11", async |scene| {
        let rig = Rig::new(&scene).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let (neighbour, console) = (
            format!("https://{}", rig.host("evil")),
            format!("https://{CONSOLE}"),
        );
        for origin in [
            None,
            Some("null"),
            Some("https://evil.example"),
            Some(neighbour.as_str()),
            Some(console.as_str()),
        ] {
            let refused = websocket(&alice, &host, origin).await?;
            ensure!(
                refused.as_ref().is_err_and(|status| *status == 403),
                "{origin:?}"
            );
        }
        rig.audited("the audit tells of it", |audit| {
            audit.contains("\"outcome\":\"origin\"")
        })
        .await?;
        Ok(())
    })
    .await
}
