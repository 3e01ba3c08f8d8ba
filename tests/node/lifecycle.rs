//! What survives, what ends, and what is left.

use std::time::Duration;

use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
};
use kube::api::{DeleteParams, ListParams};

use crate::{
    machine::{User, succeeded},
    session::Session,
};

#[tokio::test(flavor = "multi_thread")]
async fn f7_the_home_and_the_host_keys_survive_the_pod() -> anyhow::Result<()> {
    let user = User::new("survive").await?;
    user.create("box", &[])?;
    user.says("box", "echo kept > ~/file; doas touch /root/lost")?;
    let pods = user.api::<Pod>();
    let uid = pods.get("box-0").await?.metadata.uid;
    pods.delete("box-0", &DeleteParams::default()).await?;
    until("another pod", Duration::from_mins(2), async || {
        let pod = pods.get_opt("box-0").await?;
        Ok(Seen::when(
            pod.is_some_and(|p| p.metadata.uid != uid),
            "the old one",
        ))
    })
    .await?;
    // With the host keys checked strictly: had they changed, no login would succeed.
    user.answers("box").await?;
    assert_eq!(
        user.says("box", "cat ~/file; doas ls /root/lost 2>/dev/null | wc -l")?,
        "kept\n0"
    );
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_told_to_who_is_logged_in_and_comes_in_time() -> anyhow::Result<()> {
    let user = User::new("end").await?;
    user.create("box", &[])?;
    let mut session = Session::start(&user, "box", "echo there; trap '' HUP; sleep 600")?;
    until("a session", Duration::from_secs(30), async || {
        Ok(Seen::when(
            session.heard().contains("there"),
            session.heard(),
        ))
    })
    .await?;
    let pods = user.api::<Pod>();
    let uid = pods.get("box-0").await?.metadata.uid;
    let started = std::time::Instant::now();
    pods.delete("box-0", &DeleteParams::default()).await?;
    until("the pod is gone", Duration::from_secs(60), async || {
        Ok(Seen::when(
            pods.get_opt("box-0")
                .await?
                .is_none_or(|p| p.metadata.uid != uid),
            "there",
        ))
    })
    .await?;
    assert!(
        started.elapsed() < Duration::from_secs(40),
        "it took {:?}",
        started.elapsed()
    );
    let _ = session.process.wait()?;
    let heard = session.heard();
    assert!(heard.lines().count() > 1, "nobody was told: {heard:?}");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_machine_comes_back_with_its_home() -> anyhow::Result<()> {
    let user = User::new("suspend").await?;
    user.create("box", &[])?;
    user.says("box", "echo kept > ~/file")?;
    user.suspend_and_resume("box").await?;
    assert_eq!(user.says("box", "cat ~/file")?, "kept");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_leaves_the_home_and_nothing_else_and_the_home_is_found_again()
-> anyhow::Result<()> {
    let user = User::new("delete").await?;
    user.create("box", &[])?;
    user.says("box", "echo kept > ~/file")?;
    succeeded(&user.devctl(["delete", "box", "--yes", "--wait", "--timeout", "2m"])?)?;
    until(
        "only the home is left",
        Duration::from_mins(2),
        async || {
            let all = ListParams::default().labels("devserver.io/name=box");
            let left = user.api::<StatefulSet>().list(&all).await?.items.len()
                + user.api::<Service>().list(&all).await?.items.len()
                + user.api::<ConfigMap>().list(&all).await?.items.len()
                + user.api::<Secret>().list(&all).await?.items.len()
                + user.api::<ServiceAccount>().list(&all).await?.items.len()
                + user.api::<Pod>().list(&all).await?.items.len();
            Ok(Seen::when(left == 0, format!("{left} objects")))
        },
    )
    .await?;
    user.api::<PersistentVolumeClaim>()
        .get("home-box-0")
        .await?;
    user.create("box", &[])?;
    assert_eq!(user.says("box", "cat ~/file")?, "kept");
    user.leave().await;
    Ok(())
}
