//! `devctl restart`.

use std::time::Duration;

use devserver_api::{DevServer, group, names::ServerName};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;

use crate::{
    access,
    args::{Global, Restart},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{self as cluster, Session},
    output, progress, wait,
};

/// Asks the operator to make the pod anew. Users need no rights over pods for that.
pub async fn run(global: &Global, args: &Restart) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    let server = session.server(name).await?;
    let pod = pod(&session, &server).await?;
    let uid = pod.uid().unwrap_or_default();
    let patch = json!({"metadata": {
        // With the UID: a DevServer made again under the name has another pod.
        "uid": server.uid(),
        "annotations": {group::ANNOTATION_RESTART: uid},
    }});
    let params = PatchParams {
        field_manager: Some("devctl".into()),
        ..PatchParams::default()
    };
    cluster::answer(
        &format!("failed to restart DevServer '{name}'"),
        session
            .servers()
            .patch(name, &params, &Patch::Merge(&patch)),
    )
    .await?;
    output::say(&format!(
        "DevServer '{name}' is being restarted; its home stays."
    ))?;
    if args.wait.wait {
        let begin = std::time::Instant::now();
        until_another(&session, &pod, args.wait.timeout).await?;
        let left = args.wait.timeout.saturating_sub(begin.elapsed());
        let ready = wait::until_ready(&session, name, left).await?;
        access::write(&session.place, &ready)?;
        output::note(&format!("DevServer '{name}' is ready: devctl ssh {name}"));
    }
    Ok(Exit::Ok)
}

/// The pod that runs; without one there is nothing to restart.
async fn pod(session: &Session, server: &DevServer) -> Outcome<Pod> {
    let name = server.name_any();
    let nothing = |why: &str| {
        Failure::new(
            Exit::Error,
            format!("DevServer '{name}' cannot be restarted"),
        )
        .because(why)
    };
    if server.spec.suspend {
        return Err(nothing("it is suspended").remedy(format!("start it: devctl resume {name}")));
    }
    let pod_name = ServerName::parse(&name)
        .map_err(|e| Failure::usage(format!("the name '{name}' {e}")))?
        .pod();
    let found = cluster::answer("failed to get the pod", session.pods().get_opt(&pod_name)).await?;
    found
        .filter(|pod| progress::is_of(pod, server) && pod.metadata.deletion_timestamp.is_none())
        .ok_or_else(|| {
            nothing("it has no pod at the moment; it is starting or stopping anyway")
                .remedy(format!("see: devctl describe {name}"))
        })
}

/// Waits until the pod's successor is Ready. The status of the DevServer may speak of the old one for a moment.
async fn until_another(session: &Session, old: &Pod, timeout: Duration) -> Outcome {
    let mut pods = watcher::watch_object(session.pods(), &old.name_any())
        .default_backoff()
        .boxed();
    let another = async {
        while let Some(seen) = pods.next().await {
            if let Ok(Some(pod)) = seen
                && pod.uid() != old.uid()
                && is_ready(&pod)
            {
                return;
            }
        }
    };
    tokio::time::timeout(timeout, another).await.map_err(|_| {
        Failure::new(
            Exit::TimedOut,
            format!("no new pod is ready after {} s", timeout.as_secs()),
        )
        .remedy("it goes on restarting; see `devctl describe`, or wait longer with --timeout")
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let mut ready = conditions.filter(|c| c.type_ == "Ready");
    ready.any(|c| c.status == "True")
}
