//! Somebody who comes in through the gateway with stock clients.

use std::{
    io::Write as _,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, GatewayStatus};
use devserver_testkit::wait::{Seen, until};
use kube::Api;

use crate::machine::{User, succeeded};

/// A user, a machine, and an ssh configuration of the user's own making: no devctl in the way.
pub struct Visitor {
    pub user: User,
    /// File for `ssh -F`.
    pub config: String,
    /// Name at the gateway.
    pub owner: String,
    /// Where the gateway is, as the status of the machine tells it.
    pub gateway: GatewayStatus,
}

impl Visitor {
    /// With a machine `box` that runs.
    pub async fn new(stem: &str) -> anyhow::Result<Self> {
        let user = User::new(stem).await?;
        user.create("box", &["--expose", "ClusterIP"])?;
        Self::of(user).await
    }

    /// Whose machine `box` runs.
    pub async fn of(user: User) -> anyhow::Result<Self> {
        let (server, gateway) = told(&user, "box").await?;
        let owner = server.spec.owner.context("it has no owner")?;
        let host_keys = server
            .status
            .and_then(|s| s.ssh)
            .context("no host keys")?
            .host_keys;
        let known: String = host_keys
            .iter()
            .map(|key| format!("box {key}\n"))
            .chain(gateway.host_keys.iter().map(|key| format!("gw {key}\n")))
            .collect();
        std::fs::write(user.file("known"), known)?;
        let text = format!(
            "Host gw\n HostName {}\n Port {}\n User {owner}\n HostKeyAlias gw\n\
             Host box box.{ns}\n User dev\n ProxyJump gw\n HostKeyAlias box\n ForwardAgent yes\n\
             Host *\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n StrictHostKeyChecking yes\n BatchMode yes\n",
            gateway.host,
            gateway.port,
            user.key(),
            user.file("known").display(),
            ns = user.namespace,
        );
        let config = user.file("own-config");
        std::fs::write(&config, text)?;
        let config = config.display().to_string();
        Ok(Self {
            user,
            config,
            owner,
            gateway,
        })
    }

    /// Stock ssh with that configuration.
    pub fn ssh(&self, words: &[&str]) -> anyhow::Result<Output> {
        self.user
            .output(Command::new("ssh").args(["-F", &self.config]).args(words))
    }

    /// What a command prints.
    pub fn says(&self, words: &[&str]) -> anyhow::Result<String> {
        succeeded(&self.ssh(words)?)
    }

    /// An ssh that stays, its output in a file of that name. It is killed when it is dropped.
    pub fn starts(&self, words: &[&str], log: &str) -> anyhow::Result<Running> {
        self.starts_by(&self.config, words, log)
    }

    /// The same with another configuration.
    pub fn starts_by(&self, config: &str, words: &[&str], log: &str) -> anyhow::Result<Running> {
        let log = self.user.file(log);
        let file = std::fs::File::create(&log)?;
        let mut command = Command::new("ssh");
        command.args(["-F", config]).args(words);
        let child = self
            .user
            .prepare(&mut command)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("failed to run {command:?}"))?;
        Ok(Running { child, log })
    }

    /// What ssh says when it fails, which it must.
    pub fn refused(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.ssh(words)?;
        ensure!(!output.status.success(), "{words:?} was let in");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The DevServer, once its status tells of the gateway.
async fn told(user: &User, name: &str) -> anyhow::Result<(DevServer, GatewayStatus)> {
    let servers: Api<DevServer> = user.api();
    until("the gateway is told", Duration::from_mins(1), async || {
        let server = servers.get(name).await?;
        let ssh = server.status.as_ref().and_then(|s| s.ssh.as_ref());
        Ok(match ssh.and_then(|ssh| ssh.gateway.clone()) {
            Some(gateway) => Seen::Yes((server, gateway)),
            None => Seen::NotYet(format!("{ssh:?}")),
        })
    })
    .await
}

/// A client at work.
pub struct Running {
    pub child: Child,
    log: std::path::PathBuf,
}

impl Running {
    /// Types a line.
    pub fn types(&mut self, line: &str) -> anyhow::Result<()> {
        let keys = self.child.stdin.as_mut().context("no keyboard")?;
        keys.write_all(format!("{line}\n").as_bytes())?;
        Ok(keys.flush()?)
    }

    /// What it printed up to now.
    pub fn heard(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it printed that.
    pub async fn says(&mut self, words: &str) -> anyhow::Result<()> {
        let log = &self.log;
        let child = &mut self.child;
        let ended = until(words, Duration::from_mins(1), async || {
            // Asked first, so that what it said last is heard.
            let ended = child.try_wait()?;
            let bytes = std::fs::read(log).unwrap_or_default();
            let heard = String::from_utf8_lossy(&bytes).into_owned();
            Ok(match (heard.contains(words), ended) {
                (true, _) => Seen::Yes(None),
                (false, Some(status)) => Seen::Yes(Some(format!("{status}: {heard}"))),
                (false, None) => Seen::NotYet(heard),
            })
        });
        match ended.await? {
            None => Ok(()),
            Some(said) => anyhow::bail!("it ended and never said {words:?}: {said}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
