//! Who may know whom: the dependency rule of the workspace, read from cargo itself. And what is said of the code: requirements, pages.
#![allow(clippy::indexing_slicing)]

mod monitoring;
mod pages;
mod reference;
mod requirements;
mod workflows;

use std::{collections::BTreeSet, process::Command};

use anyhow::ensure;

/// What decisions must not reach: runtime, network, cluster, chance.
const EDGE: [&str; 7] = [
    "tokio",
    "hyper",
    "kube-client",
    "kube-runtime",
    "rand",
    "rand_core",
    "reqwest",
];
/// Ways to ask for the time.
const CLOCKS: [&str; 4] = [
    "Timestamp::now",
    "Instant::now",
    "SystemTime::now",
    "Zoned::now",
];
/// What only tests may use.
const TEST_ONLY: [&str; 3] = ["devserver-testkit", "devserver-e2e", "kubelab"];

/// `cargo tree` and not `cargo metadata`: the latter shows features that other packages of the workspace switch on,
/// and with them optional dependencies that this package does not have when it is built alone.
fn tree(arguments: &[&str]) -> anyhow::Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--edges=normal,build", "--format={p}"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Names of everything that a package is built with, directly or not.
fn reaches(package: &str) -> anyhow::Result<BTreeSet<String>> {
    let text = tree(&["--package", package, "--prefix=none"])?;
    let names: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    ensure!(names.contains(package), "{package} is not in its own tree");
    Ok(names)
}

fn reaches_none_of(package: &str, forbidden: &[&str]) -> anyhow::Result<()> {
    let reached = reaches(package)?;
    for name in forbidden {
        if reached.contains(*name) {
            let way = tree(&["--package", package, "--invert", name]).unwrap_or_default();
            anyhow::bail!("{package} reaches {name}:\n{way}");
        }
    }
    Ok(())
}

#[test]
fn decisions_reach_no_runtime_no_network_no_cluster_and_no_chance() -> anyhow::Result<()> {
    reaches_none_of("devserver-activity", &EDGE)?;
    reaches_none_of("devserver-api", &EDGE)?;
    reaches_none_of("devserver-core", &EDGE)
}

#[test]
fn what_is_shipped_holds_nothing_that_only_tests_use() -> anyhow::Result<()> {
    for package in [
        "devserver-operator",
        "devserver-gateway",
        "devserver-console",
        "devctl",
        "devserver-agent",
        "devserver-core",
        "devserver-api",
    ] {
        reaches_none_of(package, &TEST_ONLY)?;
    }
    Ok(())
}

#[test]
fn the_command_line_reaches_no_database_and_no_mail() -> anyhow::Result<()> {
    reaches_none_of(
        "devctl",
        &["devserver-usage", "sqlx-core", "libsqlite3-sys", "lettre"],
    )
}

#[test]
fn nobody_depends_on_the_operator() -> anyhow::Result<()> {
    let users = tree(&[
        "--workspace",
        "--invert",
        "devserver-operator",
        "--prefix=none",
    ])?;
    let users: Vec<&str> = users
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    ensure!(users == ["devserver-operator"], "{users:?}");
    Ok(())
}

#[test]
fn gateway_and_console_decide_without_core_and_without_the_operator() -> anyhow::Result<()> {
    for package in ["devserver-gateway", "devserver-console"] {
        reaches_none_of(package, &["devserver-core", "devserver-operator"])?;
    }
    Ok(())
}

#[test]
fn api_knows_nothing_of_core_and_core_nothing_of_the_edge() -> anyhow::Result<()> {
    let ours = |package: &str| -> anyhow::Result<Vec<String>> {
        Ok(reaches(package)?
            .into_iter()
            .filter(|name| name.starts_with("devserver-"))
            .collect())
    };
    let (api, core) = (ours("devserver-api")?, ours("devserver-core")?);
    ensure!(api == ["devserver-api"], "api depends on {api:?}");
    ensure!(
        core == ["devserver-activity", "devserver-api", "devserver-core"],
        "core depends on {core:?}"
    );
    Ok(())
}

#[test]
fn decisions_read_no_clock() -> anyhow::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["crates/activity/src", "crates/api/src", "crates/core/src"] {
        let mut open = vec![root.join(folder)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                for entry in std::fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            } else {
                let text = std::fs::read_to_string(&path)?;
                for clock in CLOCKS {
                    ensure!(!text.contains(clock), "{} calls {clock}", path.display());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_test_is_run_by_some_ring() -> anyhow::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (ours, rings) = (
        std::fs::read_to_string(root.join("tests/Cargo.toml"))?,
        std::fs::read_to_string(root.join("hack/test.sh"))?,
    );
    let named = ours
        .split("[[test]]")
        .skip(1)
        .filter_map(|part| part.split('"').nth(1));
    let named: Vec<&str> = named.collect();
    ensure!(named.len() >= 10, "only {named:?} were found");
    for name in named {
        ensure!(
            rings.contains(&format!("--test {name}")),
            "hack/test.sh does not run {name}"
        );
    }
    // Those of the crates are found by their files: a file, or a folder with main.rs.
    for pattern in ["/crates/*/tests/*.rs", "/crates/*/tests/*/main.rs"] {
        ensure!(
            rings.contains(pattern),
            "hack/test.sh does not look for {pattern}"
        );
    }
    Ok(())
}
