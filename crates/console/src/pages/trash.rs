//! Homes whose environments have ended, and the way back.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use devserver_api::{
    DevServer, group,
    trash::{self, Ended},
};
use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    audit::Line, cluster::Cluster, console::Console, problem::Problem, router::Came,
    session::Session, table::ServerId,
};

use super::{
    actions::server_id,
    form::Form,
    view::{self, Frame},
    words,
};

/// A home that is left.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    namespace: String,
    uid: String,
    flavor: Option<String>,
    size: Option<String>,
    ended: String,
    removal: String,
    /// Whether it is known what was asked for, and the home is not on its way out.
    can_return: bool,
}

#[derive(Template)]
#[template(path = "trash.html")]
struct Trash {
    frame: Frame,
    rows: Vec<Row>,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let namespaces: BTreeSet<String> =
        console.ask(|table| table.namespaces(&session.user).map(str::to_owned).collect());
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for namespace in &namespaces {
        // The homes first: an environment that is made meanwhile takes its home out of the list.
        let homes = cluster.homes(namespace).await?;
        let living = cluster.list(namespace).await?;
        rows.extend(left(&homes, &living, now));
    }
    Ok(view::page(&Trash {
        frame: Frame::new(&console, &session, "trash"),
        rows,
    }))
}

fn left(homes: &[PersistentVolumeClaim], living: &[DevServer], now: Timestamp) -> Vec<Row> {
    let living: BTreeSet<String> = living.iter().map(ResourceExt::name_any).collect();
    let mut rows: Vec<Row> = homes
        .iter()
        .filter_map(|home| {
            let name = trash::left_of(home, |name| living.contains(name))?;
            Some(row(name.to_string(), home, now))
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn row(name: String, home: &PersistentVolumeClaim, now: Timestamp) -> Row {
    let (marks, record) = (trash::marks(home), trash::record(home));
    let is_known = record.is_some();
    let is_going = home.metadata.deletion_timestamp.is_some();
    let ago = marks.ended.map(|at| words::relative(at, now));
    Row {
        name,
        namespace: home.namespace().unwrap_or_default(),
        uid: home.uid().unwrap_or_default(),
        can_return: is_known && !is_going,
        flavor: record.map(|record| record.flavor),
        size: trash::size(home).map(|size| size.0.clone()),
        ended: match (marks.because, ago) {
            (Some(Ended::Expired), Some(ago)) => format!("Its time was over, {ago}"),
            (Some(Ended::Deleted), Some(ago)) => format!("It was deleted, {ago}"),
            (_, Some(ago)) => format!("It ended, {ago}"),
            // The operator notes it at its next look, where it keeps records at all.
            (_, None) if is_known => "A moment ago".to_owned(),
            (_, None) => "Nobody noted when".to_owned(),
        },
        removal: match marks.removal {
            _ if is_going => "Being removed".to_owned(),
            Some(at) if at <= now => "Now".to_owned(),
            Some(at) => words::relative(at, now),
            None if is_known && marks.ended.is_none() => "Not known yet".to_owned(),
            None => "Never".to_owned(),
        },
    }
}

/// Makes the environment again, with the home that is left of it.
pub async fn undelete(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Extension(came): Extension<Came>,
    Path((namespace, name)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Problem> {
    let id = server_id(&namespace, &name)?;
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let uid = form.get("uid").unwrap_or_default();
    let done = again(&cluster, &id, uid, &session.user).await;
    let outcome = done
        .as_ref()
        .map_or_else(|problem| problem.reason, |()| "ok");
    console.metrics.wrote("undelete", outcome);
    let line = Line::new("write", came.source, outcome)
        .user(&session.user)
        .action("undelete")
        .server(&id);
    console.audit.tell(line).await;
    done?;
    let page = format!("/environments/{}/{}", id.namespace, id.name);
    Ok(Redirect::to(&page).into_response())
}

async fn again(cluster: &Cluster, id: &ServerId, uid: &str, user: &str) -> Result<(), Problem> {
    let home = cluster.home(id).await?.ok_or_else(lost)?;
    let object = object(&home, id, uid, user)?;
    cluster.create(&id.namespace, &object).await?;
    // Its time may have been over in this very moment.
    let after = cluster.home(id).await?;
    let is_there = |now: &PersistentVolumeClaim| trash::stays(now) && now.uid() == home.uid();
    if after.as_ref().is_some_and(is_there) {
        Ok(())
    } else {
        Err(lost())
    }
}

fn lost() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "home_lost",
        "That home is not there any more",
        "It was removed, or is another one by now. If the environment is made again, it begins with an empty home.",
    )
}

/// The DevServer as it was asked for.
fn object(
    home: &PersistentVolumeClaim,
    id: &ServerId,
    uid: &str,
    user: &str,
) -> Result<Value, Problem> {
    if !trash::stays(home) || home.uid().as_deref() != Some(uid) {
        return Err(lost());
    }
    let record = trash::record(home).ok_or_else(|| {
        Problem::invalid(format!(
            "Nobody noted what was asked for. Its home is there: make a new environment `{}`, and it has it.",
            id.name
        ))
    })?;
    let mut spec = record.spec;
    spec.owner.get_or_insert_with(|| user.to_owned());
    Ok(json!({
        "apiVersion": group::API_VERSION,
        "kind": "DevServer",
        "metadata": {"name": id.name, "namespace": id.namespace},
        "spec": spec,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(name: &str, annotations: &Value) -> PersistentVolumeClaim {
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("home-{name}-0"), "namespace": "dev-alice", "uid": "u1", "annotations": annotations,
                "labels": {"devserver.io/name": name, "devserver.io/uid": "1"},
            },
            "spec": {"resources": {"requests": {"storage": "10Gi"}}},
        }))
        .unwrap()
    }

    fn record() -> String {
        let spec = json!({"owner": "alice", "image": "debian:13", "ssh": {}});
        json!({"uid": "1", "flavor": "small", "spec": spec}).to_string()
    }

    #[test]
    fn what_is_left_is_told_with_when_it_goes_and_whether_it_can_return() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let known = json!({
            "devserver.io/devserver": record(), "devserver.io/ended": "2026-01-01T00:00:00Z",
            "devserver.io/ended-because": "Deleted", "devserver.io/removal": "2026-01-03T00:00:00Z",
        });
        let homes = [home("b", &json!({})), home("a", &known), home("c", &known)];
        let living = DevServer::new("c", devserver_api::DevServerSpec::default());
        let rows = left(&homes, &[living], now);
        let told: Vec<_> = rows
            .iter()
            .map(|r| {
                (
                    r.name.as_str(),
                    r.ended.as_str(),
                    r.removal.as_str(),
                    r.can_return,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("a", "It was deleted, 1d 0h ago", "in 1d 0h", true),
                ("b", "Nobody noted when", "Never", false),
            ]
        );
        assert_eq!(rows[0].size.as_deref(), Some("10Gi"));
    }

    #[test]
    fn it_is_made_again_with_what_its_home_remembers_and_never_with_another_home() {
        let id = ServerId {
            namespace: "dev-alice".into(),
            name: "a".into(),
        };
        let known = home("a", &json!({"devserver.io/devserver": record()}));
        let made = object(&known, &id, "u1", "alice").unwrap();
        assert_eq!(
            made["spec"],
            json!({"owner": "alice", "image": "debian:13", "ssh": {}})
        );
        let refused = |home, uid| object(home, &id, uid, "alice").unwrap_err().reason;
        assert_eq!(refused(&known, "u2"), "home_lost");
        assert_eq!(refused(&home("a", &json!({})), "u1"), "invalid");
    }
}
