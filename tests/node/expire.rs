//! A machine whose time is over.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::wait::{Seen, until};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use serde_json::json;

use crate::{machine::User, session::Session, spec};

#[tokio::test(flavor = "multi_thread")]
async fn after_two_minutes_a_machine_ends_with_its_warnings_seen_in_the_session()
-> anyhow::Result<()> {
    let user = User::new("minutes").await?;
    let server = spec::create(&user, "box", json!({"lifecycle": {"timeToLive": "2m"}})).await?;
    let ends: Timestamp = server
        .status
        .and_then(|status| status.expiration_time)
        .context("it has no end")?
        .0;
    let mut session = Session::start(&user, "box", "echo there; trap '' HUP; sleep 600")?;
    until("the warning", Duration::from_secs(90), async || {
        Ok(Seen::when(
            session.heard().contains("is deleted in")
                && session.heard().contains("devctl extend box"),
            session.heard(),
        ))
    })
    .await?;
    let servers: Api<DevServer> = user.api();
    until("the end", Duration::from_mins(4), async || {
        let is_there = servers.get_opt("box").await?.is_some();
        ensure!(
            is_there || Timestamp::now() >= ends,
            "it was deleted before {ends}"
        );
        Ok(Seen::when(!is_there, "it is there"))
    })
    .await?;
    let pods = user.api::<Pod>();
    until("the pod is gone", Duration::from_mins(1), async || {
        Ok(Seen::when(
            pods.get_opt("box-0").await?.is_none(),
            "it is there",
        ))
    })
    .await?;
    let _ = session.process.wait()?;
    let heard = session.heard();
    ensure!(
        heard.contains("*** This environment is being stopped now"),
        "{heard}"
    );
    user.api::<PersistentVolumeClaim>()
        .get("home-box-0")
        .await
        .context("the home is promised to stay")?;
    user.leave().await;
    Ok(())
}
