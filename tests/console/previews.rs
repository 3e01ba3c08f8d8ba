//! Ports of an environment in the browser: each has an origin of its own, and shows what is declared to whom it is shown.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::{
    Scene,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use http::{Method, StatusCode};
use serde_json::json;

use crate::{
    browser::{Browser, apart},
    editors::{echo, websocket},
    rig::{CONSOLE, EDITORS, More, Rig},
    upstream::Upstream,
};

/// An environment of alice's with an editor, and a web server of hers at a port that she declares.
pub struct Work {
    pub rig: Rig,
    editor: Upstream,
    pub web: Upstream,
    pub alice: Browser,
    /// Host of the declared port.
    pub host: String,
}

impl Work {
    pub async fn new(scene: &Scene) -> anyhow::Result<Self> {
        Self::with(scene, More::default()).await
    }

    pub async fn with(scene: &Scene, more: More<'_>) -> anyhow::Result<Self> {
        let rig = Rig::with(scene, more).await?;
        let (editor, web) = (Upstream::start().await?, Upstream::start().await?);
        rig.environment("box", &rig.account.username, editor.address)
            .await?;
        let alice = rig.login(&rig.account.username).await?;
        let host = port_host(&rig, web.address.port());
        let mut work = Self {
            rig,
            editor,
            web,
            alice,
            host,
        };
        work.declare(json!([{"name": "web", "port": work.web.address.port()}]))
            .await?;
        work.rig.until_known(&mut work.alice, &work.host).await?;
        Ok(work)
    }

    pub async fn declare(&self, ports: serde_json::Value) -> anyhow::Result<()> {
        let patch = json!({"spec": {"ports": ports}});
        self.rig.scene.patch("box", patch).await.map(drop)
    }

    /// What the console says to somebody who comes from that host.
    pub async fn asked(&self, browser: &mut Browser, host: &str) -> anyhow::Result<StatusCode> {
        let (_, ask) = apart(&browser.get(host, "/").await?.expect(303)?.location()?)?;
        Ok(browser.get(CONSOLE, &ask).await?.status)
    }
}

pub fn port_host(rig: &Rig, port: u16) -> String {
    format!("{port}--{}", rig.host("box"))
}

