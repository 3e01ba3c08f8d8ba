//! What no workflow and no action of ours may do (attacks D5 and G3), read from their files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Workflows and actions by their paths.
fn files() -> anyhow::Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    let mut open = vec![root().join(".github")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            let text = std::fs::read_to_string(&path)?;
            let file = serde_saphyr::from_str(&text)
                .with_context(|| format!("failed to understand {}", path.display()))?;
            found.push((path, file));
        }
    }
    ensure!(found.len() >= 4, "only {} files were found", found.len());
    Ok(found)
}

/// Every value of that key, wherever it stands.
fn values<'a>(node: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match node {
        Value::Object(map) => {
            for (name, value) in map {
                if name == key {
                    found.push(value);
                }
                values(value, key, found);
            }
        }
        Value::Array(list) => {
            for value in list {
                values(value, key, found);
            }
        }
        _ => {}
    }
}

fn texts<'a>(file: &'a Value, key: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    values(file, key, &mut found);
    found.into_iter().filter_map(Value::as_str).collect()
}

#[test]
fn d5_no_workflow_has_an_expression_in_what_it_runs() -> anyhow::Result<()> {
    let mut seen = 0;
    for (path, file) in files()? {
        for run in texts(&file, "run")
            .into_iter()
            .chain(texts(&file, "script"))
        {
            seen += 1;
            ensure!(
                !run.contains("${{"),
                "{}: an expression in what is run; pass it by env: {run}",
                path.display()
            );
        }
    }
    ensure!(seen >= 5, "only {seen} commands were found");
    Ok(())
}

#[test]
fn g3_every_action_is_pinned_by_its_commit_and_every_workflow_says_what_it_may()
-> anyhow::Result<()> {
    for (path, file) in files()? {
        let place = path.display();
        for uses in texts(&file, "uses") {
            let pinned = uses.rsplit_once('@').is_some_and(|(_, commit)| {
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit())
            });
            ensure!(
                uses.starts_with("./") || pinned,
                "{place}: {uses} can change behind our back; name a commit"
            );
        }
        if file.get("jobs").is_some() {
            let rights = file
                .get("permissions")
                .with_context(|| format!("{place}: no permissions"))?;
            ensure!(
                *rights == serde_json::json!({"contents": "read"}),
                "{place}: more than reading for all jobs: {rights}"
            );
            // Neither may be started by a stranger's pull request with our secrets.
            let events = serde_json::to_string(&file["on"])?;
            ensure!(
                !events.contains("pull_request_target") && !events.contains("workflow_run"),
                "{place}: {events}"
            );
        }
    }
    Ok(())
}
