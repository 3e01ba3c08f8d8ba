//! What the pod's author sets for the first process, by environment variables.

use std::env;
use std::ffi::{OsStr, OsString};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::health;

/// The settings of `devserver-agent init`.
#[derive(Debug)]
pub struct Settings {
    /// Time for processes to end by themselves (`DEVSERVER_GRACE_SECONDS`).
    pub grace: Duration,
    /// The port sshd listens on (`DEVSERVER_SSH_PORT`); `None`, written 0: no sshd is expected in this container.
    pub ssh_port: Option<u16>,
    /// The port of the health endpoint (`DEVSERVER_HEALTH_PORT`); the containers of a pod share their ports.
    pub health_port: u16,
    /// Whether this container is there for sshd alone (`DEVSERVER_ROLE=ssh`): the work is done in another one.
    pub is_sidecar: bool,
    /// Whether there is a login by password (`DEVSERVER_PASSWORD_LOGIN=yes`).
    pub has_password: bool,
    /// Whether the editor is to run (`DEVSERVER_EDITOR_PORT`).
    pub has_editor: bool,
    /// Name of the DevServer (`DEVSERVER_NAME`), for messages.
    pub name: String,
    /// Its namespace (`DEVSERVER_NAMESPACE`), for the kubeconfig.
    pub namespace: String,
}

/// A setting that is not a number in range.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("failed to read {name}={value:?}: not a whole number in range")]
pub struct Error {
    name: &'static str,
    value: OsString,
}

impl Settings {
    /// Reads the settings, each with its default.
    pub fn from_environment() -> Result<Self, Error> {
        let grace = env::var_os("DEVSERVER_GRACE_SECONDS");
        let ssh_port = env::var_os("DEVSERVER_SSH_PORT");
        let health_port = env::var_os("DEVSERVER_HEALTH_PORT");
        let ssh_port = number("DEVSERVER_SSH_PORT", ssh_port.as_deref(), 22)?;
        Ok(Self {
            grace: number("DEVSERVER_GRACE_SECONDS", grace.as_deref(), 20)
                .map(|seconds: u32| Duration::from_secs(seconds.into()))?,
            ssh_port: Some(ssh_port).filter(|port| *port != 0),
            health_port: number(
                "DEVSERVER_HEALTH_PORT",
                health_port.as_deref(),
                health::PORT,
            )?,
            is_sidecar: env::var_os("DEVSERVER_ROLE").is_some_and(|role| role == "ssh"),
            has_password: env::var_os("DEVSERVER_PASSWORD_LOGIN").is_some_and(|word| word == "yes"),
            has_editor: env::var_os("DEVSERVER_EDITOR_PORT").is_some(),
            name: env::var("DEVSERVER_NAME").unwrap_or_default(),
            namespace: env::var("DEVSERVER_NAMESPACE").unwrap_or_default(),
        })
    }
}

fn number<N: FromStr>(name: &'static str, value: Option<&OsStr>, default: N) -> Result<N, Error> {
    let Some(value) = value else {
        return Ok(default);
    };
    let parsed = value.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Error {
        name,
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_variable_gives_the_default() {
        assert_eq!(number("X", None, 20u32), Ok(20));
    }

    #[test]
    fn set_variable_counts_and_rubbish_is_refused() {
        assert_eq!(number("X", Some(OsStr::new("2222")), 22u16), Ok(2222));
        for value in ["", "-1", "5s", "65536"] {
            assert!(
                number("X", Some(OsStr::new(value)), 22u16).is_err(),
                "{value}"
            );
        }
    }
}
