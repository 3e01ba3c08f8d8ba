//! What people do with the `ssh` of their machine: log in, and copy.

use std::{path::Path, process::Stdio, time::Instant};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::ways::Way;
use crate::usage;

const MIB: usize = 1 << 20;
/// A piece that is written to or read from ssh.
const PIECE: usize = 256 * 1024;

/// Seconds of `ssh <way> true`, from the start of the client to its end.
pub async fn connect(config: &Path, way: Way) -> Result<f64> {
    let started = Instant::now();
    let output = ssh(config, way, "true")
        .stdin(Stdio::null())
        .output()
        .await?;
    let took = started.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ssh {} true failed: {said}", way.name());
    }
    Ok(took)
}

/// What `ssh -V` or `sshd -V` says.
pub async fn version(program: &str) -> Result<String> {
    let output = Command::new(program).arg("-V").output().await;
    let output = output.with_context(|| format!("failed to run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.starts_with("OpenSSH"));
    Ok(line.unwrap_or_default().to_owned())
}

/// Where a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the environment.
    Up,
    /// From it.
    Down,
}

/// What a copy took.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// Seconds, from the first byte to the last one's arrival; logging in is not in it.
    pub seconds: f64,
    /// Processor seconds of the hop in that time.
    pub hop_cpu_seconds: Option<f64>,
}

/// Copies as many MiB; the hop is that process and all it has started.
pub async fn copy(
    config: &Path,
    way: Way,
    direction: Direction,
    mib: usize,
    hop: Option<u32>,
) -> Result<Copied> {
    let blocks = mib * MIB / PIECE;
    // A letter when the command runs; what is measured begins after it.
    let command = match direction {
        Direction::Up => format!(
            "echo R; dd of=/dev/null bs={PIECE} count={blocks} iflag=fullblock 2>/dev/null; echo E; read x"
        ),
        Direction::Down => {
            format!("echo R; read x; dd if=/dev/zero bs={PIECE} count={blocks} 2>/dev/null; read x")
        }
    };
    let child = ssh(config, way, &command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut copy = Copy::new(child)?;
    copy.expect(b"R\n").await?;
    let before = hop.map(usage::cpu_seconds_of_tree).transpose()?;
    let started = Instant::now();
    match direction {
        Direction::Up => copy.up(blocks).await,
        Direction::Down => copy.down(blocks * PIECE).await,
    }
    .with_context(|| format!("a copy by {} broke", way.name()))?;
    let seconds = started.elapsed().as_secs_f64();
    let after = hop.map(usage::cpu_seconds_of_tree).transpose()?;
    copy.end().await?;
    Ok(Copied {
        seconds,
        hop_cpu_seconds: before.zip(after).map(|(before, after)| after - before),
    })
}

fn ssh(config: &Path, way: Way, command: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F")
        .arg(config)
        .args([way.name(), command])
        .kill_on_drop(true);
    ssh
}

struct Copy {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Copy {
    fn new(mut child: Child) -> Result<Self> {
        let to = child.stdin.take().context("ssh has no input")?;
        let from = child.stdout.take().context("ssh has no output")?;
        Ok(Self { child, to, from })
    }

    async fn expect(&mut self, said: &[u8]) -> Result<()> {
        let mut buffer = vec![0; said.len()];
        self.from
            .read_exact(&mut buffer)
            .await
            .context("the command said nothing")?;
        if buffer != said {
            bail!("the command said something else");
        }
        Ok(())
    }

    async fn up(&mut self, blocks: usize) -> Result<()> {
        let piece = vec![0; PIECE];
        for _ in 0..blocks {
            self.to.write_all(&piece).await?;
        }
        self.expect(b"E\n").await
    }

    async fn down(&mut self, bytes: usize) -> Result<()> {
        self.to.write_all(b"\n").await?;
        let mut piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            let count = self.from.read(&mut piece).await?;
            if count == 0 {
                bail!("{left} bytes did not come");
            }
            left = left.saturating_sub(count);
        }
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        self.to.write_all(b"\n").await?;
        drop(self.to);
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("ssh ended with {status}");
        }
        Ok(())
    }
}
