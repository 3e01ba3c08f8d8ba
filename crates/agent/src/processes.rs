//! The processes the agent answers for, and which signal each gets first in a shutdown.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ladder::Step;
use crate::procfs::{Stat, parse_stat, stats};

/// The living processes that must end before the agent may: as first process of the container all
/// others (also those that came in by `kubectl exec`), else our own descendants only.
pub fn others() -> Vec<Stat> {
    let me = std::process::id().cast_signed();
    let all: Vec<Stat> = stats(Path::new("/proc"))
        .filter_map(|stat| parse_stat(&stat))
        .collect();
    if me == 1 {
        return all
            .into_iter()
            .filter(|process| process.pid != 1 && process.state != 'Z')
            .collect();
    }
    descendants(me, all)
}

fn descendants(root: i32, all: Vec<Stat>) -> Vec<Stat> {
    let mut family = vec![root];
    let mut grew = true;
    while grew {
        grew = false;
        for process in &all {
            if family.contains(&process.parent) && !family.contains(&process.pid) {
                family.push(process.pid);
                grew = true;
            }
        }
    }
    let is_ours = |process: &Stat| process.pid != root && family.contains(&process.pid);
    all.into_iter()
        .filter(|process| is_ours(process) && process.state != 'Z')
        .collect()
}

/// Sends each process what `step` has for it. One that is already gone is no error.
pub fn signal(processes: &[Stat], step: Step) {
    for process in processes {
        let Some(signal) = signal_for(process, step) else {
            continue;
        };
        let pid = Pid::from_raw(process.pid);
        match kill(pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => eprintln!("devserver-agent: failed to send {signal} to {pid}: {error}"),
        }
        // A stopped process acts on a signal only once it continues.
        let _ = kill(pid, Signal::SIGCONT);
    }
}

/// A shell keeps its history and tells its jobs on SIGHUP; a service expects SIGTERM. The process
/// that carries a connection is left alone at first, so that the user sees the shell's last words.
fn signal_for(process: &Stat, step: Step) -> Option<Signal> {
    match step {
        Step::Ask if process.has_terminal => Some(Signal::SIGHUP),
        Step::Ask if process.name.starts_with("sshd-") => None,
        Step::Ask | Step::Insist => Some(Signal::SIGTERM),
        Step::Kill => Some(Signal::SIGKILL),
        Step::Leave => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, name: &str, has_terminal: bool) -> Stat {
        Stat {
            pid,
            name: name.into(),
            state: 'S',
            parent,
            has_terminal,
        }
    }

    #[test]
    fn shells_are_hung_up_services_terminated_and_connections_spared() {
        let first = |name, has_terminal| signal_for(&process(9, 1, name, has_terminal), Step::Ask);
        assert_eq!(first("bash", true), Some(Signal::SIGHUP));
        assert_eq!(first("sshd", false), Some(Signal::SIGTERM));
        assert_eq!(first("postgres", false), Some(Signal::SIGTERM));
        assert_eq!(first("sshd-session", false), None);
    }

    #[test]
    fn nobody_is_spared_in_the_end() {
        for name in ["bash", "sshd-session", "postgres"] {
            for has_terminal in [true, false] {
                let process = process(9, 1, name, has_terminal);
                assert_eq!(signal_for(&process, Step::Insist), Some(Signal::SIGTERM));
                assert_eq!(signal_for(&process, Step::Kill), Some(Signal::SIGKILL));
            }
        }
    }

    #[test]
    fn descendants_are_found_in_any_order_and_strangers_left_out() {
        let mut zombie = process(14, 10, "gone", false);
        zombie.state = 'Z';
        let all = vec![
            process(12, 11, "grandchild", false),
            process(11, 10, "child", false),
            process(10, 2, "agent", false),
            process(20, 2, "stranger", false),
            zombie,
        ];
        let found: Vec<i32> = descendants(10, all)
            .iter()
            .map(|process| process.pid)
            .collect();
        assert_eq!(found, [12, 11]);
    }
}
