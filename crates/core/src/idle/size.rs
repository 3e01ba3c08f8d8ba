//! How large the pod of an idle environment is. Compared with the pod that is there, so that it does not matter how often or
//! by whom it was changed before.

use std::{cmp::Ordering, collections::BTreeMap};

use devserver_api::{Downscaled, IdleState, IdleStatus, group, quantity};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity};
use serde_json::{Value, json};

type Amounts = BTreeMap<String, Quantity>;

/// What a pod can change without a restart (KEP-1287).
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// How large the pod should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// As it was made.
    #[default]
    Full,
    /// Requests as the flavor's `minimumResources`.
    Small,
    /// As it is: nobody knows whether it is in use.
    Left,
}

/// What matters of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    uid: String,
    requests: Amounts,
    limits: Amounts,
    is_guaranteed: bool,
}

fn resizable(amounts: Option<&Amounts>) -> Amounts {
    let all = amounts.into_iter().flatten();
    all.filter(|(resource, _)| RESIZABLE.contains(&resource.as_str()))
        .map(|(resource, amount)| (resource.clone(), amount.clone()))
        .collect()
}

impl Machine {
    /// `None` while it goes, or is not the developer's machine.
    pub(super) fn of(pod: &Pod) -> Option<Self> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let mut containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let dev = containers.find(|container| container.name == group::CONTAINER)?;
        let resources = dev.resources.as_ref();
        Some(Self {
            uid: pod.metadata.uid.clone()?,
            requests: resizable(resources.and_then(|r| r.requests.as_ref())),
            limits: resizable(resources.and_then(|r| r.limits.as_ref())),
            is_guaranteed: pod.status.as_ref()?.qos_class.as_deref() == Some("Guaranteed"),
        })
    }

    /// What it had when it was made: the record is of this pod, or it was never shrunk.
    pub(super) fn original(&self, record: Option<&Downscaled>) -> Downscaled {
        match record.filter(|record| record.pod_uid == self.uid) {
            Some(record) => record.clone(),
            None => Downscaled {
                pod_uid: self.uid.clone(),
                requests: self.requests.clone(),
                limits: self.limits.clone(),
            },
        }
    }

    fn is_as(&self, requests: &Amounts, limits: &Amounts) -> bool {
        are_equal(&self.requests, requests) && are_equal(&self.limits, limits)
    }

    /// Whether it is the pod of this record and has not all of that again.
    pub(super) fn is_still_small(&self, record: &Downscaled) -> bool {
        record.pod_uid == self.uid && !self.is_as(&record.requests, &record.limits)
    }

    /// Requests and limits when it is small. The quality of service must stay as it is, so a guaranteed one loses what it has
    /// of CPU as request and limit, and keeps its memory: a limit below what is in use would end programs.
    fn small(&self, original: &Downscaled, minimum: &Amounts) -> (Amounts, Amounts) {
        let (mut requests, mut limits) = (original.requests.clone(), original.limits.clone());
        for (resource, least) in minimum {
            let can_shrink = resource == "cpu" || !self.is_guaranteed;
            let Some(request) = requests.get_mut(resource).filter(|_| can_shrink) else {
                continue;
            };
            if quantity::compare(least, request) != Some(Ordering::Less) {
                continue;
            }
            *request = least.clone();
            if self.is_guaranteed {
                limits.insert(resource.clone(), least.clone());
            }
        }
        (requests, limits)
    }

    /// Whether it would become smaller.
    pub(super) fn can_shrink(&self, record: Option<&Downscaled>, minimum: &Amounts) -> bool {
        let original = self.original(record);
        let (requests, limits) = self.small(&original, minimum);
        !(are_equal(&requests, &original.requests) && are_equal(&limits, &original.limits))
    }
}

/// Whether this pod was shrunk and has not got back what it had.
pub fn is_still_small(pod: &Pod, record: &Downscaled) -> bool {
    Machine::of(pod).is_some_and(|machine| machine.is_still_small(record))
}

/// What is written of one that no stage concerns any more: what was shrunk grows back before that is forgotten.
pub fn released(before: Option<&IdleStatus>, pod: Option<&Pod>) -> Option<IdleStatus> {
    let record = before?.downscaled.as_ref();
    // Without a pod that can be asked it is not known.
    let record = record.filter(|record| pod.is_none_or(|pod| is_still_small(pod, record)));
    record.map(|record| IdleStatus {
        state: IdleState::Unknown,
        signal: Some("no policy concerns it any more".to_owned()),
        downscaled: Some(record.clone()),
        ..IdleStatus::default()
    })
}

fn are_equal(a: &Amounts, b: &Amounts) -> bool {
    let same = |(resource, amount): (&String, &Quantity)| {
        b.get(resource)
            .is_some_and(|other| quantity::compare(amount, other) == Some(Ordering::Equal))
    };
    a.len() == b.len() && a.iter().all(same)
}

/// The patch of the subresource `resize` that gives the pod its size; `None`: it has it. Without a record there is nothing to
/// go back to, and nothing is shrunk before it is written down.
pub fn resize(
    pod: &Pod,
    record: Option<&Downscaled>,
    size: Size,
    minimum: &Amounts,
) -> Option<Value> {
    let machine = Machine::of(pod)?;
    let record = record.filter(|record| record.pod_uid == machine.uid)?;
    let (requests, limits) = match size {
        Size::Left => return None,
        Size::Full => (record.requests.clone(), record.limits.clone()),
        Size::Small => machine.small(record, minimum),
    };
    if machine.is_as(&requests, &limits) {
        return None;
    }
    Some(json!({
        // With the UID: a pod made again under the name is another.
        "metadata": {"uid": machine.uid},
        "spec": {"containers": [{
            "name": group::CONTAINER,
            "resources": {"requests": requests, "limits": limits},
        }]},
    }))
}
