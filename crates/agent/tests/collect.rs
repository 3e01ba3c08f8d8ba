//! The real binary watches real terminals, processes and leases, and tells the operator alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use devserver_activity::{Report, digest};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod rig;

use rig::{AGENT, Running, ask, eventually, first_process, in_namespaces, is_root};

/// Longest wait for a report.
const DEADLINE: Duration = Duration::from_secs(60);

/// The reports of a collector.
struct Reports {
    _running: Running,
    lines: BufReader<ChildStdout>,
}

impl Reports {
    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self {
            _running: Running(child),
            lines,
        }
    }

    fn next(&mut self) -> Report {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        Report::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The first report that is as wanted; all before it are given to `before`.
    fn until(&mut self, what: &str, mut wanted: impl FnMut(&Report) -> bool) -> Report {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let report = self.next();
            if wanted(&report) {
                return report;
            }
            assert!(Instant::now() < deadline, "never {what}: {report:#?}");
        }
    }
}

#[test]
fn what_is_typed_counts_and_what_is_printed_does_not() {
    if !is_root() {
        return;
    }
    // One terminal on which something is printed all the time, one on which somebody types after ten seconds, later than
    // the eight to which the kernel keeps its times.
    let script = "
        sleep 100 | SHELL=/bin/bash script -qfc 'while :; do echo x; sleep 0.1; done' /dev/null >/dev/null &
        { sleep 20; echo hello; sleep 100; } | SHELL=/bin/bash script -qfc 'exec cat >/dev/null' /dev/null >/dev/null &
        exec \"$0\" collect";
    let mut reports = Reports::of(&mut in_namespaces(script));
    let both = reports.until("two terminals", |report| report.typed.terminals == 2);
    let begun = both.at;
    let mut printed = 0;
    let typed = reports.until("somebody types", |report| {
        printed += 1;
        report.typed.count > 0
    });
    assert!(
        printed > 20,
        "nothing was typed for a while, and nothing was seen: {printed}"
    );
    let waited = typed.typed.last.unwrap().duration_since(begun).as_secs();
    assert!((8..40).contains(&waited), "{waited} seconds: {typed:#?}");
    let programs: Vec<&str> = typed
        .foreground
        .iter()
        .map(|one| one.program.as_str())
        .collect();
    assert_eq!(programs, ["cat"], "a shell in the foreground waits");
    assert!(typed.cpu.is_some() && typed.network.is_some());
}

#[test]
fn a_lease_is_told_as_long_as_its_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("holds");
    let mut collector = Command::new(AGENT);
    collector
        .arg("collect")
        .env("HOME", folder.path())
        .env("DEVSERVER_HOLDS", &place)
        .env("DEVSERVER_ACTIVITY_LOOK_MILLISECONDS", "100");
    let mut reports = Reports::of(&mut collector);
    assert!(reports.next().holds.is_empty());

    let go_on = folder.path().join("go-on");
    let script = format!(
        "until [ -e {} ]; do sleep 0.05; done; exit 7",
        go_on.display()
    );
    let mut held = Command::new(AGENT)
        .args(["hold", "--for", "6h", "--", "/bin/sh", "-c", &script])
        .env("DEVSERVER_HOLDS", &place)
        .spawn()
        .unwrap();
    let report = reports.until("held", |report| report.holds.len() == 1);
    let lease = &report.holds[0];
    assert_eq!(lease.until.duration_since(lease.since).as_hours(), 6);
    assert!(lease.what.starts_with("/bin/sh -c until"), "{lease:?}");
    fs::write(&go_on, "").unwrap();
    assert_eq!(held.wait().unwrap().code(), Some(7));
    reports.until("free", |report| report.holds.is_empty());

    // One that is killed cannot take its lease back: it is over all the same.
    let mut killed = Command::new(AGENT)
        .args(["hold", "--", "sleep", "100"])
        .env("DEVSERVER_HOLDS", &place)
        .spawn()
        .unwrap();
    reports.until("held", |report| report.holds.len() == 1);
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", killed.id())).unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    reports.until("free", |report| report.holds.is_empty());
    kill(
        Pid::from_raw(child.trim().parse().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();

    let said = Command::new(AGENT)
        .args(["hold", "4h"])
        .env("DEVSERVER_HOLDS", &place)
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&said.stdout).contains("held until"),
        "{said:?}"
    );
    reports.until("held", |report| {
        report.holds.len() == 1 && report.holds[0].what.is_empty()
    });
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "nothing but the test's own is in the home"
    );
}

