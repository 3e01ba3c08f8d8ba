//! A home outlives its DevServer: its user makes that again, and without that it is removed in the end, where the platform says so.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{
    DevServer, DevServerSpec,
    trash::{self, Ended, Marks},
};
use devserver_e2e::{Rig, events, is_running, short_lived};
use devserver_testkit::{
    Scene, devctl, sample,
    users::{self, User},
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

const HOME: &str = "home-workbench-0";
const DAY: i64 = 86_400;

async fn home(
    scene: &Scene,
    what: &str,
    holds: impl Fn(&Marks) -> bool,
) -> anyhow::Result<PersistentVolumeClaim> {
    let holds = |claim: &PersistentVolumeClaim| holds(&trash::marks(claim));
    scene.object(HOME, what, holds).await
}

async fn remembers(scene: &Scene, spec: &DevServerSpec) -> anyhow::Result<()> {
    let holds =
        |claim: &PersistentVolumeClaim| trash::record(claim).is_some_and(|r| r.spec == *spec);
    scene
        .object(HOME, "remembers the spec", holds)
        .await
        .map(drop)
}

/// What it says and how it ends.
async fn run(scene: &Scene, user: &User, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    let ran = devctl::run(scene, user, arguments).await?;
    let said = [ran.stdout, ran.stderr].concat();
    let code = ran.status.code().context("it was killed")?;
    Ok((code, String::from_utf8(said)?))
}

#[tokio::test]
async fn a_deleted_devserver_is_made_again_by_its_user_with_its_spec_and_its_home()
-> anyhow::Result<()> {
    with_namespace("undelete", async |scene| {
        let rig = Rig::with_config(scene.clone(), "trash: {}").await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        rig.running().await?;
        // What it is asked for in the end counts, and not that it was stopped.
        let change = json!({"spec": {"project": "assembly", "suspend": true}});
        let asked = scene.patch(sample::NAME, change).await?.spec;
        remembers(&scene, &trash::wanted_again(&asked)).await?;
        let claim = scene.api::<PersistentVolumeClaim>().get(HOME).await?;

        let (code, said) = run(&scene, &alice, &["undelete", sample::NAME]).await?;
        ensure!(
            code == 1 && said.contains("it has the home already"),
            "{said}"
        );
        let (code, said) = run(&scene, &alice, &["undelete", "nobody"]).await?;
        ensure!(code == 3 && said.contains("devctl trash"), "{said}");

        let (code, said) =
            run(&scene, &alice, &["delete", sample::NAME, "--yes", "--wait"]).await?;
        ensure!(
            code == 0 && said.contains("devctl undelete workbench"),
            "{said}"
        );
        let marked = home(&scene, "says that it was deleted", |m| {
            m.because == Some(Ended::Deleted)
        })
        .await?;
        ensure!(
            trash::marks(&marked).removal.is_none(),
            "it is kept for ever"
        );
        let ran = devctl::run(&scene, &alice, &["trash", "-o", "json"]).await?;
        let listed: Value = serde_json::from_slice(&ran.stdout)?;
        ensure!(
            listed[0]["name"] == sample::NAME
                && listed[0]["flavor"] == json!(rig.small)
                && listed[0]["because"] == "Deleted"
                && listed[0]["hasSpec"] == true
                && listed[0]["removal"].is_null()
                && listed.as_array().map(Vec::len) == Some(1),
            "{listed:#}"
        );

        let (code, said) = run(&scene, &alice, &["undelete", sample::NAME, "--wait"]).await?;
        ensure!(code == 0 && said.contains("with its home of 1Gi"), "{said}");
        let again = scene.status(sample::NAME, "runs again", is_running).await?;
        ensure!(
            again.spec == trash::wanted_again(&asked),
            "{:?}",
            again.spec
        );
        let found = home(&scene, "is in use again", |m| *m == Marks::default()).await?;
        ensure!(found.uid() == claim.uid(), "the home is another one");
        let (_, said) = run(&scene, &alice, &["trash", "-o", "name"]).await?;
        ensure!(said.is_empty(), "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_home_is_removed_after_its_time_once_announced_and_never_while_a_pod_has_it()
-> anyhow::Result<()> {
    with_namespace("trash", async |scene| {
        let rig = Rig::attentive(scene.clone(), "trash: {retention: 720h}").await?;
        scene.create(&short_lived(&rig, "1h")).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        scene
            .object::<PersistentVolumeClaim>(HOME, "remembers", |c| trash::record(c).is_some())
            .await?;
        rig.operator.set_time(2 * 3600)?;
        scene.gone::<DevServer>(sample::NAME).await?;
        home(&scene, "says that its time was over", |m| {
            m.because == Some(Ended::Expired) && m.removal.is_some() && m.warned.is_none()
        })
        .await?;

        rig.operator.set_time(30 * DAY)?;
        home(&scene, "is announced", |m| m.warned.is_some()).await?;
        rig.operator.restart().await?;
        let told = events(&scene, HOME, "HomeRemovalSoon").await?;
        ensure!(told == 1, "announced {told} times");

        // Somebody looks into it, by a pod that the platform knows nothing of.
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "rescue"},
            "spec": {
                "containers": [{"name": "shell", "image": "x"}],
                "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": HOME}}],
            },
        }))?;
        scene.api().create(&PostParams::default(), &pod).await?;
        let mark = rig.operator.trace().mark();
        rig.operator.set_time(40 * DAY)?;
        wait::until(
            "it sees that it is needed",
            Duration::from_secs(60),
            async || {
                let log = std::fs::read_to_string(rig.operator.log())?;
                Ok(Seen::when(
                    log.contains("the pod rescue"),
                    "not yet".to_owned(),
                ))
            },
        )
        .await?;
        let writes = rig.operator.trace().writes_since(mark);
        ensure!(writes.is_empty(), "{writes:?}");
        let params = DeleteParams::default().grace_period(0);
        scene.api::<Pod>().delete("rescue", &params).await?;
        scene.gone::<Pod>("rescue").await?;
        rig.operator.set_time(41 * DAY)?;
        scene.gone::<PersistentVolumeClaim>(HOME).await?;
        let told = events(&scene, HOME, "HomeRemoved").await?;
        ensure!(told == 1, "told {told} times");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_home_that_goes_with_its_devserver_is_not_in_the_trash() -> anyhow::Result<()> {
    with_namespace("not kept", async |scene| {
        let rig = Rig::with_config(scene.clone(), "trash: {retention: 720h}").await?;
        let mut server = rig.sample();
        let lifecycle = json!({"volumeRetention": "Delete"});
        server.spec.lifecycle = serde_json::from_value(lifecycle)?;
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let claim = scene.api::<PersistentVolumeClaim>().get(HOME).await?;
        ensure!(trash::record(&claim).is_none(), "{:?}", claim.metadata);
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::background())
            .await?;
        scene.gone::<PersistentVolumeClaim>(HOME).await?;
        let told = events(&scene, HOME, "HomeRemoved").await?;
        ensure!(told == 0, "told {told} times");
        Ok(())
    })
    .await
}
