//! Keeps the account's password hash what the mounted Secret says, so that a changed or withdrawn password needs no restart.
//! At the start of the environment `startup.sh` sets it; here it is called again for that alone.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::children::Children;
use crate::health::Health;
use crate::notice;

const FILE: &str = "/etc/devserver/authorized-keys/password-hash";
const SCRIPT: &str = "/opt/devserver/startup.sh";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What the file holds; `None`: there is no login by password.
pub type Hash = Option<Vec<u8>>;

/// What the file holds now, which must be read before the environment is prepared from it.
pub fn mounted() -> Hash {
    fs::read(FILE).ok()
}

/// Watches the file from a thread of its own until the process ends; `known` is what was there before the start.
pub fn watch(known: Hash, children: Arc<Children>, health: Arc<Health>) -> io::Result<()> {
    let watch = move || {
        // Before that the accounts are being made.
        while health.check().is_err() {
            thread::sleep(Duration::from_millis(500));
        }
        let (mut known, mut tried) = (known.clone(), known);
        while !health.is_ending() {
            let now = mounted();
            if now != known {
                let status = change(&children);
                // What failed is tried again, but told once.
                if status == Some(0) || now != tried {
                    notice::log(&json!({"event": "password", "status": status}));
                }
                if status == Some(0) {
                    known.clone_from(&now);
                }
                tried = now;
            }
            thread::sleep(LOOK);
        }
    };
    thread::Builder::new()
        .name("password".into())
        .spawn(watch)?;
    Ok(())
}

/// The exit status of the script; `None` when it could not be started. In a process group of its own, so that a signal to the
/// main process is not meant for it.
fn change(children: &Children) -> Option<u8> {
    let mut command = Command::new("/bin/sh");
    command.args([SCRIPT, "password"]).process_group(0);
    match children.start(&mut command) {
        Ok(started) => started.ended.recv().ok(),
        Err(error) => {
            eprintln!("devserver-agent: failed to change the password: {error}");
            None
        }
    }
}
