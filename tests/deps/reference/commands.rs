//! What `devctl --help` says, of each command.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::{Context as _, ensure};

/// The page of all commands.
pub fn page(program: &Path) -> anyhow::Result<String> {
    let mut page = String::from("A tour is in [devctl.md](../devctl.md).\n");
    let mut open = vec![Vec::new()];
    let mut count = 0;
    while let Some(words) = open.pop() {
        let help = help(program, &words)?;
        let below = commands(&help).into_iter().rev();
        open.extend(below.map(|command| [words.as_slice(), &[command]].concat()));
        let name = [&["devctl".to_owned()], words.as_slice()]
            .concat()
            .join(" ");
        writeln!(page, "\n## {name}\n\n```text\n{help}\n```")?;
        count += 1;
    }
    ensure!(count > 20, "only {count} commands were found");
    Ok(page)
}

/// The same on every machine: no environment, no terminal whose width would count.
fn help(program: &Path, words: &[String]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(words)
        .arg("--help")
        .env_clear()
        .env("HOME", "/home/you")
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("failed to run {}; make lint builds it", program.display()))?;
    ensure!(output.status.success(), "devctl {words:?} --help failed");
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    Ok(lines.join("\n"))
}

/// Names below "Commands:".
fn commands(help: &str) -> Vec<String> {
    let section = help
        .split_once("\nCommands:\n")
        .map_or("", |(_, after)| after);
    section
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            // What a description goes on with is further right.
            let name = line
                .strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '))?;
            name.split_whitespace().next().map(str::to_owned)
        })
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn commands_are_read_from_the_help() {
    let help = "Words\n\nCommands:\n  port-forward  Lead\n                on\n  help          Print\n\nOptions:\n  -h";
    assert_eq!(commands(help), ["port-forward"]);
    assert!(commands("no section").is_empty());
}
