//! What administrators see: all environments, and users with their quotas. Whether somebody is one, RBAC says again.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::ResourceExt as _;
use serde::Deserialize;

use crate::{cluster::Cluster, console::Console, problem::Problem, session::Session};

use super::{
    list::Card,
    view::{self, Frame},
};

/// What is looked for.
#[derive(Debug, Deserialize)]
pub struct Filter {
    #[serde(default)]
    search: String,
}

#[derive(Template)]
#[template(path = "all.html")]
struct All {
    frame: Frame,
    search: String,
    next: String,
    cards: Vec<Card>,
    total: usize,
}

/// One user.
struct Row {
    name: String,
    namespace: Option<String>,
    phase: String,
    message: Option<String>,
    teams: String,
    environments: usize,
    quota: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    frame: Frame,
    rows: Vec<Row>,
}

fn cluster(console: &Console, session: &Session) -> Result<Cluster, Problem> {
    let admin = Some(session).filter(|s| s.is_admin);
    admin
        .and_then(|s| Cluster::as_user(&console.client, s))
        .ok_or_else(Problem::not_found)
}

/// All environments, with a filter.
pub async fn environments(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    let servers = cluster(&console, &session)?.list_all().await?;
    let now = Timestamp::now();
    let wanted = filter.search.trim().to_lowercase();
    let fits = |card: &Card| {
        let owner = card.owner.as_deref().unwrap_or(&session.user);
        let texts = [
            card.name.as_str(),
            &card.namespace,
            owner,
            card.state.word,
            card.flavor.as_deref().unwrap_or_default(),
        ];
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    let total = servers.len();
    let mut cards: Vec<Card> = servers
        .iter()
        .filter_map(|s| Card::of(&console, &session, s, now))
        .filter(fits)
        .collect();
    cards.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("search", &filter.search)
        .finish();
    Ok(view::page(&All {
        frame: Frame::new(&console, &session, "all"),
        next: format!("/admin/environments?{query}"),
        search: filter.search,
        cards,
        total,
    }))
}

/// Users and what they use of their quotas.
pub async fn users(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let cluster = cluster(&console, &session)?;
    let (users, quotas) = (cluster.users().await?, cluster.quotas().await?);
    let mut by_namespace: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for quota in &quotas {
        let namespace = quota.namespace().unwrap_or_default();
        by_namespace
            .entry(namespace)
            .or_default()
            .extend(used(quota));
    }
    let rows = users.into_iter().map(|user| {
        let status = user.status.clone().unwrap_or_default();
        let environments = console.ask(|table| {
            let all = table.servers_of(&user.spec.username);
            all.values()
                .filter(|(_, role)| *role == crate::table::Role::Owner)
                .count()
        });
        Row {
            quota: status
                .namespace
                .as_ref()
                .and_then(|n| by_namespace.get(n))
                .cloned()
                .unwrap_or_default(),
            phase: status.phase.unwrap_or_else(|| "Pending".to_owned()),
            message: status.message,
            namespace: status.namespace,
            teams: user.spec.teams.join(", "),
            name: user.spec.username,
            environments,
        }
    });
    Ok(view::page(&Users {
        rows: rows.collect(),
        frame: Frame::new(&console, &session, "users"),
    }))
}

fn used(quota: &ResourceQuota) -> Vec<(String, String)> {
    let status = quota.status.clone().unwrap_or_default();
    let used = status.used.unwrap_or_default();
    let hard = status.hard.unwrap_or_default().into_iter();
    hard.map(|(key, hard)| {
        let used = used.get(&key).map_or("0", |q| q.0.as_str());
        let text = format!("{used} of {}", hard.0);
        (key, text)
    })
    .collect()
}
