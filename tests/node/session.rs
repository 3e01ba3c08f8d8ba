//! Somebody who stays logged in.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

use crate::machine::User;

/// A session with a terminal, and what was seen on it.
pub struct Session {
    /// `devctl ssh`.
    pub process: Child,
    log: PathBuf,
}

impl Session {
    /// Logs in and runs a command.
    pub fn start(user: &User, name: &str, command: &str) -> anyhow::Result<Self> {
        let log = user.file("session.log");
        let key = user.key();
        let mut devctl = Command::new(crate::machine::program()?);
        devctl.args(["ssh", name, "-tt", "-i", &key, "--", command]);
        let process = user
            .prepare(&mut devctl)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log)?)
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to run {devctl:?}"))?;
        Ok(Self { process, log })
    }

    /// Runs devctl with somebody at the keyboard: what is written to the standard input is typed.
    pub fn typed(user: &User, words: &[&str], log: &str) -> anyhow::Result<Self> {
        let log = user.file(log);
        let mut devctl = Command::new(crate::machine::program()?);
        let file = std::fs::File::create(&log)?;
        let process = user
            .prepare(devctl.args(words))
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("failed to run {devctl:?}"))?;
        Ok(Self { process, log })
    }

    /// What was seen up to now.
    pub fn heard(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
