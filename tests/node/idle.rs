//! A session in which nothing happens stays.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::visitor::Visitor;

/// Seconds without a byte; a quarter of an hour, unless told otherwise.
const SECONDS: &str = "DEVSERVER_TEST_IDLE_SECONDS";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nightly: a quarter of an hour in which nothing happens"]
async fn a_session_that_is_idle_for_a_quarter_of_an_hour_is_not_cut() -> anyhow::Result<()> {
    let seconds = match std::env::var(SECONDS) {
        Ok(text) => text.parse().context(SECONDS)?,
        Err(_) => 900,
    };
    let visitor = Visitor::new("idle").await?;
    // The client asks nothing by itself, nor does its kernel.
    let silent = [
        "-o",
        "ServerAliveInterval=0",
        "-o",
        "TCPKeepAlive=no",
        "-tt",
    ];
    let command = "echo there; read line; echo \"heard $line\"";
    let direct = format!("User={}+box.{}", visitor.owner, visitor.user.namespace);
    let mut sessions = Vec::new();
    for (log, words) in [
        ("jump", vec!["box", command]),
        ("direct", vec!["-o", &direct, "gw", command]),
    ] {
        let words: Vec<&str> = silent.iter().copied().chain(words).collect();
        let mut session = visitor.starts(&words, log)?;
        session.says("there").await?;
        sessions.push((log, session));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    for (log, session) in &mut sessions {
        let ended = session.child.try_wait()?;
        ensure!(ended.is_none(), "{log} ended: {}", session.heard());
        session.types("word")?;
        session.says("heard word").await?;
    }
    visitor.user.leave().await;
    Ok(())
}
