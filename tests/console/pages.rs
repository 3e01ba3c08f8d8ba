//! What people do on the pages, and what becomes of it in the cluster.

use anyhow::ensure;
use devserver_api::{DevServer, suspension::SuspendedBy};
use devserver_testkit::{
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use kube::ResourceExt as _;

use crate::{
    browser::Browser,
    rig::{CONSOLE, Rig, field},
};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R alice";

/// Alice, the word of her forms, and an environment that she made; its page and its UID.
async fn made(rig: &Rig) -> anyhow::Result<(Browser, String, String, String)> {
    let flavor = rig.scene.flavor("small", "100m", "64Mi").await?;
    let mut alice = rig.login(&rig.account.username).await?;
    let form = alice.get(CONSOLE, "/new").await?.expect(200)?;
    let (word, namespace) = (field(&form, "csrf")?, rig.account.namespace());
    ensure!(
        form.text.contains("value=\"dev\"") && form.text.contains(&flavor),
        "{}",
        form.text
    );
    let fields = [
        ("csrf", word.as_str()),
        ("name", "dev"),
        ("namespace", &namespace),
        ("flavor", &flavor),
        ("key", KEY),
        ("ttl", "8h"),
    ];
    let page = alice
        .post(CONSOLE, "/new", &fields)
        .await?
        .expect(303)?
        .location()?;
    ensure!(page == format!("/environments/{namespace}/dev"), "{page}");
    let made = rig.account.api::<DevServer>().get("dev").await?;
    ensure!(
        made.spec.owner.as_ref() == Some(&rig.account.username),
        "{:?}",
        made.spec.owner
    );
    let again = alice.post(CONSOLE, "/new", &fields).await?.expect(422)?;
    ensure!(again.text.contains("choose another name"), "{}", again.text);
    Ok((alice, word, page, made.uid().unwrap_or_default()))
}

#[tokio::test]
async fn an_environment_is_made_stopped_started_and_given_time_by_its_owner() -> anyhow::Result<()>
{
    with_namespace("console pages", async |scene| {
        let rig = Rig::new(&scene).await?;
        let (mut alice, word, page, uid) = made(&rig).await?;
        let servers = rig.account.api::<DevServer>();
        wait::until("the page tells when it ends", PATIENCE, async || {
            let mut another = Browser {
                address: alice.address,
                cookies: alice.cookies.clone(),
            };
            let shown = another.get(CONSOLE, &page).await?;
            Ok(Seen::when(shown.text.contains("More time"), shown.text))
        })
        .await?;
        let shown = alice.get(CONSOLE, &page).await?.expect(200)?;
        ensure!(shown.text.contains("devctl ssh dev"), "{}", shown.text);
        let own = [
            ("csrf", word.as_str()),
            ("uid", uid.as_str()),
            ("hours", "4"),
        ];
        alice
            .post(CONSOLE, &format!("{page}/suspend"), &own)
            .await?
            .expect(303)?;
        let stopped = servers.get("dev").await?;
        let by = SuspendedBy::read(stopped.annotations());
        ensure!(
            stopped.spec.suspend && by == SuspendedBy::User(rig.account.username.clone()),
            "it was not stopped, or by {by:?}"
        );
        alice
            .post(CONSOLE, &format!("{page}/resume"), &own)
            .await?
            .expect(303)?;
        alice
            .post(CONSOLE, &format!("{page}/extend"), &own)
            .await?
            .expect(303)?;
        let changed = servers.get("dev").await?;
        let by = SuspendedBy::read(changed.annotations());
        let life = changed.spec.lifecycle.and_then(|l| l.time_to_live);
        ensure!(by == SuspendedBy::Somebody, "it is still stopped by {by:?}");
        ensure!(
            !changed.spec.suspend && life.as_deref() == Some("12h"),
            "{life:?}"
        );
        rig.audited("the audit has each change", |audit| {
            let told = |action| audit.contains(&format!("\"action\":\"{action}\""));
            ["create", "suspend", "resume", "extend"]
                .into_iter()
                .all(told)
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_environment_is_deleted_by_its_name_and_none_that_was_made_anew_is() -> anyhow::Result<()>
{
    with_namespace("console delete", async |scene| {
        let rig = Rig::new(&scene).await?;
        let (mut alice, word, page, uid) = made(&rig).await?;
        let delete = format!("{page}/delete");
        let fields = |uid, typed| [("csrf", word.as_str()), ("uid", uid), ("confirm", typed)];
        // The page of an earlier one of the name changes nothing.
        let old = fields("00000000-0000-0000-0000-000000000000", "dev");
        alice
            .post(CONSOLE, &format!("{page}/suspend"), &old)
            .await?
            .expect(409)?;
        alice.post(CONSOLE, &delete, &old).await?.expect(409)?;
        alice.get(CONSOLE, &delete).await?.expect(200)?;
        alice
            .post(CONSOLE, &delete, &fields(&uid, "de"))
            .await?
            .expect(422)?;
        alice
            .post(CONSOLE, &delete, &fields(&uid, "dev"))
            .await?
            .expect(303)?;
        let servers = rig.account.api::<DevServer>();
        wait::until("it is gone", PATIENCE, async || {
            Ok(Seen::when(
                servers.get_opt("dev").await?.is_none(),
                "still there",
            ))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn administrators_see_all_environments_and_users_and_nobody_else_does() -> anyhow::Result<()>
{
    with_namespace("console admin", async |scene| {
        let rig = Rig::new(&scene).await?;
        rig.environment("box", &rig.account.username, "192.0.2.7:1".parse()?)
            .await?;
        let mut admin = rig.login(&rig.other.username).await?;
        let all = admin
            .get(
                CONSOLE,
                &format!("/admin/environments?search={}", scene.namespace()),
            )
            .await?
            .expect(200)?;
        ensure!(
            all.text.contains(">box</a>") && all.text.contains(&rig.account.username),
            "{}",
            all.text
        );
        let none = admin
            .get(CONSOLE, "/admin/environments?search=no-such-thing")
            .await?
            .expect(200)?;
        ensure!(!none.text.contains(">box</a>"), "the filter does nothing");
        let users = admin.get(CONSOLE, "/admin/users").await?.expect(200)?;
        ensure!(users.text.contains(&rig.account.username), "{}", users.text);
        let mut alice = rig.login(&rig.account.username).await?;
        for path in ["/admin/environments", "/admin/users"] {
            alice.get(CONSOLE, path).await?.expect(404)?;
        }
        Ok(())
    })
    .await
}
