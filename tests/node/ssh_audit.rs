//! What a program that knows weak ssh servers says of the sshd of a machine.

use std::{process::Command, time::Duration};

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};

use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn ssh_audit_finds_nothing_at_a_machine_that_was_not_decided() -> anyhow::Result<()> {
    let visitor = Visitor::new("audit").await?;
    // No port of the node leads there: the audit goes the way of the user, to the machine's own sshd.
    let mut forward = visitor.starts(
        &["-N", "-L", "127.0.0.1:22722:127.0.0.1:22", "box"],
        "forward",
    )?;
    let audit = || {
        let mut audit = Command::new("ssh-audit");
        audit.args(["-b", "-n", "-p", "22722", "127.0.0.1"]);
        let output = visitor.user.output(&mut audit)?;
        anyhow::Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let text = until("an audit", Duration::from_mins(1), async || {
        let text = audit()?;
        Ok(if text.contains("(kex) curve25519-sha256") {
            Seen::Yes(text)
        } else {
            Seen::NotYet(text)
        })
    })
    .await?;
    forward.child.kill()?;
    let known: Vec<&str> = include_str!("ssh_audit.txt").lines().collect();
    // Its lines about CVEs compare versions as texts, and take OpenSSH 10 for older than 2.
    let findings = text
        .lines()
        .filter(|line| line.contains("[fail]") || line.contains("[warn]"));
    let new: Vec<&str> = findings.filter(|line| !known.contains(line)).collect();
    ensure!(new.is_empty(), "{new:#?}\n{text}");
    visitor.user.leave().await;
    Ok(())
}
