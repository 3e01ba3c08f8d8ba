//! Named terminals: what runs in one goes on when the connection is gone.

use std::{io::Write as _, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_testkit::wait::{Seen, until};

use crate::{machine::User, session::Session};

/// Somebody at the terminal of that name.
fn open(user: &User, log: &str) -> anyhow::Result<Session> {
    let mut words = vec!["ssh", "--session", "work", "box"];
    // Standard input is no terminal here, so ssh has to be told twice.
    words.extend(["-tt", "-o", "LogLevel=ERROR"]);
    Session::typed(user, &words, log)
}

fn types(session: &mut Session, line: &str) -> anyhow::Result<()> {
    let keys = session.process.stdin.as_mut().context("no keyboard")?;
    keys.write_all(format!("{line}\n").as_bytes())?;
    Ok(keys.flush()?)
}

/// The number that follows the word, once it is shown.
async fn number_after(session: &Session, word: &str) -> anyhow::Result<u64> {
    until(word, Duration::from_mins(1), async || {
        let heard = session.heard();
        let shown = heard.rsplit_once(word).and_then(|(_, rest)| {
            let (digits, _) = rest.split_once(';')?;
            digits.parse().ok()
        });
        Ok(match shown {
            Some(number) => Seen::Yes(number),
            None => Seen::NotYet(heard),
        })
    })
    .await
}

/// How far the counter in the machine has come.
fn counted(user: &User) -> anyhow::Result<u64> {
    Ok(user
        .says("box", "cat /tmp/count")?
        .parse()
        .unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_terminal_survives_a_killed_client_and_shows_its_screen_again() -> anyhow::Result<()>
{
    let user = User::new("terminal").await?;
    user.create("box", &["--expose", "ClusterIP"])?;
    let mut first = open(&user, "first.log")?;
    types(&mut first, "echo \"shell:$$;\"")?;
    let shell = number_after(&first, "shell:").await?;
    types(
        &mut first,
        "n=0; while sleep 0.2; do n=$((n+1)); echo $n >/tmp/count; done &",
    )?;
    until("it counts", Duration::from_mins(1), async || {
        Ok(Seen::when(counted(&user)? > 0, "nothing"))
    })
    .await?;
    first.process.kill()?;
    first.process.wait()?;
    let before = counted(&user)?;
    until("it goes on counting", Duration::from_mins(1), async || {
        let now = counted(&user)?;
        Ok(Seen::when(now > before, now))
    })
    .await?;
    let listed = user.says("box", "/opt/devserver/bin/devserver-agent sessions")?;
    ensure!(listed.starts_with("work\t"), "{listed}");
    let folder = "stat -c '%a %u' /run/devserver-sessions /run/devserver-sessions/1000";
    ensure!(user.says("box", folder)? == "1777 0\n700 1000");

    let mut second = open(&user, "second.log")?;
    // Nobody typed it there: it is on the screen that was kept.
    ensure!(number_after(&second, "shell:").await? == shell);
    types(&mut second, "echo \"again:$$;\"")?;
    ensure!(number_after(&second, "again:").await? == shell);
    types(&mut second, "kill %1; exit 7")?;
    let status = until("its end", Duration::from_mins(1), async || {
        Ok(match second.process.try_wait()? {
            Some(status) => Seen::Yes(status),
            None => Seen::NotYet(second.heard()),
        })
    })
    .await?;
    ensure!(status.code() == Some(7), "{status}: {}", second.heard());
    ensure!(user.says("box", "/opt/devserver/bin/devserver-agent sessions")? == "");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_named_terminal_is_one_of_the_shell_and_without_a_terminal_there_is_none()
-> anyhow::Result<()> {
    let user = User::new("command").await?;
    user.create("box", &["--expose", "ClusterIP"])?;
    let words = [
        "ssh",
        "--session",
        "once",
        "box",
        "-tt",
        "--",
        "echo 'it'\"'\"'s' $((40+2)) && exit 3",
    ];
    let output = user.devctl(words)?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.code() == Some(3) && shown.contains("it's 42"),
        "{output:?}"
    );
    let output = user.devctl(["ssh", "--session", "once", "box"])?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1) && told.contains("needs a terminal"),
        "{output:?}"
    );
    user.leave().await;
    Ok(())
}