#[test]
fn d12_the_report_is_told_to_who_has_the_token_and_made_without_rights() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let access = folder.path().join("activity.json");
    fs::write(
        &access,
        format!(r#"{{"tokenSha256":"{}"}}"#, digest("right")),
    )
    .unwrap();
    let (_running, agent) = first_process(folder.path(), "");
    let network = fs::File::open(format!("/proc/{agent}/ns/net")).unwrap();
    // A thread has its network namespace to itself.
    let visitor = thread::spawn(move || {
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        let report = eventually("a report is there", || {
            ask("Authorization: Bearer right").ok()
        });
        for wrong in ["", "Authorization: Bearer wrong"] {
            assert!(
                ask(wrong).unwrap_err().starts_with("HTTP/1.1 403"),
                "{wrong}"
            );
        }
        let collector = collector_of(agent);
        let status = fs::read_to_string(format!("/proc/{collector}/status")).unwrap();
        assert!(status.contains("Uid:\t1000\t1000\t1000\t1000"), "{status}");
        let resident = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        println!("collector: {resident}");

        // The user ends it: another takes its place, and its age is told meanwhile.
        kill(Pid::from_raw(collector), Signal::SIGKILL).unwrap();
        let later = eventually("another collector has begun", || {
            ask("Authorization: Bearer right")
                .ok()
                .filter(|later| later.started_at > report.started_at)
        });
        assert!(later.at >= later.sampled_at);

        fs::remove_file(&access).unwrap();
        eventually("nothing is told any more", || {
            let answer = ask("Authorization: Bearer right").err()?;
            answer.starts_with("HTTP/1.1 404").then_some(())
        });
        eventually("nothing is collected any more", || {
            children(agent)
                .iter()
                .all(|(_, line)| !line.contains("collect"))
                .then_some(())
        });
    });
    visitor.join().unwrap();
}

/// The processes below the agent with their command lines.
fn children(agent: i32) -> Vec<(i32, String)> {
    let text =
        fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).unwrap_or_default();
    // Threads of the agent start processes as well.
    let tasks = fs::read_dir(format!("/proc/{agent}/task")).unwrap();
    let of_threads =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok());
    let all: Vec<String> = std::iter::once(text).chain(of_threads).collect();
    let mut found: Vec<(i32, String)> = all
        .iter()
        .flat_map(|text| text.split_whitespace())
        .filter_map(|pid| pid.parse().ok())
        .map(|pid: i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn collector_of(agent: i32) -> i32 {
    eventually("the collector runs", || {
        let mut all = children(agent).into_iter();
        all.find(|(_, line)| line.trim_end() == "/proc/self/exe collect")
            .map(|(pid, _)| pid)
    })
}

#[test]
fn the_home_is_left_as_it_is_and_its_fullness_and_git_work_are_told() {
    let home = tempfile::tempdir().unwrap();
    let made = Command::new("git")
        .args(["init", "-q", "src/app"])
        .current_dir(home.path())
        .status();
    assert!(made.unwrap().success());
    fs::write(home.path().join("src/app/new"), "work").unwrap();
    let mut collector = Command::new(AGENT);
    collector.arg("collect").env("HOME", home.path());
    let before = tree(home.path());
    let report = Reports::of(&mut collector).next();
    assert_eq!(report.git.len(), 1);
    assert_eq!(
        (report.git[0].path.as_str(), report.git[0].uncommitted),
        ("src/app", 1)
    );
    assert!(report.git_checked_at.is_some());
    let disk = report.home.unwrap();
    assert!(disk.used > 0 && disk.used < disk.total);
    assert_eq!(tree(home.path()), before);
}

/// All files with their times.
fn tree(folder: &Path) -> Vec<(String, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push((
            path.display().to_string(),
            fs::symlink_metadata(&path).unwrap().modified().unwrap(),
        ));
        if path.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}
