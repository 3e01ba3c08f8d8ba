//! Stands in for the node in the control-plane ring, where there is none: writes the status of pods to the real API
//! server, as a kubelet would, and nothing else. Pods stay without a node, so they also go without one.

use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

/// What happens to pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fortune {
    /// Nothing: they stay as the StatefulSet controller made them.
    Hold,
    /// They run and are Ready.
    Ready,
    /// They run at that address, where an [`crate::agent::Agent`] answers.
    ReadyAt(String),
    /// They run, but their probe fails.
    NotReady,
    /// Their image cannot be pulled; why.
    ImagePullFails(String),
    /// Their container ends again and again; exit code and termination message.
    CrashLoop(i32, String),
    /// No node fits; why.
    Unschedulable(String),
}

/// A running stand-in; ends when dropped.
pub struct Kubelet {
    fortune: Arc<watch::Sender<Fortune>>,
    task: JoinHandle<()>,
}

impl Kubelet {
    /// Looks after the pods of a namespace.
    pub fn start(client: &Client, namespace: &str, fortune: Fortune) -> Self {
        let (sender, receiver) = watch::channel(fortune);
        let api = Api::namespaced(client.clone(), namespace);
        let task = tokio::spawn(run(api, receiver));
        Self {
            fortune: Arc::new(sender),
            task,
        }
    }

    /// Changes what happens to pods, also to those that are there.
    pub fn set(&self, fortune: Fortune) {
        self.fortune.send_replace(fortune);
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(api: Api<Pod>, mut fortune: watch::Receiver<Fortune>) {
    let pods = watcher(api.clone(), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut pods = std::pin::pin!(pods);
    loop {
        tokio::select! {
            pod = pods.try_next() => match pod {
                Ok(Some(pod)) => {
                    let now = fortune.borrow().clone();
                    befall(&api, &pod, &now).await;
                }
                Ok(None) => return,
                // The watcher tries again by itself.
                Err(why) => tracing::warn!(%why, "the stand-in kubelet lost its watch"),
            },
            changed = fortune.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = fortune.borrow_and_update().clone();
                if let Ok(list) = api.list(&ListParams::default()).await {
                    for pod in list {
                        befall(&api, &pod, &now).await;
                    }
                }
            }
        }
    }
}

async fn befall(api: &Api<Pod>, pod: &Pod, fortune: &Fortune) {
    let mark = format!("{fortune:?}");
    let has_it = pod.status.as_ref().and_then(|s| s.message.as_deref()) == Some(mark.as_str());
    if *fortune == Fortune::Hold || has_it || pod.metadata.deletion_timestamp.is_some() {
        return;
    }
    let mut status = status(pod, fortune);
    if let Some(status) = status.as_object_mut() {
        // Tells that this pod has this fortune already; the operator does not read it.
        status.insert("message".to_owned(), json!(mark));
    }
    let patch = Patch::Merge(json!({"status": status}));
    if let Err(why) = api
        .patch_status(&pod.name_any(), &PatchParams::default(), &patch)
        .await
    {
        // Deleted in between, most of the time; the next event brings another try.
        tracing::debug!(%why, "the stand-in kubelet could not write a status");
    }
}

fn status(pod: &Pod, fortune: &Fortune) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let running = json!({"running": {"startedAt": now}});
    let back_off =
        |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    match fortune {
        Fortune::Hold => Value::Null,
        Fortune::Ready => ready(pod, &now, "192.0.2.10"),
        Fortune::ReadyAt(address) => ready(pod, &now, address),
        Fortune::NotReady => json!({
            "phase": "Running", "startTime": now,
            "conditions": conditions(&now, false),
            "containerStatuses": containers(pod, false, 0, &running, &Value::Null),
        }),
        Fortune::ImagePullFails(why) => json!({
            "phase": "Pending", "startTime": now,
            "conditions": conditions(&now, false),
            "containerStatuses": containers(pod, false, 0, &back_off("ErrImagePull", why), &Value::Null),
        }),
        Fortune::CrashLoop(code, said) => {
            let ended = json!({"terminated": {
                "exitCode": code, "reason": "Error", "message": said, "startedAt": now, "finishedAt": now}});
            let waits = back_off(
                "CrashLoopBackOff",
                "back-off 10s restarting failed container",
            );
            json!({
                "phase": "Running", "startTime": now,
                "conditions": conditions(&now, false),
                "containerStatuses": containers(pod, false, 1, &waits, &ended),
            })
        }
        Fortune::Unschedulable(why) => json!({
            "phase": "Pending",
            "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
                "lastTransitionTime": now}],
        }),
    }
}

fn ready(pod: &Pod, now: &str, address: &str) -> Value {
    let running = json!({"running": {"startedAt": now}});
    json!({
        "phase": "Running", "startTime": now, "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions(now, true),
        "containerStatuses": containers(pod, true, 0, &running, &Value::Null),
    })
}

fn conditions(now: &str, is_ready: bool) -> Value {
    let condition = |type_: &str, holds: bool| json!({"type": type_, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now});
    json!([
        condition("PodScheduled", true),
        condition("Initialized", true),
        condition("ContainersReady", is_ready),
        condition("Ready", is_ready),
    ])
}

fn containers(pod: &Pod, is_ready: bool, restarts: i32, state: &Value, last: &Value) -> Value {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "", "ready": is_ready,
                "started": is_ready, "restartCount": restarts, "state": state,
                // Without it a node is taken for one that cannot resize pods.
                "resources": container.resources,
                "lastState": if last.is_null() { json!({}) } else { last.clone() },
            })
        })
        .collect()
}
