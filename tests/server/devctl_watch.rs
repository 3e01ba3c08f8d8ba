//! What goes on until it is interrupted: `devctl list --watch`, `devctl events --watch`, `devctl port-forward`.

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_e2e::Rig;
use devserver_testkit::{devctl, sample, users, with_namespace};
use kube::api::DeleteParams;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn devctl_list_watch_prints_each_change_and_ends_well() -> anyhow::Result<()> {
    with_namespace("devctl list watch", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        let mut list = devctl::start(&scene, &alice, &["list", "--watch"])?;
        rig.running().await?;
        list.says(&["NAME", "PHASE"]).await?;
        list.says(&[sample::NAME, "Running"]).await?;
        let mut events = devctl::start(&scene, &alice, &["events", sample::NAME, "--watch"])?;
        events.says(&["SuccessfulCreate"]).await?;
        let suspend = serde_json::json!({"spec": {"suspend": true}});
        scene.patch(sample::NAME, suspend).await?;
        list.says(&[sample::NAME, "Suspended"]).await?;
        events.says(&["SuccessfulDelete"]).await?;
        let params = DeleteParams::default();
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &params)
            .await?;
        list.says(&[sample::NAME, "Deleted"]).await?;
        let headings = list
            .said
            .iter()
            .filter(|line| line.contains("PHASE"))
            .count();
        ensure!(headings == 1, "{:?}", list.said);
        ensure!(
            list.interrupt().await? == Some(0),
            "the exit code of the list"
        );
        ensure!(
            events.interrupt().await? == Some(0),
            "the exit code of the events"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn devctl_port_forward_listens_on_loopback_and_survives_what_it_cannot_reach()
-> anyhow::Result<()> {
    with_namespace("devctl port-forward", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        rig.running().await?;
        let taken = TcpListener::bind(("127.0.0.1", 0)).await?;
        let pair = format!("{}:80", taken.local_addr()?.port());
        let refused = devctl::run(&scene, &alice, &["port-forward", sample::NAME, &pair]).await?;
        let said = String::from_utf8(refused.stderr)?;
        ensure!(
            refused.status.code() == Some(1) && said.contains("another program has this port"),
            "{said}"
        );

        let mut forward = devctl::start(
            &scene,
            &alice,
            &["port-forward", sample::NAME, "0:80", "0:5432"],
        )?;
        let line = forward.says(&["leads to port 80 of workbench"]).await?;
        forward.says(&["leads to port 5432"]).await?;
        let address = line.split(' ').next().unwrap_or_default().to_owned();
        ensure!(address.starts_with("127.0.0.1:"), "{address}");
        // No node has the pod in this ring, so every connection ends; the listener does not.
        for _ in 0..3 {
            let mut connection = TcpStream::connect(&address).await?;
            let mut answer = Vec::new();
            let read = connection.read_to_end(&mut answer);
            let ended = tokio::time::timeout(std::time::Duration::from_secs(30), read).await;
            ensure!(ended.is_ok() && answer.is_empty(), "{answer:?}");
        }
        ensure!(forward.interrupt().await? == Some(0), "the exit code");
        Ok(())
    })
    .await
}
