//! Handing rules to the kernel, and what of the kernel they need.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// Thousands of rules take a second; what takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where bridges are told to show their packets to the hooks, for IPv4 and for IPv6.
const SWITCHES: [&str; 2] = [
    "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
];

/// Makes packets between pods, which only cross a bridge, pass the hooks: a property of this process's namespace.
pub fn filter_bridges() -> Result<()> {
    for switch in SWITCHES {
        if !Path::new(switch).exists() {
            // A module that nobody else on this machine has asked for yet; the file says whether it came.
            let _ = std::process::Command::new("modprobe")
                .arg("br_netfilter")
                .status();
        }
        let now = fs::read_to_string(switch).with_context(|| {
            format!("failed to read {switch}: the kernel needs br_netfilter, without which packets between pods pass unseen")
        })?;
        if now.trim() != "1" {
            fs::write(switch, "1").with_context(|| format!("failed to write {switch}"))?;
        }
    }
    Ok(())
}

/// Puts a text into force: all of it or, when there is anything wrong with it, nothing.
pub async fn apply(text: &str) -> Result<()> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to run nft (Debian's package nftables)")?;
    let mut input = nft.stdin.take().context("nft has no standard input")?;
    let fed = async {
        // It may end before it has read everything; its exit says more than a broken pipe.
        let _ = input.write_all(text.as_bytes()).await;
        drop(input);
        nft.wait_with_output().await
    };
    let output = timeout(TIMEOUT, fed)
        .await
        .context("nft does not end")?
        .context("failed to run nft")?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    bail!("nft: {}: {}", output.status, words.trim())
}
