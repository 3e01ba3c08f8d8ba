//! Installs the packages of `spec.packages` as the login user, in the background: a login waits for no package index.

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::children::Children;
use crate::health::Health;
use crate::{login_user, notice};

const LIST: &str = "/etc/devserver/sshd/pip-requirements.txt";
const SCRIPT: &str = "/opt/devserver/libexec/install-packages";
/// Where the output goes, below the home.
const LOG: &str = ".local/state/devserver/pip.log";
/// How often the list is looked at: one that was changed counts without a restart.
const LOOK: Duration = Duration::from_secs(5);
const NEWS: &str = "*** Not all packages were installed; see ~/.local/state/devserver/pip.log ***";

/// Watches the list from a thread of its own until the process ends.
pub fn watch(children: Arc<Children>, health: Arc<Health>) -> io::Result<()> {
    let watch = move || {
        let mut done = None;
        loop {
            let list = fs::read(LIST).ok();
            if list != done {
                if list.is_some() {
                    wait_for_sshd(&health);
                    install(&children, &health);
                }
                done = list;
            }
            thread::sleep(LOOK);
        }
    };
    thread::Builder::new()
        .name("packages".into())
        .spawn(watch)?;
    Ok(())
}

/// Each look is a connection, for which sshd starts a program; so there is none where nothing is to be installed, least of all while
/// somebody waits for the first login.
fn wait_for_sshd(health: &Health) {
    while health.check().is_err() {
        thread::sleep(Duration::from_millis(500));
    }
}

fn install(children: &Children, health: &Health) {
    let mut command = login_user::command(LOG, "/bin/sh", &[SCRIPT.to_owned()]);
    let status = match children.start(&mut command) {
        Ok(started) => started.ended.recv().unwrap_or(u8::MAX),
        Err(error) => {
            eprintln!("devserver-agent: failed to install packages: {error}");
            return;
        }
    };
    // One that was cut short by the end of the environment is tried again at the next start.
    if health.is_ending() {
        return;
    }
    let outcome = outcome(status);
    notice::log(&json!({"event": "packages", "outcome": outcome, "status": status, "log": LOG}));
    if outcome != "installed" {
        notice::tell_terminals(NEWS);
    }
}

/// The statuses of the script.
fn outcome(status: u8) -> &'static str {
    match status {
        0 => "installed",
        3 => "unavailable",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_pip_is_told_apart_from_a_failure() {
        assert_eq!(
            [0, 1, 3, 137].map(outcome),
            ["installed", "failed", "unavailable", "failed"]
        );
    }
}
