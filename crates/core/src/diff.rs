//! Whether an object is as it should be: every field we set has our value, and we set none that we no longer want.
//!
//! Nothing is written when nothing changed: repeated identical applies have moved resource versions on some kinds
//! (kubernetes#95460, #100024), and each move wakes the operator again.

use std::cmp::Ordering;

use devserver_api::quantity;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

/// Fields by which entries of Kubernetes' lists are told apart, most specific first.
const LIST_KEYS: [&str; 6] = ["mountPath", "containerPort", "port", "uid", "name", "key"];

/// Whether `seen` has everything `desired` says. The hash annotation inside makes it notice removed fields too.
pub fn is_applied(desired: &Value, seen: &Value) -> bool {
    covers(desired, seen, false) && nothing_was_added(desired, seen)
}

/// Of a NetworkPolicy and of a RoleBinding every line opens something: one that somebody added is a difference, too.
fn nothing_was_added(desired: &Value, seen: &Value) -> bool {
    let opens = match desired.get("kind").and_then(Value::as_str) {
        Some("NetworkPolicy") => "spec",
        Some("RoleBinding") => "subjects",
        _ => return true,
    };
    desired.get(opens) == seen.get(opens)
}

fn covers(desired: &Value, seen: &Value, quantities: bool) -> bool {
    match (desired, seen) {
        (Value::Object(desired), Value::Object(seen)) => desired.iter().all(|(key, value)| {
            let quantities = quantities || matches!(key.as_str(), "requests" | "limits" | "hard");
            match seen.get(key) {
                Some(seen) => covers(value, seen, quantities),
                None => is_empty(value),
            }
        }),
        (Value::Array(desired), Value::Array(seen)) => {
            desired.len() <= seen.len()
                && desired.iter().enumerate().all(|(index, value)| {
                    counterparts(value, index, seen).any(|s| covers(value, s, quantities))
                })
        }
        (Value::String(desired), Value::String(seen)) if quantities => {
            desired == seen || same_quantity(desired, seen)
        }
        (desired, seen) => desired == seen,
    }
}

/// The entries of `seen` that may be meant: by their key where they have one (one port may be there for two protocols),
/// else by their place.
fn counterparts<'a>(
    value: &'a Value,
    index: usize,
    seen: &'a [Value],
) -> impl Iterator<Item = &'a Value> {
    let key = LIST_KEYS.iter().find(|key| value.get(**key).is_some());
    seen.iter().enumerate().filter_map(move |(place, entry)| {
        let meant = match key {
            Some(key) => entry.get(*key) == value.get(*key),
            None => place == index,
        };
        meant.then_some(entry)
    })
}

/// What the server leaves out when it stores it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn same_quantity(a: &str, b: &str) -> bool {
    quantity::compare(&Quantity(a.to_owned()), &Quantity(b.to_owned())) == Some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_of_the_server_are_no_difference() {
        let desired = json!({"spec": {"ports": [{"port": 22, "protocol": "TCP"}]}});
        let seen = json!({"spec": {"ports": [{"port": 22, "protocol": "TCP", "nodePort": 30022}], "clusterIP": "10.0.0.1"}});
        assert!(is_applied(&desired, &seen));
    }

    #[test]
    fn a_changed_a_missing_and_a_reordered_field_are_told_apart() {
        let desired = json!({"volumes": [{"name": "a", "x": 1}, {"name": "b"}]});
        assert!(is_applied(
            &desired,
            &json!({"volumes": [{"name": "b"}, {"name": "a", "x": 1}]})
        ));
        assert!(!is_applied(
            &desired,
            &json!({"volumes": [{"name": "b"}, {"name": "a", "x": 2}]})
        ));
        assert!(!is_applied(
            &desired,
            &json!({"volumes": [{"name": "a", "x": 1}]})
        ));
    }

    #[test]
    fn one_port_with_two_protocols_is_two_entries() {
        let ports = |protocols: [&str; 2]| json!({"ports": protocols.map(|p| json!({"port": 53, "protocol": p}))});
        assert!(is_applied(&ports(["UDP", "TCP"]), &ports(["UDP", "TCP"])));
        assert!(!is_applied(&ports(["UDP", "TCP"]), &ports(["UDP", "UDP"])));
    }

    #[test]
    fn a_line_that_somebody_added_to_a_network_policy_is_noticed() {
        let policy = |ingress: Value| json!({"kind": "NetworkPolicy", "spec": {"policyTypes": ["Ingress"], "ingress": ingress}});
        let ours = policy(json!([{"ports": [{"port": 22}]}]));
        assert!(is_applied(&ours, &ours.clone()));
        for theirs in [
            json!([{"ports": [{"port": 22}]}, {}]),
            json!([{"ports": [{"port": 22}, {"port": 80}]}]),
            json!([]),
        ] {
            assert!(!is_applied(&ours, &policy(theirs)));
        }
    }

    #[test]
    fn quantities_are_compared_by_value_only_where_quantities_stand() {
        let requests = |q: &str| json!({"resources": {"requests": {"cpu": q}}});
        assert!(is_applied(&requests("0.5"), &requests("500m")));
        assert!(!is_applied(&requests("0.5"), &requests("501m")));
        assert!(!is_applied(
            &json!({"name": "1000m"}),
            &json!({"name": "1"})
        ));
    }
}
