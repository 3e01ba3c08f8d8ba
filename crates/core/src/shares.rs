//! What the containers beside `dev` get, from what `dev` gets. Their pod, and quotas, go by it.

use std::{cmp::Ordering, collections::BTreeMap};

use devserver_api::quantity;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::environment::Resources;

type Amounts = BTreeMap<String, Quantity>;

/// Whether `dev` has what it may use set aside in full.
pub fn is_guaranteed(main: &Resources) -> bool {
    ["cpu", "memory"].iter().all(|resource| {
        main.limits.contains_key(*resource)
            && (!main.requests.contains_key(*resource)
                || main.requests.get(*resource) == main.limits.get(*resource))
    })
}

/// sshd's own container: enough for shells and file transfer; work is done in `dev`. Equal where those of `dev` are, so that
/// the pod is Guaranteed as a whole (decision C-QOS).
pub fn of_sidecar(main: &Resources) -> Resources {
    if is_guaranteed(main) {
        let both = of("250m", "512Mi");
        return Resources {
            requests: both.clone(),
            limits: both,
        };
    }
    Resources {
        requests: of("50m", "64Mi"),
        limits: of("1", "1Gi"),
    }
}

/// The Docker daemon: its containers may use as much as `dev` may; little is set aside for them. Where the pod is Guaranteed
/// they get a share of their own (decision C-QOS).
pub fn of_docker(main: &Resources) -> Resources {
    let mut limits = main.limits.clone();
    limits.retain(|resource, _| matches!(resource.as_str(), "cpu" | "memory"));
    let guaranteed = is_guaranteed(main);
    let share = if guaranteed {
        of("1", "2Gi")
    } else {
        of("50m", "128Mi")
    };
    // Never more than the limit, or the pod would be refused.
    let requests: Amounts = share
        .into_iter()
        .map(|(resource, amount)| {
            let limit = limits.get(&resource);
            let bounded = limit.filter(|l| quantity::compare(l, &amount) == Some(Ordering::Less));
            let amount = bounded.cloned().unwrap_or(amount);
            (resource, amount)
        })
        .collect();
    let limits = if guaranteed { requests.clone() } else { limits };
    Resources { requests, limits }
}

fn of(cpu: &str, memory: &str) -> Amounts {
    BTreeMap::from([
        ("cpu".to_owned(), Quantity(cpu.to_owned())),
        ("memory".to_owned(), Quantity(memory.to_owned())),
    ])
}