#[tokio::test]
async fn a_declared_port_is_shown_at_a_host_of_its_own() -> anyhow::Result<()> {
    with_namespace("preview", async |scene| {
        let mut work = Work::new(&scene).await?;
        let (host, own) = (work.host.clone(), format!("https://{}", work.host));
        let headers = [
            ("origin", own.as_str()),
            ("authorization", "Bearer of-the-page"),
        ];
        let seen = work
            .alice
            .send(Method::GET, &host, "/headers", &headers, String::new())
            .await?
            .expect(200)?;
        ensure!(
            seen.text.contains(&format!("x-forwarded-host: {host}\n")),
            "{}",
            seen.text
        );
        // What a page says to its own server reaches it, and ours does not.
        ensure!(
            seen.text.contains("authorization: Bearer of-the-page\n"),
            "{}",
            seen.text
        );
        ensure!(!seen.text.contains("__Host-devserver"), "{}", seen.text);
        let mut socket = websocket(&work.alice, &host, Some(&own))
            .await?
            .map_err(|s| anyhow::anyhow!("{s}"))?;
        echo(&mut socket).await?;
        work.rig
            .audited("the audit names the port", |audit| {
                audit.contains(&format!("\"port\":{}", work.web.address.port()))
            })
            .await?;
        // Nothing answers there: the page says what to do.
        drop(work.web);
        let silent = work.alice.get(&host, "/").await?.expect(503)?;
        ensure!(
            silent.text.contains("Nothing answers at this port") && silent.text.contains("0.0.0.0"),
            "{}",
            silent.text
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn ports_are_declared_shared_and_withdrawn_on_the_page() -> anyhow::Result<()> {
    with_namespace("preview page", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let word = rig.word(&mut alice).await?;
        let form = [
            ("csrf", word.as_str()),
            ("name", "mine"),
            ("namespace", &rig.account.namespace()),
            ("editor", "on"),
        ];
        alice.post(CONSOLE, "/new", &form).await?.expect(303)?;
        let server = rig.account.api::<DevServer>().get("mine").await?;
        let uid = server.metadata.uid.context("no uid")?;
        let page = format!("/environments/{}/mine", rig.account.namespace());
        let link = format!("https://3000--mine--{}.{EDITORS}/", rig.account.namespace());
        let mut act = async |action: &str, share: &str, expected: Option<&str>| {
            let fields = [
                ("csrf", word.as_str()),
                ("uid", uid.as_str()),
                ("port", "3000"),
                ("share", share),
            ];
            alice
                .post(CONSOLE, &format!("{page}/{action}"), &fields)
                .await?
                .expect(303)?;
            wait::until("the page has it", PATIENCE, async || {
                let shown = again(&alice).get(CONSOLE, &page).await?.expect(200)?.text;
                let has = expected.map_or(!shown.contains(&link), |word| {
                    shown.contains(&link) && shown.contains(word)
                });
                Ok(Seen::when(has, shown))
            })
            .await
        };
        let (ours, all) = (
            "for you and your collaborators",
            "for everybody who is logged in",
        );
        for (share, shown) in [("", ours), ("Authenticated", all), ("Owner", ours)] {
            act("show-port", share, Some(shown)).await?;
        }
        act("hide-port", "", None).await?;
        // The API server's own rules are told.
        for port in ["22", "9022", "70000"] {
            let fields = [("csrf", word.as_str()), ("uid", &uid), ("port", port)];
            let refused = alice
                .post(CONSOLE, &format!("{page}/show-port"), &fields)
                .await?
                .expect(422)?;
            ensure!(
                refused.text.contains("spec.ports"),
                "{port}: {}",
                refused.text
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c13_a_port_that_is_not_declared_or_not_theirs_is_not_there() -> anyhow::Result<()> {
    with_namespace("c13 ports", async |scene| {
        let work = Work::new(&scene).await?;
        let mut mallory = work.rig.login(&work.rig.other.username).await?;
        let host = work.host.clone();
        // Alice's port is as little there for others as one that nobody has.
        ensure!(
            work.asked(&mut mallory, &host).await? == StatusCode::NOT_FOUND,
            "mallory may enter"
        );
        // A program of the platform has that port in the pod: whatever the spec says, it is no page.
        let editor = work.editor.address.port();
        work.declare(json!([{"name": "web", "port": editor, "share": "Authenticated"}]))
            .await?;
        let taken = port_host(&work.rig, editor);
        wait::until(
            "the label is there and leads nowhere",
            PATIENCE,
            async || {
                let mut browser = again(&work.alice);
                let answer = work.rig.enter(&mut browser, &taken, "/").await;
                Ok(match answer {
                    Ok(answer) => Seen::when(
                        answer.status == StatusCode::NOT_FOUND
                            && answer.text.contains("This port is not shown"),
                        answer.text,
                    ),
                    Err(error) => Seen::when(false, format!("{error:#}")),
                })
            },
        )
        .await?;
        // What was open is not any more.
        wait::until("the withdrawn port is closed", PATIENCE, async || {
            let status = again(&work.alice)
                .send(Method::GET, &host, "/headers", &[], String::new())
                .await?
                .status;
            Ok(Seen::when(status == StatusCode::UNAUTHORIZED, status))
        })
        .await
    })
    .await
}

/// The same browser once more.
pub fn again(browser: &Browser) -> Browser {
    Browser {
        address: browser.address,
        cookies: browser.cookies.clone(),
    }
}

#[tokio::test]
async fn c13_a_host_that_is_nearly_a_ports_leads_nowhere() -> anyhow::Result<()> {
    with_namespace("c13 labels", async |scene| {
        let mut work = Work::new(&scene).await?;
        let (namespace, port) = (scene.namespace().to_owned(), work.web.address.port());
        let host = work.host.clone();
        let undeclared = port_host(&work.rig, 1);
        ensure!(
            work.asked(&mut again(&work.alice), &undeclared).await? == StatusCode::NOT_FOUND,
            "undeclared"
        );
        for label in [
            format!("0{port}--box--{namespace}"),
            format!("{port}--{port}--box--{namespace}"),
            format!("{port}--box--{namespace}--x"),
            format!("{port}-box--{namespace}"),
            format!("{port}--box"),
            format!("{port}--other--{namespace}"),
            format!("{port}--"),
            "22--box".to_owned(),
        ] {
            let host = format!("{label}.{EDITORS}");
            let status = work.asked(&mut again(&work.alice), &host).await?;
            ensure!(status == StatusCode::NOT_FOUND, "{label}: {status}");
        }
        // Labels below the host are hosts of nobody.
        let below = format!("x.{host}");
        work.alice.get(&below, "/").await?.expect(421)?;
        Ok(())
    })
    .await
}

/// The cookies of a host.
fn jar(browser: &Browser, host: &str) -> BTreeMap<String, String> {
    browser.cookies.get(host).cloned().unwrap_or_default()
}

/// A page at the port asks nothing of the editor and of the console, and opens no websocket there.
async fn asks_nothing_of_others(
    alice: &mut Browser,
    port: &str,
    editor: &str,
) -> anyhow::Result<()> {
    let from = format!("https://{port}");
    let there = [("origin", from.as_str()), ("sec-fetch-site", "same-site")];
    alice
        .send(Method::POST, editor, "/count", &there, "x".to_owned())
        .await?
        .expect(403)?;
    let refused = websocket(alice, editor, Some(&from)).await?;
    ensure!(
        refused.as_ref().is_err_and(|status| *status == 403),
        "a websocket was opened"
    );
    let read = alice
        .send(Method::GET, CONSOLE, "/", &there, String::new())
        .await?;
    let may_read = read.headers.contains_key("access-control-allow-origin");
    ensure!(
        !may_read && read.headers["cross-origin-resource-policy"] == "same-origin",
        "{:?}",
        read.headers
    );
    Ok(())
}

#[tokio::test]
async fn c14_a_port_and_an_editor_of_one_environment_are_two_origins() -> anyhow::Result<()> {
    with_namespace("c14 ports", async |scene| {
        let mut work = Work::new(&scene).await?;
        let (port, editor) = (work.host.clone(), work.rig.host("box"));
        work.rig.until_known(&mut work.alice, &editor).await?;
        let (at_port, at_editor) = (jar(&work.alice, &port), jar(&work.alice, &editor));
        let name = "__Host-devserver-editor";
        ensure!(
            at_port.keys().eq([name]) && at_editor.keys().eq([name]),
            "{at_port:?} {at_editor:?}"
        );
        ensure!(at_port != at_editor, "they share a cookie");
        // One is of no use at the other, nor at the console; and the console's is of no use at either.
        let session = jar(&work.alice, CONSOLE);
        for (host, cookies) in [
            (&editor, &at_port),
            (&port, &at_editor),
            (&port, &session),
            (&editor, &session),
        ] {
            let mut thief = work.rig.stranger();
            thief.cookies.insert(host.clone(), cookies.clone());
            thief
                .send(Method::GET, host, "/headers", &[], String::new())
                .await?
                .expect(401)?;
        }
        let mut thief = work.rig.stranger();
        thief.cookies.insert(CONSOLE.to_owned(), at_port.clone());
        thief.get(CONSOLE, "/").await?.expect(303)?;
        asks_nothing_of_others(&mut work.alice, &port, &editor).await?;
        // It sets no cookie for others.
        work.alice.get(&port, "/evil").await?.expect(302)?;
        ensure!(
            jar(&work.alice, &port).keys().eq([name, "theme"]),
            "{:?}",
            jar(&work.alice, &port)
        );
        ensure!(
            jar(&work.alice, &port)[name] == at_port[name],
            "our cookie was replaced"
        );
        Ok(())
    })
    .await
}
