//! Who comes in, and what happens while the provider is away.

use anyhow::ensure;
use devserver_testkit::with_namespace;
use http::{Method, StatusCode};

use crate::{
    browser::{Browser, apart},
    rig::{CONSOLE, More, Rig},
};

#[tokio::test]
async fn who_logs_in_sees_their_environments_and_is_out_after_logging_out() -> anyhow::Result<()> {
    with_namespace("console login", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut stranger = rig.stranger();
        let away = stranger
            .get(CONSOLE, "/environments/a/b")
            .await?
            .expect(303)?
            .location()?;
        ensure!(away == "/login?next=%2Fenvironments%2Fa%2Fb", "{away}");
        let mut alice = rig.login(&rig.account.username).await?;
        let page = alice.get(CONSOLE, "/").await?.expect(200)?;
        ensure!(
            page.text.contains("Nothing here yet") && page.text.contains(&rig.account.username),
            "{}",
            page.text
        );
        ensure!(
            !page.text.contains("/admin/"),
            "an ordinary user is offered pages for administrators"
        );
        let word = rig.word(&mut alice).await?;
        alice
            .post(CONSOLE, "/logout", &[("csrf", &word)])
            .await?
            .expect(200)?;
        alice.get(CONSOLE, "/").await?.expect(303)?;
        rig.audited("the audit has the way in and out", |audit| {
            let told = |event| {
                let mut lines = audit.lines();
                lines.any(|line| line.contains(event) && line.contains(&rig.account.username))
            };
            told("\"event\":\"login\"") && told("\"event\":\"logout\"")
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn while_the_provider_is_away_who_is_logged_in_goes_on_and_others_are_told()
-> anyhow::Result<()> {
    with_namespace("provider away", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let mut late = rig.stranger();
        let begin = late.get(CONSOLE, "/login").await?.expect(303)?.location()?;
        let back = rig
            .dex
            .log_in(&begin, &rig.other.username, "password")
            .await?;
        let Rig {
            dex,
            address,
            account,
            process,
            folder,
            ..
        } = rig;
        drop(dex);
        alice.get(CONSOLE, "/").await?.expect(200)?;
        let (_, path) = apart(&back)?;
        let told = late.get(CONSOLE, &path).await?.expect(503)?;
        ensure!(
            told.text.contains("Nobody can log in at the moment"),
            "{}",
            told.text
        );
        drop((address, account, process, folder));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_is_in_none_of_the_allowed_groups_stays_out() -> anyhow::Result<()> {
    with_namespace("groups", async |scene| {
        let more = More {
            config: &[("allowedGroups", "[\"ops\"]")],
            ..More::default()
        };
        let rig = Rig::with(&scene, more).await?;
        let mut alice = rig.stranger();
        let back = rig
            .at_provider(&mut alice, &rig.account.username, "/")
            .await?;
        let told = alice.get(CONSOLE, &back).await?.expect(403)?;
        ensure!(told.text.contains("none of the groups"), "{}", told.text);
        ensure!(alice.cookie(CONSOLE).is_none(), "{:?}", alice.cookies);
        rig.login(&rig.other.username).await?;
        Ok(())
    })
    .await
}

const FORWARD: (&str, &str) = (
    "forwardAuth",
    "{\"userHeader\": \"X-User\", \"groupsHeader\": \"X-Groups\"}",
);

/// A login by headers; the code of the answer.
async fn told(browser: &mut Browser, headers: &[(&str, &str)]) -> anyhow::Result<StatusCode> {
    Ok(browser
        .send(Method::GET, CONSOLE, "/login", headers, String::new())
        .await?
        .status)
}

#[tokio::test]
async fn b6_headers_of_a_trusted_proxy_log_in_and_twice_the_same_header_does_not()
-> anyhow::Result<()> {
    with_namespace("forward auth", async |scene| {
        let config = [
            ("oidc", "null"),
            FORWARD,
            ("trustedProxies", "[\"127.0.0.1/32\"]"),
        ];
        let rig = Rig::with(&scene, More::of(&config)).await?;
        let (alice, other) = (rig.account.username.as_str(), rig.other.username.as_str());
        for headers in [
            &[][..],
            &[("x-user", alice), ("x-user", other)],
            &[("x-user", "system:admin")],
            &[("x-user", "")],
        ] {
            let status = told(&mut rig.stranger(), headers).await?;
            ensure!(status == StatusCode::FORBIDDEN, "{headers:?}: {status}");
        }
        let mut browser = rig.stranger();
        let headers = [("x-user", alice), ("x-groups", "dev, system:masters")];
        ensure!(
            told(&mut browser, &headers).await? == StatusCode::SEE_OTHER,
            "not logged in"
        );
        let page = browser
            .send(Method::GET, CONSOLE, "/", &headers, String::new())
            .await?
            .expect(200)?;
        ensure!(
            page.text.contains(alice) && !page.text.contains("/admin/"),
            "{}",
            page.text
        );
        // The session of one with the headers of another, or without any, is none.
        for headers in [&[("x-user", other)][..], &[]] {
            browser
                .send(Method::GET, CONSOLE, "/", headers, String::new())
                .await?
                .expect(303)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b6_headers_of_anybody_else_mean_nothing() -> anyhow::Result<()> {
    with_namespace("forward auth elsewhere", async |scene| {
        let config = [
            ("oidc", "null"),
            FORWARD,
            ("trustedProxies", "[\"192.0.2.0/24\"]"),
        ];
        let rig = Rig::with(&scene, More::of(&config)).await?;
        let lies = [
            ("x-user", rig.account.username.as_str()),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        let status = told(&mut rig.stranger(), &lies).await?;
        ensure!(status == StatusCode::FORBIDDEN, "{status}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn f10_who_asks_too_often_waits() -> anyhow::Result<()> {
    with_namespace("rates", async |scene| {
        let config = [("limits", "{\"loginsPerMinute\": 6, \"writesPerMinute\": 2}")];
        let rig = Rig::with(&scene, More::of(&config)).await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let word = rig.word(&mut alice).await?;
        for status in [422, 422, 429] {
            let fields = [("csrf", word.as_str()), ("name", "A b")];
            alice.post(CONSOLE, "/new", &fields).await?.expect(status)?;
        }
        let mut last = StatusCode::OK;
        for _ in 0..8 {
            last = rig.stranger().get(CONSOLE, "/login").await?.status;
        }
        ensure!(last == StatusCode::TOO_MANY_REQUESTS, "{last}");
        // Whoever is logged in goes on reading.
        alice.get(CONSOLE, "/").await?.expect(200)?;
        Ok(())
    })
    .await
}
