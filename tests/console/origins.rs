//! C14 and D3: what is written in environments and by others does nothing to the console and to other editors.

use anyhow::{Context as _, ensure};
use devserver_testkit::{Scene, with_namespace};
use http::{Method, StatusCode, header};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    browser::Browser,
    rig::{CONSOLE, Rig},
    upstream::Upstream,
};

/// Alice in her editor, and the origin of an editor that is not hers.
async fn at_work(scene: &Scene) -> anyhow::Result<(Rig, Upstream, Browser, String)> {
    let (rig, upstream) = (Rig::new(scene).await?, Upstream::start().await?);
    rig.environment("box", &rig.account.username, upstream.address)
        .await?;
    let mut alice = rig.login(&rig.account.username).await?;
    rig.until_known(&mut alice, &rig.host("box")).await?;
    let evil = format!("https://{}", rig.host("evil"));
    Ok((rig, upstream, alice, evil))
}

#[tokio::test]
async fn c14_a_page_in_an_editor_reads_and_changes_nothing_at_the_console() -> anyhow::Result<()> {
    with_namespace("c14", async |scene| {
        let (rig, _upstream, mut alice, evil) = at_work(&scene).await?;
        let word = rig.word(&mut alice).await?;
        let there = [("origin", evil.as_str()), ("sec-fetch-site", "same-site")];
        let read = alice
            .send(Method::GET, CONSOLE, "/", &there, String::new())
            .await?;
        let told = |name: &str| read.headers.get(name).and_then(|v| v.to_str().ok());
        ensure!(
            told("access-control-allow-origin").is_none(),
            "{:?}",
            read.headers
        );
        ensure!(
            told("cross-origin-resource-policy") == Some("same-origin"),
            "{:?}",
            read.headers
        );
        ensure!(
            told("x-frame-options") == Some("DENY"),
            "{:?}",
            read.headers
        );
        // Even if it knew the word.
        let form = [("csrf", word.as_str()), ("name", "x")];
        alice
            .post_with(CONSOLE, "/new", &form, &there)
            .await?
            .expect(403)?;
        // A cookie for all hosts below the domain, which such a page can set, is not believed.
        let own = alice.cookie(CONSOLE).context("no cookie")?;
        let twice = format!("{own}; __Host-devserver-session=planted");
        let planted = [("cookie", twice.as_str())];
        let answer = rig
            .stranger()
            .send(Method::GET, CONSOLE, "/", &planted, String::new())
            .await?;
        ensure!(answer.status == StatusCode::SEE_OTHER, "{}", answer.status);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn c14_a_page_in_an_editor_asks_nothing_of_another_editor() -> anyhow::Result<()> {
    with_namespace("c14 editors", async |scene| {
        let (rig, _upstream, mut alice, evil) = at_work(&scene).await?;
        let host = rig.host("box");
        let silent = [
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "no-cors"),
        ];
        for headers in [&[("origin", evil.as_str())][..], &silent[..]] {
            let answer = alice
                .send(Method::POST, &host, "/count", headers, "x".to_owned())
                .await?;
            ensure!(answer.status == StatusCode::FORBIDDEN, "{}", answer.status);
        }
        let own = format!("https://{host}");
        let answer = alice
            .send(
                Method::POST,
                &host,
                "/count",
                &[("origin", &own)],
                "x".to_owned(),
            )
            .await?;
        ensure!(answer.text == "1", "{}", answer.text);
        // The console's own cookie was never sent to an editor, nor set for more than its host.
        let names: Vec<_> = alice
            .cookies
            .get(&host)
            .context("no cookies")?
            .keys()
            .collect();
        ensure!(names == ["__Host-devserver-editor"], "{names:?}");
        Ok(())
    })
    .await
}

const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

fn is_text(page: &str) -> anyhow::Result<()> {
    ensure!(
        !page.contains("<script>alert") && !page.contains("<img src=x"),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn d3_texts_of_others_stay_texts_on_the_pages() -> anyhow::Result<()> {
    with_namespace("d3 console", async |scene| {
        let rig = Rig::new(&scene).await?;
        let flavor = scene.flavor("evil", "100m", "64Mi").await?;
        let flavors: Api<devserver_api::DevServerFlavor> = Api::all(scene.client());
        let patch = Patch::Merge(json!({"spec": {"description": SCRIPT}}));
        flavors
            .patch(&flavor, &PatchParams::default(), &patch)
            .await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let word = rig.word(&mut alice).await?;
        let names = ["name", "namespace", "image", "key", "ttl", "home", "flavor"];
        let mut fields: Vec<_> = names.iter().map(|name| (*name, SCRIPT)).collect();
        fields.push(("csrf", &word));
        is_text(
            &alice
                .post(CONSOLE, "/new", &fields)
                .await?
                .expect(422)?
                .text,
        )?;
        is_text(&alice.get(CONSOLE, "/new").await?.expect(200)?.text)?;
        let page = alice.get(CONSOLE, "/flavors").await?.expect(200)?.text;
        is_text(&page)?;
        ensure!(
            page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"),
            "{page}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d3_no_page_has_what_its_own_policy_forbids() -> anyhow::Result<()> {
    with_namespace("d3 policy", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut admin = rig.login(&rig.other.username).await?;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("search", SCRIPT)
            .finish();
        let search = format!("/admin/environments?{query}");
        for path in [
            "/",
            "/new",
            "/flavors",
            "/admin/users",
            "/nothing",
            search.as_str(),
        ] {
            let page = admin.get(CONSOLE, path).await?;
            is_text(&page.text)?;
            let policy = page
                .headers
                .get(header::CONTENT_SECURITY_POLICY)
                .context("no policy")?
                .to_str()?;
            ensure!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
                "{policy}"
            );
            ensure!(!policy.contains("unsafe"), "{policy}");
            for forbidden in [
                " style=\"",
                "<style",
                " onclick=",
                "<script>",
                "javascript:",
            ] {
                ensure!(!page.text.contains(forbidden), "{path}: {forbidden}");
            }
        }
        Ok(())
    })
    .await
}
