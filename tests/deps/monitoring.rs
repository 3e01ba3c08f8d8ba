//! `deploy/monitoring`: every rule has its tests, every alert its section in the runbook, and what rules join with is told.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(root().join(path));
    text.with_context(|| format!("failed to read {path}"))
}

fn yaml(path: &str) -> anyhow::Result<Value> {
    serde_saphyr::from_str(&read(path)?).with_context(|| format!("failed to understand {path}"))
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn rules() -> anyhow::Result<Vec<Value>> {
    let file = yaml("deploy/monitoring/rules.yaml")?;
    let rules: Vec<Value> = list(&file, "groups")
        .flat_map(|group| list(group, "rules"))
        .cloned()
        .collect();
    ensure!(rules.len() > 30, "only {} rules were found", rules.len());
    Ok(rules)
}

fn alerts() -> anyhow::Result<Vec<Value>> {
    let is_alert = |rule: &Value| rule.get("alert").is_some();
    Ok(rules()?.into_iter().filter(is_alert).collect())
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What the tests expect: alert or query, and whether there is something.
fn expectations() -> anyhow::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("deploy/monitoring/tests"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let file = yaml(&format!("deploy/monitoring/tests/{name}"))?;
        for test in list(&file, "tests") {
            for case in list(test, "alert_rule_test") {
                let is_told = list(case, "exp_alerts").next().is_some();
                found.push((text(case, "alertname").to_owned(), is_told));
            }
            for case in list(test, "promql_expr_test") {
                let is_told = list(case, "exp_samples").next().is_some();
                found.push((text(case, "expr").to_owned(), is_told));
            }
        }
    }
    Ok(found)
}

#[test]
fn every_rule_has_a_test_of_what_it_tells_and_one_of_what_it_does_not() -> anyhow::Result<()> {
    let expectations = expectations()?;
    for rule in rules()? {
        let (alert, record) = (text(&rule, "alert"), text(&rule, "record"));
        let is_about = |tested: &str| {
            if alert.is_empty() {
                // A longer name may begin with it.
                let rest = tested.split_once(record).map(|(_, rest)| rest);
                rest.is_some_and(|rest| !rest.starts_with([':', '_']))
            } else {
                tested == alert
            }
        };
        for expected in [true, false] {
            let is_tested = expectations
                .iter()
                .any(|(tested, is_told)| *is_told == expected && is_about(tested));
            ensure!(
                is_tested,
                "no test in deploy/monitoring/tests in which {alert}{record} tells {}",
                if expected { "something" } else { "nothing" }
            );
        }
    }
    Ok(())
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> anyhow::Result<()> {
    let page = read("docs/runbook.md")?;
    let sections: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let alerts = alerts()?;
    let names: BTreeSet<&str> = alerts.iter().map(|alert| text(alert, "alert")).collect();
    ensure!(names == sections, "alerts {names:?}, sections {sections:?}");
    for alert in &alerts {
        let name = text(alert, "alert");
        let annotations = alert.get("annotations").context("no annotations")?;
        let url = text(annotations, "runbook_url");
        let anchor = format!("/docs/runbook.md#{}", name.to_lowercase());
        ensure!(url.ends_with(&anchor), "{name} leads to {url}");
        for key in ["summary", "description"] {
            ensure!(!text(annotations, key).is_empty(), "{name} has no {key}");
        }
        let severity = alert
            .get("labels")
            .map(|labels| text(labels, "severity"))
            .unwrap_or_default();
        ensure!(
            ["critical", "warning", "info"].contains(&severity),
            "{name} has the severity {severity:?}"
        );
    }
    for section in page.split("\n## ").skip(1) {
        for part in ["**means**", "**look at**", "**do**"] {
            let is_there = section.to_lowercase().contains(part);
            ensure!(is_there, "no {part} in {section}");
        }
    }
    Ok(())
}

/// The name that kube-state-metrics gives to a label of a pod.
fn exposed(label: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("label_{}", label.chars().map(safe).collect::<String>())
}

#[test]
fn s3_28_labels_that_rules_join_with_are_those_that_kube_state_metrics_is_made_to_tell()
-> anyhow::Result<()> {
    let values = yaml("deploy/opencost/kube-state-metrics-values.yaml")?;
    let pods = list(&values, "metricLabelsAllowlist")
        .filter_map(Value::as_str)
        .find(|list| list.starts_with("pods=["))
        .context("no labels of pods")?;
    let told: BTreeSet<String> = pods
        .trim_start_matches("pods=[")
        .trim_end_matches(']')
        .split(',')
        .map(exposed)
        .collect();
    let text = read("deploy/monitoring/rules.yaml")?;
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let used: BTreeSet<String> = text
        .split(word)
        .filter(|w| w.starts_with("label_") && *w != "label_replace")
        .map(str::to_owned)
        .collect();
    ensure!(used.len() >= 6, "only {used:?} are used");
    ensure!(
        used.is_subset(&told),
        "{used:?} are used, {told:?} are told"
    );
    let flag = format!("--metric-labels-allowlist={pods}");
    for page in ["deploy/monitoring/rules.yaml", "docs/monitoring.md"] {
        ensure!(read(page)?.contains(&flag), "{page} does not say {flag}");
    }
    Ok(())
}
