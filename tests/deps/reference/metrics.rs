//! Every metric that a program of ours registers, read from where it does so.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use super::cell;
use crate::pages::root;

const PROGRAMS: [&str; 3] = ["operator", "gateway", "console"];

/// One family.
#[derive(Debug, PartialEq)]
struct Metric {
    name: String,
    kind: &'static str,
    labels: Vec<String>,
    help: String,
}

/// The page of all programs.
pub fn page() -> anyhow::Result<String> {
    let mut page = String::from(
        "At `/metrics` of each program, in the text form of OpenMetrics; a counter's name ends with `_total` there. No label has a value that a client chose.\n",
    );
    for program in PROGRAMS {
        let mut found = BTreeMap::new();
        for file in sources(&root().join("crates").join(program).join("src"))? {
            let text = std::fs::read_to_string(&file)?;
            for metric in metrics(&text).with_context(|| file.display().to_string())? {
                found.insert(metric.name.clone(), metric);
            }
        }
        ensure!(found.len() > 5, "{program}: only {} metrics", found.len());
        write!(
            page,
            "\n## {program}\n\n| metric | type | labels | what |\n|---|---|---|---|\n"
        )?;
        for metric in found.values() {
            let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
            let (name, labels) = (&metric.name, labels.join(", "));
            let (kind, help) = (metric.kind, cell(&metric.help));
            writeln!(
                page,
                "| `devserver_{program}_{name}` | {kind} | {labels} | {help} |"
            )?;
        }
    }
    Ok(page)
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The registrations of one file: `register("name", help, field.clone())`, help a text or the last `let help = …`.
fn metrics(text: &str) -> anyhow::Result<Vec<Metric>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(".register") {
        let begin = at + next;
        at = begin + ".register".len();
        let Some(call) = call(&text[at..]) else {
            continue;
        };
        let (arguments, has_unit) = call;
        let name = literal(arguments[0]).context("a name that is no text")?;
        let help = match literal(arguments[1]) {
            Some(help) => help,
            None => text[..begin]
                .rsplit_once("let help = ")
                .and_then(|(_, after)| literal(after))
                .with_context(|| format!("{name} has no help"))?,
        };
        let unit = arguments.get(2).filter(|_| has_unit);
        let unit = unit.and_then(|unit| unit.trim().strip_prefix("Unit::"));
        let field = arguments.last().copied().unwrap_or_default();
        let (kind, labels) = family(text, field);
        let mut full = name;
        if let Some(unit) = unit {
            full = format!("{full}_{}", unit.to_lowercase());
        }
        found.push(Metric {
            name: full,
            kind,
            labels,
            help,
        });
    }
    Ok(found)
}

/// Arguments of a registration that begins with a text, and whether one is a unit.
fn call(after: &str) -> Option<(Vec<&str>, bool)> {
    let (has_unit, rest) = match after.strip_prefix("_with_unit(") {
        Some(rest) => (true, rest),
        None => (false, after.strip_prefix('(')?),
    };
    if !rest.trim_start().starts_with('"') {
        return None;
    }
    let (mut depth, mut quoted, mut begin) = (0_i32, false, 0);
    let mut arguments = Vec::new();
    for (place, letter) in rest.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth == 0 => {
                arguments.push(&rest[begin..place]);
                arguments.retain(|argument| !argument.trim().is_empty());
                return (arguments.len() >= 3).then_some((arguments, has_unit));
            }
            ')' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(&rest[begin..place]);
                begin = place + 1;
            }
            _ => {}
        }
    }
    None
}

/// The text of a literal that begins there.
fn literal(source: &str) -> Option<String> {
    let rest = source.trim_start().strip_prefix('"')?;
    Some(rest.split('"').next()?.to_owned())
}

/// Type and labels of a field like `self.arrivals.clone()`, by its declaration and by that of its labels.
fn family(text: &str, field: &str) -> (&'static str, Vec<String>) {
    let path = field.trim().trim_end_matches(".clone()");
    let name = path.rsplit('.').next().unwrap_or_default();
    let declared = text.split(&format!(" {name}: ")).nth(1).unwrap_or_default();
    let declared = declared.lines().next().unwrap_or_default();
    let kinds = [
        ("Counter", "counter"),
        ("Gauge", "gauge"),
        ("Histogram", "histogram"),
    ];
    let kind = kinds.iter().find(|(word, _)| declared.contains(word));
    let labels = declared
        .split_once("Family<")
        .and_then(|(_, rest)| rest.split(',').next())
        .and_then(|labels| text.split(&format!("struct {labels} {{")).nth(1))
        .and_then(|body| body.split('}').next())
        .map(|body| {
            body.lines()
                .filter_map(|line| line.trim().trim_start_matches("pub ").split_once(':'))
                .map(|(label, _)| label.to_owned())
                .collect()
        });
    (
        kind.map_or("", |(_, kind)| kind),
        labels.unwrap_or_default(),
    )
}

#[test]
fn registrations_are_read_in_both_forms() -> anyhow::Result<()> {
    let source = r#"
struct Way { 
    mode: &'static str,
    outcome: &'static str,
}
pub struct Metrics {
    channels: Family<Way, Counter>,
    dial: Histogram,
}
        signal_hook::flag::register(signal, x);
        let help = "Channels asked for";
        into.register("channels", help, self.channels.clone());
        registry.register_with_unit(
            "dial",
            "Time to reach, that is",
            Unit::Seconds,
            dial.clone(),
        );
"#;
    let found = metrics(source)?;
    let names: Vec<&str> = found.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["channels", "dial_seconds"]);
    assert_eq!(found[0].labels, ["mode", "outcome"]);
    assert_eq!((found[0].kind, found[1].kind), ("counter", "histogram"));
    assert_eq!(found[0].help, "Channels asked for");
    assert_eq!(found[1].help, "Time to reach, that is");
    Ok(())
}
