//! What was deleted comes back from the page of what is left.

use anyhow::ensure;
use devserver_api::{DevServer, trash};
use devserver_testkit::{
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, ResourceExt as _};

use crate::{
    browser::Browser,
    rig::{CONSOLE, More, Rig, field},
};

/// An environment of alice's, once its home remembers what was asked for.
async fn made(rig: &Rig, alice: &mut Browser, word: &str) -> anyhow::Result<DevServer> {
    let flavor = rig.scene.flavor("small", "100m", "64Mi").await?;
    let fields = [
        ("csrf", word),
        ("name", "dev"),
        ("namespace", &rig.account.namespace()),
        ("flavor", &flavor),
        ("key", sample::KEY),
    ];
    alice.post(CONSOLE, "/new", &fields).await?.expect(303)?;
    let claims: Api<PersistentVolumeClaim> = rig.account.api();
    wait::until("the home remembers", PATIENCE, async || {
        let home = claims.get_opt("home-dev-0").await?;
        let known = home.as_ref().and_then(trash::record);
        Ok(Seen::when(known.is_some(), format!("{home:?}")))
    })
    .await?;
    Ok(rig.account.api::<DevServer>().get("dev").await?)
}

#[tokio::test]
async fn a_deleted_environment_is_brought_back_with_its_home_by_its_owner_alone()
-> anyhow::Result<()> {
    with_namespace("console trash", async |scene| {
        let more = More {
            platform: Some("trash: {}"),
            ..More::default()
        };
        let rig = Rig::with(&scene, more).await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let (word, namespace) = (rig.word(&mut alice).await?, rig.account.namespace());
        let made = made(&rig, &mut alice, &word).await?;
        let servers: Api<DevServer> = rig.account.api();
        let empty = alice.get(CONSOLE, "/trash").await?.expect(200)?;
        ensure!(empty.text.contains("It is empty"), "{}", empty.text);

        let uid = made.uid().unwrap_or_default();
        let fields = [("csrf", word.as_str()), ("uid", &uid), ("confirm", "dev")];
        let page = format!("/environments/{namespace}/dev");
        let delete = format!("{page}/delete");
        alice.post(CONSOLE, &delete, &fields).await?.expect(303)?;
        let mut shown = empty;
        wait::until("it is in the trash", PATIENCE, async || {
            shown = alice.get(CONSOLE, "/trash").await?.expect(200)?;
            let is_there = shown.text.contains("Bring back");
            Ok(Seen::when(is_there, shown.text.clone()))
        })
        .await?;

        let (home, back) = (field(&shown, "uid")?, format!("/trash/{namespace}/dev"));
        let mut bob = rig.login(&rig.other.username).await?;
        let theirs = rig.word(&mut bob).await?;
        let fields = [("csrf", theirs.as_str()), ("uid", &home)];
        bob.post(CONSOLE, &back, &fields).await?.expect(404)?;
        // By another home than the one of the page, such as one that was made since.
        let fields = [("csrf", word.as_str()), ("uid", "another")];
        alice.post(CONSOLE, &back, &fields).await?.expect(409)?;
        let fields = [("csrf", word.as_str()), ("uid", &home)];
        let led = alice.post(CONSOLE, &back, &fields).await?.expect(303)?;
        ensure!(led.location()? == page, "{}", led.location()?);
        let again = servers.get("dev").await?;
        ensure!(again.uid() != made.uid(), "it is the same");
        ensure!(again.spec == made.spec, "{:?}", again.spec);
        alice.post(CONSOLE, &back, &fields).await?.expect(409)?;
        wait::until("the trash is empty", PATIENCE, async || {
            let text = alice.get(CONSOLE, "/trash").await?.expect(200)?.text;
            Ok(Seen::when(text.contains("It is empty"), text))
        })
        .await
    })
    .await
}
