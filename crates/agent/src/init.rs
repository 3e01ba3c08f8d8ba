//! The first process of the container: starts the program, reaps whatever ends, and turns SIGTERM
//! into an orderly end of every session within the time Kubernetes gives.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::json;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use thiserror::Error;

use crate::activity::{self, Latest};
use crate::children::{Children, Started};
use crate::health::Health;
use crate::ladder::{Ladder, Step};
use crate::settings::Settings;
use crate::{
    checkpoint, editor, expiration, http, kubeconfig, notice, packages, password, processes,
};

/// How often a shutdown looks whether all have gone. Processes that entered from outside are not
/// our children, so no signal tells of their end.
const LOOK: Duration = Duration::from_millis(50);
const FAREWELL: &str = "*** This environment is being stopped now. Your session ends. ***";
const SAVING: &str =
    "*** This environment is being stopped. The checkpoint command saves your work first. ***";

/// Something the first process cannot do without was refused by the operating system.
#[derive(Debug, Error)]
#[error("failed to {action}")]
pub struct Error {
    action: String,
    #[source]
    source: std::io::Error,
}

fn system(action: &str) -> impl FnOnce(std::io::Error) -> Error {
    let action = action.to_owned();
    move |source| Error { action, source }
}

/// Runs `program` to its end and returns its exit status, 128 + signal for one that was killed.
pub fn run(program: &OsStr, arguments: &[OsString], settings: &Settings) -> Result<u8, Error> {
    // Not as first process (a pod with a shared process namespace): orphans must still come to us.
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(|error| system("become the parent of orphans")(error.into()))?;
    let signals = listen_for_signals().map_err(system("listen for signals"))?;
    let health = Arc::new(Health::new(settings.ssh_port));
    let latest = Arc::new(Latest::of(&settings.name));
    http::serve(
        settings.health_port,
        Arc::clone(&health),
        Arc::clone(&latest),
    )
    .map_err(system("serve the health endpoint"))?;
    let children = Arc::new(Children::default());
    let known = password::mounted();
    let mut command = Command::new(program);
    let main = children
        .start(command.args(arguments).process_group(0))
        .map_err(system(&format!("start {}", program.display())))?;
    health.main_process_started(main.pid.as_raw());
    start_watches(settings, known, &children, &health)?;
    activity::watch(Arc::clone(&children), latest, settings.name.clone())
        .map_err(system("watch the activity"))?;
    let mut supervisor = Supervisor {
        main,
        status: None,
        children,
        signals,
        health,
    };
    supervisor.watch();
    let mut grace = settings.grace;
    if supervisor.status.is_none() && !settings.is_sidecar {
        grace = grace.saturating_sub(supervisor.save_work(grace));
    }
    supervisor.end_all(grace);
    Ok(supervisor.status.unwrap_or(128 + 9))
}

/// What goes on beside the main process, each in a thread of its own.
fn start_watches(
    settings: &Settings,
    known: password::Hash,
    children: &Arc<Children>,
    health: &Arc<Health>,
) -> Result<(), Error> {
    expiration::watch(settings.name.clone()).map_err(system("watch the expiration"))?;
    if !settings.is_sidecar {
        packages::watch(Arc::clone(children), Arc::clone(health))
            .map_err(system("watch the packages"))?;
        kubeconfig::watch(settings.namespace.clone()).map_err(system("watch the token"))?;
    }
    if settings.has_password {
        password::watch(known, Arc::clone(health)).map_err(system("watch the password"))?;
    }
    if settings.has_editor && !settings.is_sidecar {
        editor::watch(Arc::clone(children), Arc::clone(health))
            .map_err(system("watch the editor"))?;
    }
    Ok(())
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
    /// The program: startup.sh, which becomes sshd or pauses.
    main: Started,
    /// Its exit status once it has ended.
    status: Option<u8>,
    children: Arc<Children>,
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
                    let _ = kill(self.main.pid, Signal::SIGHUP);
                }
                Ok(_) | Err(_) => break,
            }
        }
    }

    fn reap(&mut self) {
        self.children.reap();
        if let Ok(status) = self.main.ended.try_recv() {
            eprintln!("devserver-agent: the main process ended with status {status}");
            self.status = Some(status);
            self.health.main_process_ended(status);
        }
    }

    /// Waits a moment, less when a signal comes.
    fn pause(&self) {
        if let Err(RecvTimeoutError::Disconnected) = self.signals.recv_timeout(LOOK) {
            thread::sleep(LOOK);
        }
    }

    /// Runs the checkpoint command, while everything else is still there, and returns how long that took.
    fn save_work(&mut self, grace: Duration) -> Duration {
        let begun = Instant::now();
        self.health.stopping();
        let Some(mut command) = checkpoint::command() else {
            return begun.elapsed();
        };
        notice::tell_terminals(SAVING);
        let limit = checkpoint::limit(grace);
        let status = match self.children.start(&mut command) {
            Err(error) => json!(format!("failed to start: {error}")),
            Ok(started) => loop {
                self.reap();
                if let Ok(status) = started.ended.try_recv() {
                    break json!(status);
                }
                if begun.elapsed() >= limit {
                    break json!(format!("not done within {} s", limit.as_secs()));
                }
                self.pause();
            },
        };
        let seconds = begun.elapsed().as_secs();
        notice::log(&json!({"event": "checkpoint", "status": status, "seconds": seconds}));
        begun.elapsed()
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
            self.pause();
        }
    }
}
