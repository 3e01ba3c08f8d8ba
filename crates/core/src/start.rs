//! When a start has what it cannot do without.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};

use crate::status::node;

/// The longest that a pod without a node keeps the rest waiting, from the time its workload was made. Such times are whole
/// seconds, rounded down, so it is one second at least.
const LIMIT: Duration = Duration::from_secs(2);

/// How long what a pod does not need to start still waits for it to get a node. `None`: it does not.
pub fn head_start(
    workload: Option<&StatefulSet>,
    pod: Option<&Pod>,
    now: Timestamp,
) -> Option<Duration> {
    let workload = workload?;
    let is_stopped = workload.spec.as_ref().and_then(|s| s.replicas) == Some(0);
    if is_stopped || pod.and_then(node).is_some() {
        return None;
    }
    let made = workload.metadata.creation_timestamp.as_ref()?.0;
    // A clock that is behind the API server's counts as if the time were over.
    let age = Duration::try_from(now.duration_since(made)).ok()?;
    LIMIT.checked_sub(age).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn waits(spec: &Value, node: Option<&Value>, now: &str) -> Option<Duration> {
        let workload =
            json!({"metadata": {"creationTimestamp": "2026-01-05T10:00:00Z"}, "spec": spec});
        let workload: StatefulSet = serde_json::from_value(workload).unwrap();
        let pod = node.map(|spec| serde_json::from_value(json!({"spec": spec})).unwrap());
        head_start(Some(&workload), pod.as_ref(), now.parse().unwrap())
    }

    fn template(replicas: i32) -> Value {
        json!({"replicas": replicas, "selector": {}, "template": {}})
    }

    #[test]
    fn what_a_pod_does_not_need_waits_until_it_has_a_node() {
        let pending = json!({"containers": []});
        let placed = json!({"containers": [], "nodeName": "n1"});
        let now = "2026-01-05T10:00:00.5Z";
        let rest = Some(Duration::from_millis(1500));
        assert_eq!(waits(&template(1), None, now), rest);
        assert_eq!(waits(&template(1), Some(&pending), now), rest);
        assert_eq!(waits(&template(1), Some(&placed), now), None);
    }

    #[test]
    fn a_pod_that_gets_no_node_keeps_nothing_waiting_for_long() {
        assert_eq!(waits(&template(1), None, "2026-01-05T10:00:02Z"), None);
        assert_eq!(waits(&template(1), None, "2026-01-05T12:00:00Z"), None);
    }

    #[test]
    fn nothing_waits_without_a_workload_for_a_stopped_one_or_by_a_clock_that_is_behind() {
        let now = "2026-01-05T10:00:00.5Z".parse().unwrap();
        assert_eq!(head_start(None, None, now), None);
        assert_eq!(waits(&template(0), None, "2026-01-05T10:00:00.5Z"), None);
        assert_eq!(waits(&template(1), None, "2026-01-05T09:59:59Z"), None);
    }
}
