//! Writes in a comparable order, though some are made at once, and the crashes to be had around them.

use anyhow::bail;

use super::{CASE, Case};
use crate::proxy::rule::Side;

/// Writes that are made at once come in any order: each run of them sorted. The workload and the status come alone.
pub(super) fn in_stages(writes: &[String]) -> Vec<String> {
    let alone = |write: &String| write.contains("statefulsets") || write.contains("devserver");
    let mut sorted: Vec<String> = Vec::new();
    for part in writes.chunk_by(|a, b| !alone(a) && !alone(b)) {
        let mut part = part.to_vec();
        part.sort_unstable();
        sorted.append(&mut part);
    }
    sorted
}

/// Statuses in a row as one write.
pub(super) fn join_statuses(writes: &mut Vec<String>) {
    writes.dedup_by(|a, b| a == b && a.ends_with("/status"));
}

/// Both sides of every write, or the one that [`CASE`] names.
pub(super) fn cases(story: &str, writes: usize) -> anyhow::Result<Vec<Case>> {
    if let Ok(text) = std::env::var(CASE) {
        return match text.split_once(':') {
            Some((name, case)) if name == story => Ok(vec![case.parse()?]),
            Some(_) => Ok(Vec::new()),
            None => bail!("{CASE}={text} is not story:write:side"),
        };
    }
    let sides = [Side::Before, Side::After];
    Ok((1..=writes)
        .flat_map(|write| sides.map(|side| Case { write, side }))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_alone_keeps_its_place() {
        let writes = [
            "patch services",
            "patch configmaps",
            "patch statefulsets",
            "b",
            "a",
        ];
        let writes = writes.map(str::to_owned);
        let expected = [
            "patch configmaps",
            "patch services",
            "patch statefulsets",
            "a",
            "b",
        ];
        assert_eq!(in_stages(&writes), expected);
    }

    #[test]
    fn only_statuses_in_a_row_are_one() {
        let mut writes = ["a", "a", "b/status", "b/status", "a", "b/status"]
            .map(str::to_owned)
            .to_vec();
        join_statuses(&mut writes);
        assert_eq!(writes, ["a", "a", "b/status", "a", "b/status"]);
    }
}
