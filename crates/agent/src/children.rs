//! Child processes whose end somebody waits for. As the parent of all orphans the agent must take every status with one
//! `waitpid`; who started a process gets its status from there.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The children that are waited for.
#[derive(Debug, Default)]
pub struct Children {
    waiting: Mutex<HashMap<i32, SyncSender<u8>>>,
}

/// A child that was started.
#[derive(Debug)]
pub struct Started {
    /// Its process id.
    pub pid: Pid,
    /// Gives its exit status once, 128 + signal when it was killed.
    pub ended: Receiver<u8>,
}

impl Children {
    /// Starts a process. Nothing is reaped meanwhile, or the status of a short one would go to nobody.
    pub fn start(&self, command: &mut Command) -> io::Result<Started> {
        let mut waiting = self.lock();
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let (sender, ended) = sync_channel(1);
        waiting.insert(pid.as_raw(), sender);
        Ok(Started { pid, ended })
    }

    /// Takes the status of every ended child. One signal may stand for many of them.
    pub fn reap(&self) {
        let mut waiting = self.lock();
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, u8::try_from(code).unwrap_or(u8::MAX)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, signal_status(signal)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    eprintln!("devserver-agent: failed to wait for a child: {error}");
                    return;
                }
            };
            if let Some(sender) = waiting.remove(&pid.as_raw()) {
                // Room for one and one is sent: this never blocks. Whoever no longer listens has lost interest.
                let _ = sender.send(status);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, SyncSender<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
