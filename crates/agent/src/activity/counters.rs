//! What is counted between two looks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use devserver_activity::Program;
use jiff::Timestamp;

use super::processes::{Io, Process};
use super::terminals::is_shell;

/// A process that burns time and is smaller than this may be spinning: most work has data.
const SMALL_KIB: u64 = 16 * 1024;
/// Bytes written between two looks from which on writing to nowhere is all a process does.
const FLOOD: u64 = 1 << 20;
/// Names that are kept.
const MOST_NAMES: usize = 256;
/// Names that are told.
const MOST_TOLD: usize = 48;
/// Seconds for which one that does nothing any more is told.
const REMEMBERED: i64 = 24 * 3600;

/// Bytes that interfaces have received and sent, without the loopback (`/proc/net/dev`).
pub fn network(text: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let (name, numbers) = line.split_once(':')?;
            let numbers: Vec<&str> = numbers.split_ascii_whitespace().collect();
            let at = |index: usize| numbers.get(index)?.parse::<u64>().ok();
            (name.trim() != "lo").then(|| Some(at(0)?.saturating_add(at(8)?)))?
        })
        .fold(0, u64::saturating_add)
}

/// What processes did between two looks, in milliseconds and bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Processor time of all that are still there.
    pub cpu: u64,
    /// That part of it which was burned for nothing.
    pub spinning: u64,
    /// Bytes that editors' servers have read.
    pub editor: u64,
    /// Whether there is such a server.
    pub has_editor: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Before {
    cpu: u64,
    io: Option<Io>,
    is_editor: bool,
}

/// Remembers the look before.
#[derive(Debug, Default)]
pub struct Counters {
    before: HashMap<(i32, u64), Before>,
    programs: HashMap<String, Program>,
    present: HashSet<String>,
}

impl Counters {
    /// What was done since the look before.
    pub fn take(&mut self, processes: &[Process], proc: &Path, now: Timestamp) -> Done {
        let is_first = self.before.is_empty();
        let parents: HashSet<i32> = processes.iter().map(|p| p.parent).collect();
        let mut done = Done::default();
        let mut seen = HashMap::new();
        let mut spent: HashMap<&str, u64> = HashMap::new();
        for process in processes {
            let key = (process.pid, process.start);
            let before = self.before.get(&key).copied();
            // Of one that was there before the agent only what comes from now on.
            let base = before.map(|b| b.cpu).or(is_first.then_some(process.cpu));
            let cpu = process.cpu.saturating_sub(base.unwrap_or(0));
            let is_editor = before.map_or_else(|| process.is_editor(proc), |b| b.is_editor);
            let io = if cpu > 0 || is_editor || before.is_none() {
                process.io(proc)
            } else {
                before.and_then(|b| b.io)
            };
            *spent.entry(process.name.as_str()).or_default() += cpu;
            done.cpu += cpu;
            if let Some(before) = before {
                let is_alone = !parents.contains(&process.pid);
                let goes_nowhere = before.io.zip(io).is_some_and(|(b, n)| spins(process, b, n));
                if cpu > 0 && is_alone && goes_nowhere && is_small(proc, process.pid) {
                    done.spinning += cpu;
                }
                if let (true, Some(was), Some(is)) = (is_editor, before.io, io) {
                    done.editor += is.read.saturating_sub(was.read);
                }
            }
            done.has_editor |= is_editor;
            seen.insert(
                key,
                Before {
                    cpu: process.cpu,
                    io,
                    is_editor,
                },
            );
        }
        self.before = seen;
        self.count(&spent, now);
        done
    }

    fn count(&mut self, spent: &HashMap<&str, u64>, now: Timestamp) {
        for (&name, &cpu) in spent.iter().filter(|(_, cpu)| **cpu > 0) {
            let was_present = self.present.contains(name);
            let program = self
                .programs
                .entry(name.to_owned())
                .or_insert_with(|| Program {
                    name: name.to_owned(),
                    since: now,
                    last: now,
                    cpu: 0,
                });
            if !was_present {
                program.since = now;
            }
            program.last = now;
            program.cpu = program.cpu.saturating_add(cpu);
        }
        self.present = spent.keys().map(|name| (*name).to_owned()).collect();
        self.programs
            .retain(|_, program| now.as_second() - program.last.as_second() <= REMEMBERED);
        if self.programs.len() > MOST_NAMES {
            let kept: HashSet<String> = self
                .latest(MOST_NAMES / 2)
                .into_iter()
                .map(|p| p.name)
                .collect();
            self.programs.retain(|name, _| kept.contains(name));
        }
    }

    /// The programs to tell of: those that worked last, of them those that worked most.
    pub fn programs(&self) -> Vec<Program> {
        self.latest(MOST_TOLD)
    }

    fn latest(&self, count: usize) -> Vec<Program> {
        let mut all: Vec<Program> = self.programs.values().cloned().collect();
        all.sort_by_key(|program| std::cmp::Reverse((program.last, program.cpu)));
        all.truncate(count);
        all
    }
}

