//! Two states side by side: what differs, by path.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every difference as one line, `path: left ≠ right`; empty when equal.
pub fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", left, right, &mut found);
    found
}

fn walk(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let inner = format!("{path}/{key}");
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => walk(&inner, x, y, found),
                    (Some(x), None) => found.push(format!("{inner}: {} ≠ absent", short(x))),
                    (None, Some(y)) => found.push(format!("{inner}: absent ≠ {}", short(y))),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                walk(&format!("{path}/{i}"), x, y, found);
            }
        }
        (x, y) if x == y => {}
        (x, y) => found.push(format!("{path}: {} ≠ {}", short(x), short(y))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_states_have_no_difference() {
        assert!(differences(&json!({"a": [1, {"b": 2}]}), &json!({"a": [1, {"b": 2}]})).is_empty());
    }

    #[test]
    fn a_changed_an_added_and_a_missing_part_are_named_by_path() {
        let left = json!({"Service/x": {"ports": [22]}, "Secret/y": {}});
        let right = json!({"Service/x": {"ports": [23]}, "Pod/z": {}});
        let found = differences(&left, &right);
        assert_eq!(
            found,
            [
                "/Pod/z: absent ≠ {}",
                "/Secret/y: {} ≠ absent",
                "/Service/x/ports/0: 22 ≠ 23"
            ]
        );
    }
}
