//! `devctl cp` and `devctl code` with an ordinary user's rights: the stock clients get what they need, and have the last word.

use anyhow::ensure;
use devserver_e2e::Rig;
use devserver_testkit::{devctl, sample, users, with_namespace};

#[tokio::test]
async fn devctl_cp_becomes_scp_and_passes_its_exit_code_on() -> anyhow::Result<()> {
    with_namespace("devctl cp", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        rig.running().await?;
        let target = format!("{}:", sample::NAME);
        let ran = devctl::run(&scene, &alice, &["cp", "/etc/hostname", &target]).await?;
        let said = String::from_utf8(ran.stderr)?;
        // No node has the pod in this ring, so the connection that scp asks for ends at once, by way of devctl.
        ensure!(ran.status.code() == Some(255), "{:?}: {said}", ran.status);
        ensure!(
            said.contains("failed to forward a port to DevServer 'workbench'"),
            "{said}"
        );
        let ran = devctl::run(&scene, &alice, &["cp", "/etc/hostname", "nobody:"]).await?;
        ensure!(ran.status.code() == Some(3), "{ran:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn devctl_code_says_how_plain_ssh_comes_to_know_the_host() -> anyhow::Result<()> {
    with_namespace("devctl code", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let alice = users::user(&scene, "alice", users::developer()).await?;
        rig.running().await?;
        let ran = devctl::run(&scene, &alice, &["code", sample::NAME, "--print"]).await?;
        let said = String::from_utf8(ran.stderr)?;
        ensure!(ran.status.code() == Some(1), "{said}");
        ensure!(
            said.contains("devctl config ssh-include --enable"),
            "{said}"
        );
        Ok(())
    })
    .await
}