/// Whether it reads nothing, has nothing to do with a disk, and either floods something with what it writes, as `yes` does, or
/// is a shell that goes in circles. A program that only computes is none: nobody can tell from outside what it is worth.
fn spins(process: &Process, before: Io, now: Io) -> bool {
    let is_cut_off = before.read == now.read && before.disk == now.disk;
    let floods = now.written.saturating_sub(before.written) >= FLOOD;
    is_cut_off && (floods || is_shell(&process.name))
}

fn is_small(proc: &Path, pid: i32) -> bool {
    let status = fs::read_to_string(proc.join(pid.to_string()).join("status")).unwrap_or_default();
    resident_kib(&status).is_some_and(|size| size < SMALL_KIB)
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn process(pid: i32, name: &str, cpu: u64) -> Process {
        Process {
            pid,
            start: 1,
            name: name.into(),
            parent: 1,
            cpu,
            ..Process::default()
        }
    }

    #[test]
    fn the_loopback_is_no_network() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 50 3 0 0 0 0 0 0\n";
        assert_eq!(network(text), 150);
        assert_eq!(network("rubbish"), 0);
    }

    #[test]
    fn time_is_counted_from_the_first_look_on_and_programs_by_name() {
        let nowhere = Path::new("/nonexistent");
        let mut counters = Counters::default();
        assert_eq!(
            counters.take(&[process(2, "make", 5000)], nowhere, at(0)),
            Done::default()
        );
        let second = [
            process(2, "make", 5100),
            process(3, "make", 40),
            process(4, "cc1", 900),
        ];
        assert_eq!(counters.take(&second, nowhere, at(15)).cpu, 1040);
        counters.take(&second[..1], nowhere, at(30));
        counters.take(
            &[process(2, "make", 5110), process(5, "cc1", 10)],
            nowhere,
            at(45),
        );
        let told = counters.programs();
        let one = |name: &str| told.iter().find(|p| p.name == name).unwrap();
        assert_eq!(
            (one("make").since, one("make").last, one("make").cpu),
            (at(15), at(45), 150)
        );
        assert_eq!(
            (one("cc1").since, one("cc1").last),
            (at(45), at(45)),
            "it was away"
        );
    }

    #[test]
    fn names_are_bounded() {
        let mut counters = Counters::default();
        let all: Vec<Process> = (2..2000)
            .map(|pid| process(pid, &format!("p{pid}"), 0))
            .collect();
        counters.take(&all, Path::new("/nonexistent"), at(0));
        let busy: Vec<Process> = all
            .iter()
            .map(|p| Process {
                cpu: 10,
                ..p.clone()
            })
            .collect();
        counters.take(&busy, Path::new("/nonexistent"), at(15));
        assert!(counters.programs.len() <= MOST_NAMES);
        assert_eq!(counters.programs().len(), MOST_TOLD);
    }

    #[test]
    fn size_is_read_from_the_status() {
        assert_eq!(
            resident_kib("Name:\tyes\nVmRSS:\t    1780 kB\n"),
            Some(1780)
        );
        assert_eq!(resident_kib("Name:\tkthreadd\n"), None);
    }

    /// What a shell command did, by its own processes, between two looks with a second of its processor time in between.
    fn watched(script: &str) -> Done {
        use std::os::unix::process::CommandExt as _;
        use std::process::{Command, Stdio};
        use std::time::{Duration, Instant};

        let proc = Path::new("/proc");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let group = i32::try_from(child.id()).unwrap();
        let look = || -> Vec<Process> {
            let mut all = super::super::processes::look(proc);
            all.retain(|process| process.group == group);
            all
        };
        let spent = |all: &[Process]| all.iter().map(|process| process.cpu).sum::<u64>();
        let deadline = Instant::now() + Duration::from_secs(60);
        let until = |cpu: u64| loop {
            let all = look();
            if spent(&all) >= cpu {
                return all;
            }
            assert!(Instant::now() < deadline, "it does not work: {all:?}");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut counters = Counters::default();
        let first = until(100);
        counters.take(&first, proc, at(0));
        let second = until(spent(&first) + 500);
        let done = counters.take(&second, proc, at(15));
        nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(group),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        child.wait().unwrap();
        done
    }

    #[test]
    fn e3_yes_to_nowhere_and_a_loop_of_a_shell_do_nothing_and_what_reads_or_computes_does_something()
     {
        for script in ["exec yes", "while :; do :; done"] {
            let done = watched(script);
            assert!(
                done.cpu >= 500 && done.spinning == done.cpu,
                "{script}: {done:?}"
            );
        }
        for script in [
            "exec sha256sum /dev/zero",
            "exec awk 'BEGIN { while (1) x += 1 }'",
        ] {
            let done = watched(script);
            assert!(done.cpu >= 500 && done.spinning == 0, "{script}: {done:?}");
        }
    }
}
