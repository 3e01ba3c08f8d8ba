//! Saves the user's work before everything is ended: the command of `spec.lifecycle.checkpoint`, run as the login user.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::login_user;

const FILE: &str = "/etc/devserver/sshd/checkpoint.json";
/// Where its output goes, below the home.
const LOG: &str = ".local/state/devserver/checkpoint.log";
/// Time that the processes themselves get afterwards; the pod has as much without a checkpoint.
const FOR_PROCESSES: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
struct Checkpoint {
    command: Vec<String>,
}

/// The command ready to be started, if there is one.
pub fn command() -> Option<Command> {
    let words = read(Path::new(FILE))?;
    let (program, arguments) = words.split_first()?;
    Some(login_user::command(LOG, program, arguments))
}

fn read(file: &Path) -> Option<Vec<String>> {
    let text = fs::read(file).ok()?;
    match serde_json::from_slice::<Checkpoint>(&text) {
        Ok(checkpoint) => Some(checkpoint.command),
        Err(error) => {
            eprintln!(
                "devserver-agent: failed to read {}: {error}",
                file.display()
            );
            None
        }
    }
}

/// How long it may take of the time the whole end may take.
pub fn limit(grace: Duration) -> Duration {
    grace.saturating_sub(FOR_PROCESSES).max(grace / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_keep_their_time_and_a_short_grace_is_halved() {
        assert_eq!(limit(Duration::from_secs(85)), Duration::from_secs(65));
        assert_eq!(limit(Duration::from_secs(30)), Duration::from_secs(15));
        assert_eq!(limit(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn d4_words_of_the_command_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint.json");
        fs::write(&file, r#"{"command":["save","$(SECRET)","a b","\"'`id`"]}"#).unwrap();
        assert_eq!(
            read(&file).unwrap(),
            ["save", "$(SECRET)", "a b", "\"'`id`"]
        );
        fs::write(&file, "{}").unwrap();
        assert_eq!(read(&file), None);
        assert_eq!(read(Path::new("/nonexistent")), None);
    }
}
