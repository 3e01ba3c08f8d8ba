//! By what a machine is known, and for how long.

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;

use crate::machine::{User, succeeded};

async fn host_keys(user: &User) -> anyhow::Result<Vec<String>> {
    let server: DevServer = user.api().get("box").await?;
    let ssh = server.status.and_then(|status| status.ssh);
    Ok(ssh.context("no host keys")?.host_keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_only_a_server_made_anew_has_other_host_keys_and_nobody_is_asked() -> anyhow::Result<()>
{
    let user = User::new("hostkeys").await?;
    user.create("box", &[])?;
    let first = host_keys(&user).await?;
    ensure!(user.says("box", "echo in")? == "in");
    user.suspend_and_resume("box").await?;
    ensure!(host_keys(&user).await? == first);
    ensure!(user.says("box", "echo in")? == "in");
    succeeded(&user.devctl(["delete", "box", "--yes", "--wait"])?)?;
    user.create("box", &[])?;
    let second = host_keys(&user).await?;
    ensure!(!second.is_empty() && !second.iter().any(|key| first.contains(key)));
    // No terminal, so a question would be a failure.
    ensure!(user.says("box", "echo in")? == "in");
    user.leave().await;
    Ok(())
}
