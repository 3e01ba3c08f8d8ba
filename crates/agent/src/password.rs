//! Keeps the account's password hash what the mounted Secret says, so that a changed or withdrawn password needs no restart.
//! At the start of the environment the preparation sets it.

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::health::Health;
use crate::{accounts, notice, prepare};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What the file holds; `None`: there is no login by password.
pub type Hash = Option<Vec<u8>>;

/// What the file holds now, which must be read before the environment is prepared from it.
pub fn mounted() -> Hash {
    fs::read(accounts::PASSWORD).ok()
}

/// Watches the file from a thread of its own until the process ends; `known` is what was there before the start.
pub fn watch(known: Hash, health: Arc<Health>) -> io::Result<()> {
    let watch = move || {
        // Before that the accounts are being made.
        while health.check().is_err() {
            thread::sleep(Duration::from_millis(500));
        }
        let (mut known, mut tried) = (known.clone(), known);
        while !health.is_ending() {
            let now = mounted();
            if now != known {
                let changed = accounts::change_password();
                // What failed is tried again, but told once.
                if changed.is_ok() || now != tried {
                    tell(&changed);
                }
                if changed.is_ok() {
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

/// With the exit status that `devserver-agent prepare password` has.
fn tell(changed: &Result<(), accounts::Error>) {
    let status = match changed {
        Ok(()) => 0,
        Err(error) => {
            notice::say(&format!("error: {error}"));
            prepare::EXIT_CONFIG
        }
    };
    notice::log(&json!({"event": "password", "status": status}));
}
