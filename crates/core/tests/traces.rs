//! The idle verdict against a corpus of traces (`traces/*.csv`), each minute of which says whether somebody works or has left.
//! The same traces are judged by the published rules of two others, with the same time until a stop, and a table is printed:
//! `cargo test -p devserver-core --test traces -- --nocapture`.
//!
//! The traces are drawn, not recorded: no record of people at work is published that says what they were doing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::struct_excessive_bools
)]

#[path = "traces_rules/mod.rs"]
mod rules;

use std::fs;
use std::path::Path;

use rules::{Coder, Kubeflow, Ours, Rule};

/// Minutes without use after which an environment is stopped, for every rule alike.
const STOP_AFTER: i64 = 60;
/// Minutes more before an environment that still runs counts as kept for nothing: all rules look now and then.
const SLACK: i64 = 15;

/// One minute of a trace.
#[derive(Debug, Clone, Default)]
struct Minute {
    works: bool,
    connected: bool,
    typed: bool,
    heartbeat: bool,
    edited: bool,
    editor_bytes: u64,
    output: bool,
    foreground: String,
    cpu_ms: u64,
    spin_ms: u64,
    disk_bytes: u64,
    network_bytes: u64,
    gpu: Option<u64>,
    kernel_busy: bool,
    programs: Vec<String>,
    held: bool,
}

#[derive(Debug)]
struct Trace {
    name: String,
    server: String,
    minutes: Vec<Minute>,
}

fn read(path: &Path) -> Trace {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut server = String::new();
    let mut columns: Vec<&str> = Vec::new();
    let mut minutes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(comment) = line.strip_prefix('#') {
            if let Some(what) = comment.trim().strip_prefix("server: ") {
                what.clone_into(&mut server);
            }
        } else if columns.is_empty() {
            columns = line.split(',').collect();
        } else {
            let values: Vec<&str> = line.split(',').collect();
            assert_eq!(values.len(), columns.len(), "{name}:{}", number + 1);
            let get = |column: &str| {
                let index = columns.iter().position(|c| *c == column);
                values[index.unwrap_or_else(|| panic!("{name} has no column {column}"))]
            };
            minutes.push(minute(get, &format!("{name}:{}", number + 1)));
        }
    }
    assert!(
        minutes.len() > 2 * 60 && !server.is_empty(),
        "{name} is not whole"
    );
    Trace {
        name,
        server,
        minutes,
    }
}

fn minute<'a>(get: impl Fn(&str) -> &'a str, place: &str) -> Minute {
    let number = |column: &str| -> u64 {
        let text = get(column);
        text.parse()
            .unwrap_or_else(|_| panic!("{place}: {column} is {text:?}"))
    };
    let flag = |column: &str| match number(column) {
        0 => false,
        1 => true,
        other => panic!("{place}: {column} is {other}"),
    };
    Minute {
        works: match get("truth") {
            "work" => true,
            "left" => false,
            other => panic!("{place}: truth is {other:?}"),
        },
        connected: flag("connected"),
        typed: flag("typed"),
        heartbeat: flag("heartbeat"),
        edited: flag("edited"),
        editor_bytes: number("editor_bytes"),
        output: flag("output"),
        foreground: get("foreground").to_owned(),
        cpu_ms: number("cpu_ms"),
        spin_ms: number("spin_ms"),
        disk_bytes: number("disk_kb") * 1024,
        network_bytes: number("net_kb") * 1024,
        gpu: get("gpu").parse().ok(),
        kernel_busy: flag("kernel"),
        programs: get("programs")
            .split('+')
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect(),
        held: flag("hold"),
    }
}

fn corpus() -> Vec<Trace> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "csv"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// How a rule fares with one trace.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    /// Stopped while somebody worked, at this minute.
    false_stop: Option<usize>,
    /// Minutes for which it was kept though it was long due.
    kept: usize,
    /// Minutes in which it was due to be stopped.
    due: usize,
}

fn score(trace: &Trace, rule: &mut dyn Rule) -> Score {
    let mut score = Score::default();
    let mut stopped = false;
    let mut left_for = 0;
    for (index, minute) in trace.minutes.iter().enumerate() {
        left_for = if minute.works { 0 } else { left_for + 1 };
        if !stopped {
            let idle_for = rule.idle_for(trace, index);
            stopped = idle_for.is_some_and(|minutes| minutes >= STOP_AFTER);
            if stopped && minute.works {
                score.false_stop = Some(index);
            }
        }
        if left_for > STOP_AFTER + SLACK {
            score.due += 1;
            score.kept += usize::from(!stopped);
        }
    }
    score
}

#[test]
fn e3_nobody_who_works_is_stopped_and_hardly_anybody_who_left_is_kept() {
    let corpus = corpus();
    assert!(corpus.len() >= 20, "only {} traces", corpus.len());
    println!(
        "stop after {STOP_AFTER} minutes; false stop at minute N, or share of the due time for which it was kept"
    );
    println!(
        "{:32} {:>14} {:>14} {:>14}",
        "trace", "ours", "Coder", "Kubeflow"
    );
    let mut totals = [Score::default(); 3];
    let mut false_stops = [0; 3];
    for trace in &corpus {
        let rules: [&mut dyn Rule; 3] = [
            &mut Ours::default(),
            &mut Coder::default(),
            &mut Kubeflow::default(),
        ];
        let scores = rules.map(|rule| score(trace, rule));
        for (index, score) in scores.iter().enumerate() {
            totals[index].kept += score.kept;
            totals[index].due += score.due;
            false_stops[index] += usize::from(score.false_stop.is_some());
        }
        let cells = scores.map(shown);
        println!(
            "{:32} {:>14} {:>14} {:>14}",
            trace.name, cells[0], cells[1], cells[2]
        );
    }
    let percent = totals.map(|score| 100 * score.kept / score.due.max(1));
    println!(
        "{:32} {:>14} {:>14} {:>14}",
        "false stops", false_stops[0], false_stops[1], false_stops[2]
    );
    println!(
        "{:32} {:>12} % {:>12} % {:>12} %",
        "falsely kept", percent[0], percent[1], percent[2]
    );
    assert_eq!(false_stops[0], 0, "somebody was stopped at work");
    let kept = totals[0].kept * 100;
    assert!(
        kept <= totals[0].due * 5,
        "{} of {} minutes kept for nothing",
        totals[0].kept,
        totals[0].due
    );
    // The corpus is worth something only when it tells good rules from bad ones.
    assert!(false_stops[1] > 0 && percent[1] > 5 && percent[2] > 5);
}

fn shown(score: Score) -> String {
    match (score.false_stop, score.kept) {
        (Some(minute), _) => format!("stopped {minute}"),
        (None, 0) => "right".to_owned(),
        (None, kept) => format!("kept {} %", 100 * kept / score.due.max(1)),
    }
}

#[test]
fn an_agent_that_falls_silent_stops_nobody() {
    for trace in corpus() {
        let mut rule = Ours::silent_from(trace.minutes.len() / 2);
        for index in trace.minutes.len() / 2..trace.minutes.len() {
            assert_eq!(
                rule.idle_for(&trace, index),
                None,
                "{} minute {index}",
                trace.name
            );
        }
    }
}
