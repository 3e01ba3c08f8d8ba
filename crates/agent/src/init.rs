//! The first process of the container: starts the program, reaps whatever ends, and turns SIGTERM
//! into an orderly end of every session within the time Kubernetes gives.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use thiserror::Error;

use crate::health::{self, Health};
use crate::ladder::{Ladder, Step};
use crate::settings::Settings;
use crate::{http, notice, processes};

/// How often a shutdown looks whether all have gone. Processes that entered from outside are not
/// our children, so no signal tells of their end.
const LOOK: Duration = Duration::from_millis(50);
const FAREWELL: &str = "*** This environment is being stopped now. Your session ends. ***";

/// Something the first process cannot do without was refused by the operating system.
#[derive(Debug, Error)]
#[error("failed to {action}")]
pub struct Error {
    action: String,
    #[source]
    source: std::io::Error,
}

/// Runs `program` to its end and returns its exit status, 128 + signal for one that was killed.
pub fn run(program: &OsStr, arguments: &[OsString], settings: &Settings) -> Result<u8, Error> {
    let system = |action: &str| {
        let action = action.to_owned();
        move |source| Error { action, source }
    };
    // Not as first process (a pod with a shared process namespace): orphans must still come to us.
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(|error| system("become the parent of orphans")(error.into()))?;
    let signals = listen_for_signals().map_err(system("listen for signals"))?;
    let health = Arc::new(Health::new(settings.ssh_port));
    http::serve(health::PORT, Arc::clone(&health)).map_err(system("serve the health endpoint"))?;
    let child = Command::new(program)
        .args(arguments)
        .process_group(0)
        .spawn()
        .map_err(system(&format!("start {}", program.display())))?;
    // From here on the status is taken by `reap` alone, `Child` would compete for it.
    let main = Pid::from_raw(child.id().cast_signed());
    let mut supervisor = Supervisor {
        main,
        status: None,
        signals,
        health,
    };
    supervisor.watch();
    supervisor.end_all(settings.grace);
    Ok(supervisor.status.unwrap_or(128 + 9))
}

/// Signals arrive in a channel, so that waiting for them can have a deadline.
fn listen_for_signals() -> std::io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    let (sender, receiver) = sync_channel(64);
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

struct Supervisor {
    /// The program: startup.sh, which becomes sshd.
    main: Pid,
    /// Its exit status once it has ended.
    status: Option<u8>,
    signals: Receiver<i32>,
    health: Arc<Health>,
}

impl Supervisor {
    /// Returns when the program has ended or the container is to stop.
    fn watch(&mut self) {
        while self.status.is_none() {
            match self.signals.recv() {
                Ok(SIGCHLD) => self.reap(),
                Ok(SIGHUP) => {
                    // sshd reads its configuration again.
                    let _ = kill(self.main, Signal::SIGHUP);
                }
                Ok(_) | Err(_) => break,
            }
        }
    }

    /// Takes the status of every ended child. One signal may stand for many of them.
    fn reap(&mut self) {
        loop {
            let ended = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, u8::try_from(code).unwrap_or(u8::MAX)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, signal_status(signal)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    eprintln!("devserver-agent: failed to wait for a child: {error}");
                    return;
                }
            };
            if ended.0 == self.main {
                eprintln!(
                    "devserver-agent: the main process ended with status {}",
                    ended.1
                );
                self.status = Some(ended.1);
                self.health.main_process_ended(ended.1);
            }
        }
    }

    /// Ends all processes, politely as long as there is time. Returns as soon as none is left.
    fn end_all(&mut self, grace: Duration) {
        self.health.stopping();
        let started = Instant::now();
        let mut ladder = Ladder::new(grace);
        loop {
            self.reap();
            let left = processes::others();
            if left.is_empty() {
                self.reap();
                return;
            }
            if let Some(step) = ladder.next(started.elapsed()) {
                match step {
                    Step::Ask => notice::tell_terminals(FAREWELL),
                    Step::Insist | Step::Kill => {
                        eprintln!("devserver-agent: {} processes left: {step:?}", left.len());
                    }
                    Step::Leave => return,
                }
                processes::signal(&left, step);
            }
            if let Err(RecvTimeoutError::Disconnected) = self.signals.recv_timeout(LOOK) {
                thread::sleep(LOOK);
            }
        }
    }
}

fn signal_status(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killed_program_has_the_status_a_shell_would_give() {
        assert_eq!(signal_status(Signal::SIGTERM), 143);
        assert_eq!(signal_status(Signal::SIGKILL), 137);
    }
}
