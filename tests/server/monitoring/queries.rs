//! Every query of rules and dashboards, and whether what it asks for is there: metrics, labels, and words that labels have.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use devserver_testkit::cluster::root;
use serde_json::Value;

use super::prometheus::Prometheus;

/// Labels with few words, each of which is known.
const WORDS: [&str; 8] = [
    "phase",
    "state",
    "stage",
    "outcome",
    "sink",
    "mode",
    "direction",
    "host",
];
/// Words that are told only while an environment is so.
const OF_ENVIRONMENTS: [(&str, &[&str]); 3] = [
    (
        "phase",
        &[
            "Pending",
            "Provisioning",
            "Running",
            "Suspended",
            "Failed",
            "Terminating",
        ],
    ),
    (
        "state",
        &["Active", "Idle", "Held", "Snoozed", "Stopped", "Unknown"],
    ),
    (
        "stage",
        &["Alert", "Notify", "Downscale", "Warn", "Terminate"],
    ),
];
/// What scraping adds.
const SCRAPED: [&str; 2] = ["instance", "job"];

type Words = BTreeSet<String>;
/// Labels of metrics, and their words.
type Labels = BTreeMap<String, BTreeMap<String, Words>>;

/// A query and where it stands.
pub struct Query {
    pub place: String,
    pub text: String,
}

/// Every query of the rules and of the dashboards.
pub fn all() -> anyhow::Result<Vec<Query>> {
    let folder = root().join("deploy/monitoring");
    let mut found = Vec::new();
    collect(&yaml(&folder.join("rules.yaml"))?, "rules.yaml", &mut found);
    for entry in std::fs::read_dir(folder.join("dashboards"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(&path)?;
        let board = serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))?;
        collect(&board, &name, &mut found);
    }
    Ok(found)
}

fn yaml(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path)?;
    serde_saphyr::from_str(&text)
        .with_context(|| format!("failed to understand {}", path.display()))
}

