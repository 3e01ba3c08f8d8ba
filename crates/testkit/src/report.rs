//! What a failing test left behind, printed before it is removed.

use std::{fmt::Write as _, path::Path};

use devserver_api::DevServer;
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{ResourceExt as _, api::ListParams};

use crate::{Scene, canonical};

/// Lines of an operator's log that are shown.
const LOG_LINES: usize = 60;

/// Prints DevServers, objects, pods, events, and what the operators did and said.
#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it only for tests that fail"
)]
pub async fn print(scene: &Scene, sentence: &str) {
    let mut text = format!("──── left by: {sentence} ({}) ────\n", scene.namespace());
    devservers(scene, &mut text).await;
    objects(scene, &mut text).await;
    events(scene, &mut text).await;
    for operator in scene.operators() {
        let _ = writeln!(
            text,
            "── writes and faults\n{}",
            operator.trace().tail(LOG_LINES)
        );
        let _ = writeln!(
            text,
            "── end of the operator's log\n{}",
            tail(operator.log())
        );
    }
    eprintln!("{text}────");
}

async fn devservers(scene: &Scene, text: &mut String) {
    let Ok(list) = scene.api::<DevServer>().list(&ListParams::default()).await else {
        return;
    };
    for server in list {
        let spec = serde_json::to_string(&server.spec).unwrap_or_default();
        let status = serde_json::to_string_pretty(&server.status).unwrap_or_default();
        let _ = writeln!(
            text,
            "── DevServer {}\nspec {spec}\nstatus {status}",
            server.name_any()
        );
    }
}

async fn objects(scene: &Scene, text: &mut String) {
    let state = canonical::state(&scene.client(), scene.namespace())
        .await
        .unwrap_or_default();
    let names: Vec<&String> = state
        .as_object()
        .map(|map| map.keys().collect())
        .unwrap_or_default();
    let _ = writeln!(text, "── objects: {names:?}");
    let Ok(pods) = scene.api::<Pod>().list(&ListParams::default()).await else {
        return;
    };
    for pod in pods {
        let status = serde_json::to_string(&pod.status).unwrap_or_default();
        let _ = writeln!(text, "── Pod {} {status}", pod.name_any());
    }
}

async fn events(scene: &Scene, text: &mut String) {
    let Ok(list) = scene.api::<Event>().list(&ListParams::default()).await else {
        return;
    };
    for event in list {
        let about = event.regarding.as_ref();
        let kind = about.and_then(|r| r.kind.as_deref()).unwrap_or_default();
        let name = about.and_then(|r| r.name.as_deref()).unwrap_or_default();
        let reason = event.reason.as_deref().unwrap_or_default();
        let note = event.note.as_deref().unwrap_or_default();
        let _ = writeln!(text, "── event {kind}/{name} {reason}: {note}");
    }
}

fn tail(log: &Path) -> String {
    let all = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = all.lines().collect();
    lines
        .get(lines.len().saturating_sub(LOG_LINES)..)
        .unwrap_or_default()
        .join("\n")
}
