//! What people do with an environment. Each change names the UID that the page was about.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use devserver_api::{
    DevServer, duration, group,
    names::{self, ServerName},
    suspension::value_of_user,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    audit::Line, cluster::Cluster, console::Console, problem::Problem, router::Came,
    security::local_path, session::Session, table::ServerId,
};

use super::{form::Form, ports};

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Suspend,
    Resume,
    Extend,
    Restart,
    Delete,
    ShowPort,
    HidePort,
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Suspend,
        Self::Resume,
        Self::Extend,
        Self::Restart,
        Self::Delete,
        Self::ShowPort,
        Self::HidePort,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Extend => "extend",
            Self::Restart => "restart",
            Self::Delete => "delete",
            Self::ShowPort => "show-port",
            Self::HidePort => "hide-port",
        }
    }
}

/// The server of an address, if it can be one.
pub fn server_id(namespace: &str, name: &str) -> Result<ServerId, Problem> {
    let is_one = ServerName::parse(name).is_ok() && names::is_subdomain(namespace);
    let id = || ServerId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    is_one.then(id).ok_or_else(Problem::not_found)
}

/// Does it, as the user.
pub async fn act(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Extension(came): Extension<Came>,
    Path((namespace, name, word)): Path<(String, String, String)>,
    form: Form,
) -> Result<Response, Problem> {
    let id = server_id(&namespace, &name)?;
    let action = Action::ALL
        .into_iter()
        .find(|a| a.word() == word)
        .ok_or_else(Problem::not_found)?;
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let done = perform(&cluster, &id, action, &form, &session.user).await;
    let outcome = done
        .as_ref()
        .map_or_else(|problem| problem.reason, |()| "ok");
    console.metrics.wrote(action.word(), outcome);
    let line = Line::new("write", came.source, outcome)
        .user(&session.user)
        .action(action.word())
        .server(&id);
    console.audit.tell(line).await;
    done?;
    let page = format!("/environments/{}/{}", id.namespace, id.name);
    let next = match action {
        Action::Delete => "/",
        _ => form.get("next").map_or(page.as_str(), local_path),
    };
    Ok(Redirect::to(next).into_response())
}

/// Changes it by what it is. What others have written meanwhile, such as the operator a status, is read and built upon.
async fn change(
    cluster: &Cluster,
    id: &ServerId,
    uid: &str,
    patch: impl Fn(&DevServer) -> Result<Value, Problem>,
) -> Result<(), Problem> {
    let mut more = 4;
    loop {
        let server = cluster.get(id).await?;
        let is_the_same = server.uid().as_deref() == Some(uid);
        match cluster.patch(id, &patch(&server)?).await {
            Err(problem) if problem.status == StatusCode::CONFLICT && is_the_same && more > 0 => {
                more -= 1;
            }
            done => return done,
        }
    }
}

/// Stops it in the name of somebody, or starts it. Who stopped it is told, so that nothing but a wish of theirs starts it again.
fn suspension(uid: &str, by: Option<&str>) -> Value {
    let annotations = json!({group::ANNOTATION_SUSPENDED_BY: by.map(value_of_user)});
    json!({"metadata": {"uid": uid, "annotations": annotations}, "spec": {"suspend": by.is_some()}})
}

async fn perform(
    cluster: &Cluster,
    id: &ServerId,
    action: Action,
    form: &Form,
    user: &str,
) -> Result<(), Problem> {
    let uid = form.get("uid").ok_or_else(|| {
        Problem::invalid(
            "The form does not say which environment it is about; load the page again.",
        )
    })?;
    match action {
        Action::Suspend => cluster.patch(id, &suspension(uid, Some(user))).await,
        Action::Resume => cluster.patch(id, &suspension(uid, None)).await,
        Action::Extend => {
            let hours = form
                .get("hours")
                .and_then(|text| text.parse().ok())
                .filter(|hours| (1..=720).contains(hours));
            let hours =
                hours.ok_or_else(|| Problem::invalid("Say by how many hours: 1 to 720."))?;
            change(cluster, id, uid, |s| extension(s, uid, hours)).await
        }
        Action::Restart => {
            let server = cluster.get(id).await?;
            let pod = cluster.pod(&server, id).await.and_then(|pod| pod.uid());
            let pod = pod.ok_or_else(|| {
                Problem::invalid(
                    "It has no machine at the moment; it is starting or stopping anyway.",
                )
            })?;
            cluster.patch(id, &json!({"metadata": {"uid": uid, "annotations": {group::ANNOTATION_RESTART: pod}}})).await
        }
        Action::ShowPort => change(cluster, id, uid, |s| ports::declare(s, uid, form)).await,
        Action::HidePort => change(cluster, id, uid, |s| ports::withdraw(s, uid, form)).await,
        Action::Delete => {
            let is_meant = form.get("confirm").is_some_and(|typed| typed == id.name);
            if !is_meant {
                return Err(Problem::invalid(format!(
                    "To delete it, type its name: {}",
                    id.name
                )));
            }
            cluster.delete(id, uid).await
        }
    }
}

/// The end moved by so many hours, counted from the creation as the resource has it.
fn extension(server: &DevServer, uid: &str, hours: i64) -> Result<Value, Problem> {
    let end = server
        .status
        .as_ref()
        .and_then(|s| s.expiration_time.as_ref())
        .map(|t| t.0);
    let (Some(end), Some(created)) = (end, server.creation_timestamp().map(|t| t.0)) else {
        return Err(Problem::invalid(
            "It has no end: it lives until it is deleted.",
        ));
    };
    let after: Option<Timestamp> = end.checked_add(SignedDuration::from_hours(hours)).ok();
    let seconds =
        after.and_then(|after| u64::try_from(after.duration_since(created).as_secs()).ok());
    let seconds = seconds.filter(|s| *s <= duration::MAX_SECONDS);
    let seconds =
        seconds.ok_or_else(|| Problem::invalid("That is further away than anything can live."))?;
    Ok(json!({
        // With the version: two clicks at once extend once.
        "metadata": {"uid": uid, "resourceVersion": server.resource_version()},
        "spec": {"lifecycle": {"timeToLive": duration::go_syntax(seconds)}},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_moved_and_counted_from_the_creation() {
        let server = |ends: Option<&str>| -> DevServer {
            serde_json::from_value(json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}},
                "metadata": {"name": "a", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "status": {"expirationTime": ends},
            }))
            .unwrap()
        };
        let patch = extension(&server(Some("2026-01-01T08:00:00Z")), "u1", 4).unwrap();
        assert_eq!(patch["spec"]["lifecycle"]["timeToLive"], "12h");
        assert_eq!(
            patch["metadata"],
            json!({"uid": "u1", "resourceVersion": "7"})
        );
        assert_eq!(
            extension(&server(None), "u1", 4).unwrap_err().reason,
            "invalid"
        );
    }

    #[test]
    fn what_is_no_name_is_no_environment() {
        assert!(server_id("dev-alice", "box").is_ok());
        for (namespace, name) in [
            ("dev-alice", "../x"),
            ("a/b", "box"),
            ("", "box"),
            ("dev-alice", "B"),
            ("dev-alice", "a?b"),
        ] {
            assert_eq!(server_id(namespace, name).unwrap_err().reason, "not_found");
        }
    }
}
