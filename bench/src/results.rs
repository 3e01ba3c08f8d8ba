//! The JSON of a run: facts of the machine, and a part per measurement.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Adds a part to the file and prints it.
pub fn add(path: &Path, name: &str, figures: Value) -> Result<()> {
    let mut all: Map<String, Value> = match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("failed to read {}", path.display()))?,
        Err(_) => Map::new(),
    };
    println!("{name}: {}", serde_json::to_string_pretty(&figures)?);
    all.insert("machine".to_owned(), machine());
    all.insert(name.to_owned(), figures);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, serde_json::to_string_pretty(&all)? + "\n")
        .with_context(|| format!("failed to write {}", path.display()))
}

fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    let cpu = read("/proc/cpuinfo");
    json!({
        "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        "cpu": field(&cpu, "model name"),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    }
}

/// Three digits after the point are more than a shared machine is good for.
pub fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
