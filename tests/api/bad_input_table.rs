//! The table of bad input, from the file beside this one.

use devserver_testkit::cluster::root;
use serde::Deserialize;
use serde_json::Value;

/// What admission refuses, and what only the operator can judge.
#[derive(Deserialize)]
pub struct Table {
    pub refused: Vec<Refused>,
    pub explained: Vec<Explained>,
}

/// A change that admission refuses.
#[derive(Deserialize)]
pub struct Refused {
    /// What is bad.
    pub what: String,
    /// Merged into `spec`.
    pub spec: Value,
    /// Words that the message must have.
    pub words: Vec<String>,
}

/// A change that a condition explains.
#[derive(Deserialize)]
pub struct Explained {
    /// What is bad.
    pub what: String,
    /// Merged into `spec`.
    pub spec: Value,
    /// Reason of `Valid=False`.
    pub reason: String,
    /// Words that its message must have.
    pub words: Vec<String>,
}

impl Table {
    pub fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(root().join("tests/api/bad_input.yaml"))?;
        Ok(serde_saphyr::from_str(&text)?)
    }
}
