//! `docs/requirements.md` says which test proves what: that the tests are there, and that nothing is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

/// Rows that must be proven, document by document: first and last number.
const DUE: [(&str, u32, u32); 4] = [
    ("S0-", 1, 24),
    ("S1-", 1, 14),
    ("S2-", 1, 18),
    ("S3-", 1, 43),
];
/// Rows of those that are manifests of a cloud; the page says why.
const ELSEWHERE: [&str; 5] = ["S3-7", "S3-8", "S3-9", "S3-20", "S3-41"];
/// All rows there are: documents and how many each has.
const ROWS: [(&str, u32); 5] = [
    ("S0-", 24),
    ("S1-", 14),
    ("S2-", 18),
    ("S3-", 44),
    ("S4-", 14),
];
/// Attack cases that must be proven.
const ATTACKS: &str = "A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 B1 B2 B3 B4 B5 B6 B7 B8 C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 D1 D2 D3 D4 D5 D6 D7 D8 D9 D12 E1 E2 E3 E6 E7 F1 F2 F3 F4 F5 F6 F8 F9 F10 F11 F12 F13 G1 G2 G3 G7";

/// What proves one row.
struct Row {
    /// Words in backticks of the last column.
    proofs: Vec<String>,
    /// The whole last column.
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rows of all tables of the page by id; each id stands once.
fn rows() -> anyhow::Result<BTreeMap<String, Row>> {
    let page = std::fs::read_to_string(root().join("docs/requirements.md"))?;
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, .., proof] = cells.as_slice() else {
            continue;
        };
        if !id.starts_with(|c: char| c.is_ascii_uppercase()) {
            continue;
        }
        let proofs = proof.split('`').skip(1).step_by(2).map(str::to_owned);
        let row = Row {
            proofs: proofs.collect(),
            text: (*proof).to_owned(),
        };
        ensure!(
            rows.insert((*id).to_owned(), row).is_none(),
            "{id} is there twice"
        );
    }
    Ok(rows)
}

/// Names of all functions that are marked as tests.
fn tests() -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut open = vec![root().join("crates"), root().join("tests")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            collect(&text, &mut names);
        }
    }
    Ok(names)
}

/// Names of functions below a test attribute, with other attributes between at most; tests of properties have theirs inside a macro.
fn collect(text: &str, names: &mut BTreeSet<String>) {
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let words = line.split_once("fn ").filter(|_| marked);
            if let Some((_, rest)) = words {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                names.insert(name.to_owned());
            }
            marked = false;
        }
    }
}

#[test]
fn every_proof_of_a_requirement_exists() -> anyhow::Result<()> {
    let tests = tests()?;
    ensure!(tests.len() > 300, "only {} tests were found", tests.len());
    let mut missing = Vec::new();
    for (id, row) in rows()? {
        for proof in row.proofs {
            let is_there = if proof.contains('/') {
                root().join(&proof).is_file()
            } else {
                tests.contains(&proof)
            };
            if !is_there {
                missing.push(format!("{id}: {proof}"));
            }
        }
    }
    ensure!(
        missing.is_empty(),
        "docs/requirements.md names what does not exist; name the test that proves the row now:\n{}",
        missing.join("\n")
    );
    Ok(())
}

#[test]
fn no_requirement_that_is_due_is_without_a_proof() -> anyhow::Result<()> {
    let rows = rows()?;
    for (document, count) in ROWS {
        for number in 1..=count {
            let id = format!("{document}{number}");
            let row = rows
                .get(&id)
                .with_context(|| format!("{id} is not on the page"))?;
            let due = DUE
                .iter()
                .any(|(d, first, last)| *d == document && (*first..=*last).contains(&number));
            let elsewhere = ELSEWHERE.contains(&id.as_str());
            ensure!(
                !due || elsewhere || !row.proofs.is_empty(),
                "{id} has no proof"
            );
            ensure!(
                !elsewhere || row.text.starts_with("elsewhere: "),
                "{id} has no reason"
            );
            ensure!(
                !row.text.is_empty(),
                "{id} says neither what proves it nor when it comes"
            );
        }
    }
    Ok(())
}

#[test]
fn no_attack_case_that_is_due_is_without_a_test_of_its_id() -> anyhow::Result<()> {
    let rows = rows()?;
    for id in ATTACKS.split(' ') {
        let row = rows
            .get(id)
            .with_context(|| format!("{id} is not on the page"))?;
        let id_in_name = format!("{}_", id.to_lowercase());
        let named = row
            .proofs
            .iter()
            .any(|name| name.starts_with(&id_in_name) || name.contains(&format!("_{id_in_name}")));
        ensure!(
            named,
            "{id}: no test that begins with {id_in_name} proves it"
        );
    }
    Ok(())
}

#[test]
fn the_operator_is_built_with_the_code_of_no_cloud() -> anyhow::Result<()> {
    for package in ["devserver-operator", "devserver-agent", "devctl"] {
        for name in super::reaches(package)? {
            let cloud = ["aws-", "aws_", "azure", "google-cloud", "gcp", "rusoto"];
            // A library of cryptography that only has its name from one.
            let is_cloud = cloud.iter().any(|c| name.starts_with(c)) && !name.starts_with("aws-lc");
            ensure!(!is_cloud, "{package} reaches {name}");
        }
    }
    Ok(())
}
