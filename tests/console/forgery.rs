//! F10: logins and forms that somebody else has made or kept.

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_testkit::with_namespace;
use http::{StatusCode, header};

use crate::{
    browser::Browser,
    rig::{CONSOLE, Rig},
};

/// Another browser with the same cookies.
fn copy(browser: &Browser) -> Browser {
    Browser {
        address: browser.address,
        cookies: browser.cookies.clone(),
    }
}

#[tokio::test]
async fn f10_a_login_counts_once_and_where_it_was_begun() -> anyhow::Result<()> {
    with_namespace("f10", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut alice = rig.stranger();
        let name = rig.account.username.clone();
        let callback = rig
            .at_provider(&mut alice, &name, "//evil.example/")
            .await?;
        rig.stranger().get(CONSOLE, &callback).await?.expect(403)?;
        let wrong = callback.replace("state=", "state=x");
        copy(&alice).get(CONSOLE, &wrong).await?.expect(403)?;
        let mixed = format!("{callback}&iss=https%3A%2F%2Fevil.example");
        copy(&alice).get(CONSOLE, &mixed).await?.expect(403)?;
        let mut thief = copy(&alice);
        let answer = alice.get(CONSOLE, &callback).await?.expect(303)?;
        ensure!(
            answer.location()? == "/",
            "an open redirect: {}",
            answer.location()?
        );
        alice.get(CONSOLE, &callback).await?.expect(403)?;
        // With the cookie of the login kept: the provider takes a code once.
        let replayed = thief.get(CONSOLE, &callback).await?;
        ensure!(
            replayed.status != StatusCode::SEE_OTHER,
            "a code was taken twice"
        );
        rig.audited("the audit tells of each failure", |audit| {
            audit.matches("login_failure").count() >= 5
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn f10_a_code_of_another_login_is_refused() -> anyhow::Result<()> {
    with_namespace("f10 code", async |scene| {
        let rig = Rig::new(&scene).await?;
        let (mut mallory, mut victim) = (rig.stranger(), rig.stranger());
        let theirs = rig
            .at_provider(&mut mallory, &rig.other.username, "/")
            .await?;
        let own = rig
            .at_provider(&mut victim, &rig.account.username, "/")
            .await?;
        let part = |path: &str, key: &str| {
            let found = path.split(['?', '&']).find_map(|p| p.strip_prefix(key));
            found.unwrap_or_default().to_owned()
        };
        let injected = format!(
            "/callback?code={}&state={}",
            part(&theirs, "code="),
            part(&own, "state=")
        );
        let answer = victim.get(CONSOLE, &injected).await?;
        ensure!(
            answer.status != StatusCode::SEE_OTHER,
            "another's code was taken"
        );
        ensure!(
            !victim
                .cookie(CONSOLE)
                .unwrap_or_default()
                .contains("session"),
            "somebody is logged in"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn f10_a_form_that_is_not_of_our_pages_changes_nothing() -> anyhow::Result<()> {
    with_namespace("f10 forms", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let (word, namespace) = (rig.word(&mut alice).await?, rig.account.namespace());
        let fields = |word| {
            [
                ("csrf", word),
                ("name", "forged"),
                ("namespace", namespace.as_str()),
                ("editor", "on"),
            ]
        };
        alice
            .post(CONSOLE, "/new", &fields(""))
            .await?
            .expect(403)?;
        alice
            .post(CONSOLE, "/new", &fields("guess"))
            .await?
            .expect(403)?;
        let evil = [("origin", "https://evil.example")];
        alice
            .post_with(CONSOLE, "/new", &fields(&word), &evil)
            .await?
            .expect(403)?;
        let cross = [("sec-fetch-site", "cross-site")];
        alice
            .post_with(CONSOLE, "/new", &fields(&word), &cross)
            .await?
            .expect(403)?;
        alice
            .post_with(CONSOLE, "/new", &fields(&word), &[])
            .await?
            .expect(403)?;
        alice.get(CONSOLE, "/logout").await?.expect(405)?;
        let made = rig.account.api::<DevServer>().get_opt("forged").await?;
        ensure!(made.is_none(), "a forged form made something");
        let page = alice.get(CONSOLE, "/").await?.expect(200)?;
        let told = |name| {
            page.headers
                .get(name)
                .and_then(|v: &http::HeaderValue| v.to_str().ok())
                .unwrap_or_default()
        };
        ensure!(
            told(header::STRICT_TRANSPORT_SECURITY).contains("max-age=31536000"),
            "{:?}",
            page.headers
        );
        ensure!(
            told(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"),
            "{:?}",
            page.headers
        );
        Ok(())
    })
    .await
}
