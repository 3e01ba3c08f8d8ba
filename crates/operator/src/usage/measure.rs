//! What pods use, from the metrics server, where there is one: one list a minute of our pods. Without it nothing is measured,
//! and reports say so instead of saying zero.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use devserver_api::group;
use devserver_core::flavor::thousandths;
use devserver_usage::meter::Use;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
};
use tokio::time::sleep;

use crate::error::bounded;

/// The metrics server itself measures about as often.
const BETWEEN: Duration = Duration::from_secs(60);
/// How long after it was not there it is asked for again.
const ABSENT: Duration = Duration::from_mins(10);

/// What was measured last, by namespace and name of the pod.
#[derive(Default)]
pub struct Measured(RwLock<HashMap<(String, String), Use>>);

impl Measured {
    /// What a pod uses; `None`: not measured.
    pub fn of(&self, pod: &Pod) -> Option<Use> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = (pod.metadata.namespace.clone()?, pod.metadata.name.clone()?);
        known.get(&key).copied()
    }

    fn set(&self, all: HashMap<(String, String), Use>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Keeps it up to date. Never ends.
pub async fn follow(client: &Client, measured: &Measured) {
    let kind = ApiResource {
        group: "metrics.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "metrics.k8s.io/v1beta1".to_owned(),
        kind: "PodMetrics".to_owned(),
        plural: "pods".to_owned(),
    };
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let ours = ListParams::default().labels(&format!(
        "{}={}",
        group::LABEL_MANAGED_BY,
        group::FIELD_MANAGER
    ));
    loop {
        let wait = match bounded("read what pods use", api.list(&ours)).await {
            Ok(list) => {
                measured.set(list.items.iter().filter_map(read).collect());
                BETWEEN
            }
            Err(error) => {
                tracing::debug!(%error, "use is not measured");
                measured.set(HashMap::new());
                if error.is_not_found() || error.refusal().is_some() {
                    ABSENT
                } else {
                    BETWEEN
                }
            }
        };
        sleep(wait).await;
    }
}

fn read(object: &DynamicObject) -> Option<((String, String), Use)> {
    let mut sum = Use::default();
    for container in object.data.get("containers")?.as_array()? {
        let amount = |resource: &str| thousandths(container.get("usage")?.get(resource)?.as_str()?);
        sum.cpu_milli = sum
            .cpu_milli
            .saturating_add(i64::try_from(amount("cpu")?).ok()?);
        let bytes = amount("memory")? / 1_000;
        sum.memory_bytes = sum.memory_bytes.saturating_add(i64::try_from(bytes).ok()?);
    }
    let meta = &object.metadata;
    Some(((meta.namespace.clone()?, meta.name.clone()?), sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_metrics_server_says_is_added_up_over_containers() {
        let object: DynamicObject = serde_json::from_value(serde_json::json!({
            "apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
            "metadata": {"name": "box-0", "namespace": "dev-alice"},
            "timestamp": "2026-01-01T00:00:00Z", "window": "15s",
            "containers": [
                {"name": "dev", "usage": {"cpu": "250123456n", "memory": "1048576Ki"}},
                {"name": "docker", "usage": {"cpu": "5m", "memory": "1Mi"}},
            ],
        }))
        .unwrap();
        let (key, used) = read(&object).unwrap();
        assert_eq!(key, ("dev-alice".to_owned(), "box-0".to_owned()));
        assert_eq!(used.cpu_milli, 251 + 5);
        assert_eq!(used.memory_bytes, (1 << 30) + (1 << 20));
    }
}
