//! One environment.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use devserver_api::{DevServer, SshMode, condition};
use futures::future::join3;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;

use crate::{
    cluster::Cluster, console::Console, problem::Problem, session::Session, table::ServerId,
};

use super::{
    actions::server_id,
    list::Card,
    ports,
    timeline::{self, Step},
    view::{self, Frame},
    words,
};

/// A condition, in words.
struct Condition {
    text: String,
    holds: bool,
    message: String,
    since: String,
}

/// Something that happened.
struct Happened {
    when: String,
    is_warning: bool,
    reason: String,
    message: String,
}

#[derive(Template)]
#[template(path = "show.html")]
struct Show {
    frame: Frame,
    card: Card,
    stopped_by: String,
    facts: Vec<(&'static str, String)>,
    commands: Vec<String>,
    ports: Vec<ports::Shown>,
    steps: Vec<Step>,
    conditions: Vec<Condition>,
    events: Vec<Happened>,
    log: Option<String>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    frame: Frame,
    card: Card,
    keeps_home: bool,
}

/// Most events that are shown.
const EVENTS: usize = 30;

/// Its page.
pub async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = server_id(&namespace, &name)?;
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let server = cluster.get(&id).await?;
    let now = Timestamp::now();
    let card = Card::of(&console, &session, &server, now).ok_or_else(Problem::not_found)?;
    let (pod, events, log) = join3(
        cluster.pod(&server, &id),
        cluster.events(&id),
        cluster.log(&id),
    )
    .await;
    let steps = if server.spec.suspend {
        Vec::new()
    } else {
        timeline::steps(&server, pod.as_ref(), now)
    };
    Ok(view::page(&Show {
        frame: Frame::new(&console, &session, "environments"),
        stopped_by: words::stopped_by(&server),
        facts: facts(&server, &card, now),
        commands: commands(&server, &id, &session.user),
        ports: ports::shown(&console, &session, &server, &id),
        conditions: conditions(&server, now),
        events: happened(&server, events, now),
        log: log.filter(|text| !text.trim().is_empty()),
        steps,
        card,
    }))
}

/// Asks once more before it is deleted.
pub async fn confirm(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Path((namespace, name, action)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    // The only one that asks.
    if action != "delete" {
        return Err(Problem::not_found());
    }
    let id = server_id(&namespace, &name)?;
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let server = cluster.get(&id).await?;
    let card =
        Card::of(&console, &session, &server, Timestamp::now()).ok_or_else(Problem::not_found)?;
    let retention = server
        .spec
        .lifecycle
        .as_ref()
        .and_then(|l| l.volume_retention);
    let keeps_home = retention != Some(devserver_api::VolumeRetention::Delete);
    let frame = Frame::new(&console, &session, "environments");
    Ok(view::page(&Confirm {
        frame,
        card,
        keeps_home,
    }))
}

fn facts(server: &DevServer, card: &Card, now: Timestamp) -> Vec<(&'static str, String)> {
    let spec = &server.spec;
    let age = server
        .creation_timestamp()
        .map(|t| words::relative(t.0, now));
    [
        ("Flavor", card.flavor.clone()),
        (
            "Image",
            spec.image
                .clone()
                .or_else(|| Some("the flavor's".to_owned())),
        ),
        (
            "Home",
            spec.persistent_home_size
                .clone()
                .or_else(|| Some("the platform's default size".to_owned())),
        ),
        ("Owner", spec.owner.clone()),
        ("Team", spec.team.clone()),
        ("Made", age),
        (
            "Deleted",
            card.end
                .clone()
                .or_else(|| Some("never by itself".to_owned())),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// How to reach it by ssh, to be copied.
fn commands(server: &DevServer, id: &ServerId, user: &str) -> Vec<String> {
    if server.spec.ssh.mode == Some(SshMode::Disabled) {
        return Vec::new();
    }
    let mut commands = vec![format!(
        "devctl ssh {} --namespace {}",
        id.name, id.namespace
    )];
    if let Some(ssh) = server.status.as_ref().and_then(|s| s.ssh.as_ref()) {
        if let Some(gateway) = &ssh.gateway {
            commands.push(format!(
                "ssh -J {user}@{}:{} {}@{}.{}",
                gateway.host, gateway.port, ssh.user, id.name, id.namespace
            ));
        } else if let (Some(host), port) = (&ssh.host, ssh.node_port.unwrap_or(22)) {
            commands.push(format!("ssh -p {port} {}@{host}", ssh.user));
        }
    }
    commands
}

/// Some are good when they do not hold, and none is while nobody knows.
fn is_good(kind: &str, status: &str) -> bool {
    match kind {
        condition::RESTART_PENDING | condition::EXPIRING | condition::IDLE => status == "False",
        _ => status == "True",
    }
}

fn conditions(server: &DevServer, now: Timestamp) -> Vec<Condition> {
    let advice = server.status.iter().flat_map(|s| &s.advice);
    let advice = advice.map(|advice| Condition {
        text: words::advice(&advice.reason),
        holds: false,
        message: format!("{}; {}", advice.message, advice.remedy),
        since: String::new(),
    });
    let all = server.status.iter().flat_map(|s| &s.conditions);
    let all = all.map(|c| Condition {
        text: words::condition(&c.type_, c.status == "True"),
        holds: is_good(&c.type_, &c.status),
        message: c.message.clone(),
        since: words::relative(c.last_transition_time.0, now),
    });
    advice.chain(all).collect()
}

fn time(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|s| s.last_observed_time.as_ref())
        .map(|t| t.0);
    series
        .or(event.last_timestamp.as_ref().map(|t| t.0))
        .or(event.event_time.as_ref().map(|t| t.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|t| t.0))
}

/// The newest first, and none of an earlier environment of the name.
fn happened(server: &DevServer, events: Vec<Event>, now: Timestamp) -> Vec<Happened> {
    let created = server.creation_timestamp().map(|t| t.0);
    let mut all: Vec<(Timestamp, Event)> = events
        .into_iter()
        .filter_map(|e| Some((time(&e)?, e)))
        .collect();
    all.retain(|(at, _)| Some(*at) >= created);
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let shown = all.into_iter().take(EVENTS);
    shown
        .map(|(at, event)| Happened {
            when: words::relative(at, now),
            is_warning: event.type_.as_deref() == Some("Warning"),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        })
        .collect()
}