/// Values of `expr`, and variables of dashboards that are asked for: `label_values(METRIC, LABEL)`.
fn collect(node: &Value, place: &str, found: &mut Vec<Query>) {
    let mut take = |text: &str| {
        let place = place.to_owned();
        let mut text = text.to_owned();
        for (variable, value) in [
            ("$__rate_interval", "5m"),
            ("$__range", "1h"),
            ("$namespace", "x"),
            ("$name", "x"),
            ("$team", ".+"),
        ] {
            text = text.replace(variable, value);
        }
        found.push(Query { place, text });
    };
    if let Value::Object(map) = node {
        if let Some(text) = map.get("expr").and_then(Value::as_str) {
            take(text);
        }
        let asked = map.get("query").and_then(Value::as_str);
        let variable = asked.and_then(|q| q.strip_prefix("label_values(")?.strip_suffix(')'));
        if let Some((metric, label)) = variable.and_then(|v| v.rsplit_once(", ")) {
            take(&format!("count by ({label}) ({metric})"));
        }
    }
    let children: Vec<&Value> = match node {
        Value::Object(map) => map.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    for child in children {
        collect(child, place, found);
    }
}

/// What there is: metrics, their labels, and the words of these as far as they are known.
pub struct Known(Labels);

impl Known {
    /// Ours are those that were scraped; those of others are on a list; what is recorded is in the rules, with labels as their tests say.
    /// Labels that are empty, as the team of an environment without one, Prometheus leaves out; `page` of the operator has them.
    pub async fn read(prometheus: &Prometheus, page: &str) -> anyhow::Result<Self> {
        let mut known = Labels::new();
        let folder = root().join("deploy/monitoring");
        let foreign = yaml(&folder.join("foreign-metrics.yaml"))?;
        for (name, labels) in foreign
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, of)| of.as_object())
            .flatten()
        {
            let labels = labels
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            known.insert(
                name.clone(),
                labels.map(|l| (l.to_owned(), Words::new())).collect(),
            );
        }
        let mut tests = String::new();
        for entry in std::fs::read_dir(folder.join("tests"))? {
            tests.push_str(&std::fs::read_to_string(entry?.path())?);
        }
        for record in records(&yaml(&folder.join("rules.yaml"))?) {
            known.insert(record.clone(), tested(&tests, &record));
        }
        let data = prometheus
            .ask(
                "/api/v1/series",
                "match[]",
                r#"{__name__=~"devserver[_:].+"}"#,
            )
            .await?;
        for series in data.as_array().into_iter().flatten() {
            take_series(&mut known, series)?;
        }
        take_page(&mut known, page);
        let info = known.get("devserver_environment_info").cloned();
        known.insert(
            "devserver:environment:info".to_owned(),
            info.unwrap_or_default(),
        );
        for labels in known.values_mut() {
            for (label, words) in OF_ENVIRONMENTS {
                if let Some(seen) = labels.get_mut(label) {
                    seen.extend(words.iter().map(|&word| word.to_owned()));
                }
            }
        }
        Ok(Self(known))
    }

    /// Parses the query, runs it, and looks whether all it asks for is there. The metrics it asks for.
    pub async fn check(
        &self,
        prometheus: &Prometheus,
        query: &Query,
    ) -> anyhow::Result<Vec<String>> {
        // Of label_replace.
        let is_open = query.text.replace("$1", "").contains('$');
        ensure!(!is_open, "a variable that is not known");
        let tree = prometheus
            .ask("/api/v1/parse_query", "query", &query.text)
            .await?;
        prometheus
            .ask("/api/v1/query", "query", &query.text)
            .await?;
        let mut names = Vec::new();
        self.labels(&tree, &mut names)?;
        ensure!(!names.is_empty(), "it asks for nothing");
        Ok(names)
    }

    /// Labels that what a part of a query yields may have, after everything in it was looked at.
    fn labels(&self, node: &Value, names: &mut Vec<String>) -> anyhow::Result<BTreeSet<String>> {
        let text = |key: &str| node[key].as_str().unwrap_or_default();
        let list = |of: &Value| -> Vec<String> {
            let words = of
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            words.map(str::to_owned).collect()
        };
        match text("type") {
            "vectorSelector" | "matrixSelector" => self.selected(node, names),
            "aggregation" => {
                let inner = self.labels(&node["expr"], names)?;
                let grouping = list(&node["grouping"]);
                for label in &grouping {
                    ensure!(inner.contains(label), "there is no label {label} to go by");
                }
                if node["without"] == true || matches!(text("op"), "topk" | "bottomk") {
                    return Ok(inner);
                }
                Ok(grouping.into_iter().collect())
            }
            "binaryExpr" => {
                let (left, right) = (
                    self.labels(&node["lhs"], names)?,
                    self.labels(&node["rhs"], names)?,
                );
                let matching = &node["matching"];
                for label in list(&matching["labels"]) {
                    let both = left.contains(&label) && right.contains(&label);
                    ensure!(both, "there is no label {label} on both sides");
                }
                for label in list(&matching["include"]) {
                    let is_there = left.contains(&label) || right.contains(&label);
                    ensure!(is_there, "there is no label {label} to take over");
                }
                Ok(left.into_iter().chain(right).collect())
            }
            "call" => {
                let mut all = BTreeSet::new();
                for argument in node["args"].as_array().into_iter().flatten() {
                    all.extend(self.labels(argument, names)?);
                }
                let text = |path: &str| node.pointer(path).and_then(Value::as_str);
                if text("/func/name") == Some("label_replace") {
                    all.extend(text("/args/1/val").map(str::to_owned));
                }
                Ok(all)
            }
            "parenExpr" | "unaryExpr" | "subquery" => self.labels(&node["expr"], names),
            "numberLiteral" | "stringLiteral" => Ok(BTreeSet::new()),
            other => bail!("nobody knows what {other} is"),
        }
    }

    fn selected(&self, node: &Value, names: &mut Vec<String>) -> anyhow::Result<BTreeSet<String>> {
        let name = node["name"].as_str().unwrap_or_default();
        ensure!(!name.is_empty(), "it names no metric");
        names.push(name.to_owned());
        let matchers = node["matchers"].as_array().into_iter().flatten();
        let matchers = matchers.filter(|matcher| matcher["name"] != "__name__");
        // Prometheus' own, with the labels of any alert.
        if name == "ALERTS" {
            return Ok(["alertname", "alertstate", "severity"]
                .map(str::to_owned)
                .into());
        }
        let labels = self
            .0
            .get(name)
            .with_context(|| format!("there is no metric {name}"))?;
        for matcher in matchers {
            let label = matcher["name"].as_str().unwrap_or_default();
            let words = labels
                .get(label)
                .with_context(|| format!("{name} has no label {label}"))?;
            let value = matcher["value"].as_str().unwrap_or_default();
            for word in value.split('|').filter(|_| WORDS.contains(&label)) {
                ensure!(
                    words.contains(word),
                    "{label} of {name} is never {word:?}, but {words:?}"
                );
            }
        }
        let scraped = SCRAPED.map(str::to_owned);
        Ok(labels.keys().cloned().chain(scraped).collect())
    }
}

fn take_series(known: &mut Labels, series: &Value) -> anyhow::Result<()> {
    let series = series.as_object().context("no series")?;
    let name = series.get("__name__").and_then(Value::as_str);
    let labels = known.entry(name.context("no name")?.to_owned());
    let labels = labels.or_default();
    for (label, value) in series.iter().filter(|(label, _)| *label != "__name__") {
        let words = labels.entry(label.clone()).or_default();
        words.extend(value.as_str().map(str::to_owned));
    }
    Ok(())
}

fn take_page(known: &mut Labels, page: &str) {
    for (name, labels) in page.lines().filter_map(|line| line.split_once('{')) {
        let known = known.entry(name.to_owned()).or_default();
        let labels = labels.split("\",");
        for (label, _) in labels.filter_map(|label| label.split_once("=\"")) {
            known.entry(label.to_owned()).or_default();
        }
    }
}

fn records(rules: &Value) -> Vec<String> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups
        .filter_map(|group| group["rules"].as_array())
        .flatten();
    rules
        .filter_map(|rule| Some(rule["record"].as_str()?.to_owned()))
        .collect()
}

/// Labels that the tests of the rules expect of what is recorded.
fn tested(tests: &str, record: &str) -> BTreeMap<String, Words> {
    let begin = format!("{record}{{");
    let expected = tests.split(&begin).skip(1);
    expected
        .filter_map(|rest| rest.split('}').next())
        .flat_map(|labels| labels.split(','))
        .filter_map(|label| label.split_once('='))
        .map(|(label, _)| (label.trim().to_owned(), Words::new()))
        .collect()
}
