//! What can be said to the gateway itself: `wake NAME`, and that there is no shell.

use std::{sync::Arc, time::Duration};

use devserver_api::Phase;
use russh::{ChannelId, Sig, server::Handle};
use tokio::{sync::OwnedSemaphorePermit, time::timeout_at};

use crate::{
    access::{Grant, Role},
    audit::Mode,
    open::start,
    route::{self, Refusal},
    target::{ServerId, Target},
    visit::Visit,
    wake::Intent,
};

/// Stream of standard error (RFC 4254 §5.2).
pub const STDERR: u32 = 1;
/// How often somebody who waits is told that it goes on.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is said instead of a shell. Line ends for a terminal that is in raw mode.
pub const NO_SHELL: &str = "This is a jump host; it has no shell. To reach an environment: \
    ssh -J <user>@<this host> dev@<environment>\r\n";
/// What is said to who wants more than a session of a direct login.
pub const SESSIONS_ONLY: &str = "this login leads to sessions of one environment; to forward ports, use this host as a jump host: \
    ssh -J <user>@<this host> dev@<environment>";
/// What is said to who asked for an environment in the user name.
pub const NO_DIRECT: &str = "This gateway does not open environments by user name; use it as a jump host: \
    ssh -J <user>@<this host> dev@<environment>\r\n";

/// The server in `wake NAME`, or nothing.
pub fn wake_target(command: &[u8]) -> Option<Target> {
    let text = std::str::from_utf8(command).ok()?;
    Target::parse(text.trim_ascii().strip_prefix("wake ")?.trim_ascii())
}

/// Where progress is told.
#[derive(Clone)]
pub struct Terminal {
    handle: Handle,
    channel: ChannelId,
}

impl Terminal {
    /// A session channel.
    pub fn new(handle: Handle, channel: ChannelId) -> Self {
        Self { handle, channel }
    }

    /// A line on standard error.
    pub async fn say(&self, text: &str) {
        let line = format!("{text}\r\n");
        // Fails only when nobody is there any more.
        let _ = self.handle.extended_data(self.channel, STDERR, line).await;
    }

    /// What ran has ended; `false`: nobody is there any more.
    pub async fn exited(&self, status: u32) -> bool {
        let told = self.handle.exit_status_request(self.channel, status);
        told.await.is_ok()
    }

    /// What ran was killed; `false`: nobody is there any more.
    pub async fn killed(&self, signal: Sig, dumped: bool, words: String, language: String) -> bool {
        let told = self
            .handle
            .exit_signal_request(self.channel, signal, dumped, words, language);
        told.await.is_ok()
    }

    /// The end, with that status.
    pub async fn end(&self, status: u32) {
        self.exited(status).await;
        let _ = self.handle.eof(self.channel).await;
        let _ = self.handle.close(self.channel).await;
    }
}

/// Starts an environment and stays until it runs, telling how it goes.
pub async fn wake(
    visit: Arc<Visit>,
    target: Target,
    handle: Handle,
    channel: ChannelId,
    permit: OwnedSemaphorePermit,
) {
    let terminal = Terminal::new(handle, channel);
    let ended = tokio::select! {
        ended = started(&visit, &target, &terminal) => ended,
        () = visit.gone.cancelled() => return,
    };
    let user = visit.grant().map(|grant| grant.user).unwrap_or_default();
    let line = visit.line("command").user(&user);
    let line = line.target(&format!("wake {target}"), None);
    visit
        .tell(line.reason(if ended.is_ok() {
            "running"
        } else {
            "not_running"
        }))
        .await;
    let status = u32::from(ended.is_err());
    let last = ended.map_or_else(|why| why, |id| format!("{id} runs"));
    terminal.say(&last).await;
    terminal.end(status).await;
    drop(permit);
}

/// What is to be known of an environment for somebody who waits for it.
enum State {
    Runs(ServerId),
    Suspended(ServerId, Role, bool),
    Waits(ServerId, Option<Phase>),
    No(Refusal),
}

fn state(visit: &Visit, grant: &Grant, target: &Target) -> State {
    let networks = &visit.gateway.settings.pod_networks;
    visit.gateway.ask(|table| {
        let (id, role) = match route::find(table, grant, target, Mode::Jump) {
            Ok(found) => found,
            Err(refusal) => return State::No(refusal),
        };
        match route::locate(table, &id, 22, visit.client.ip(), networks) {
            Ok(_) => State::Runs(id),
            Err(Refusal::Suspended { by, .. }) => State::Suspended(id, role, by.is_policy()),
            Err(Refusal::Starting(_)) => {
                let phase = table.server(&id).and_then(|server| server.phase);
                State::Waits(id, phase)
            }
            Err(refusal) => State::No(refusal),
        }
    })
}

async fn started(visit: &Visit, target: &Target, terminal: &Terminal) -> Result<ServerId, String> {
    let grant = visit.grant().ok_or_else(|| Refusal::NotFound.to_string())?;
    let limit = tokio::time::Instant::now() + visit.gateway.settings.wake_timeout;
    let mut changes = visit.gateway.changes();
    let (mut asked, mut told) = (false, None);
    loop {
        changes.mark_unchanged();
        match state(visit, &grant, target) {
            State::Runs(id) => return Ok(id),
            State::No(refusal) => return Err(refusal.to_string()),
            State::Suspended(id, role, by_policy) if !asked => {
                start(&visit.gateway, &id, role, by_policy, Intent::Command).await?;
                terminal.say(&format!("{id} is being started")).await;
                asked = true;
            }
            State::Waits(id, phase) if told != Some(phase) => {
                let word = phase.map_or("Pending", Phase::as_str);
                terminal.say(&format!("{id}: {word}")).await;
                told = Some(phase);
            }
            State::Suspended(..) | State::Waits(..) => {}
        }
        let now = tokio::time::Instant::now();
        if now >= limit {
            return Err("still not running; `devctl describe` says why".to_owned());
        }
        let next = limit.min(now + PATIENCE);
        if timeout_at(next, changes.changed()).await.is_err() && next < limit {
            terminal.say("still starting").await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wake_and_a_name_is_a_command() {
        assert_eq!(wake_target(b"wake box").unwrap().server.as_str(), "box");
        assert_eq!(
            wake_target(b"wake box.team\n")
                .unwrap()
                .namespace
                .as_deref(),
            Some("team")
        );
        for text in [
            &b"wake"[..],
            b"wake ",
            b"wake box; id",
            b"id",
            b"wake 10.0.0.1",
            b"\xff",
            b"wake a b",
        ] {
            assert_eq!(wake_target(text), None, "{text:?}");
        }
    }
}
