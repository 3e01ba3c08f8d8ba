//! Sizes to choose from, and whether they fit now.

use std::sync::Arc;

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use devserver_api::DevServerFlavor;
use kube::ResourceExt as _;

use crate::{cluster::Cluster, console::Console, problem::Problem, session::Session};

use super::{
    offer,
    view::{self, Frame},
    words::{self, State as Is},
};

struct Row {
    name: String,
    is_default: bool,
    size: String,
    description: Option<String>,
    fits: Is,
    message: Option<String>,
    costs: Vec<String>,
}

#[derive(Template)]
#[template(path = "flavors.html")]
struct Flavors {
    frame: Frame,
    rows: Vec<Row>,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let cluster = Cluster::as_user(&console.client, &session).ok_or_else(Problem::not_found)?;
    let row = |flavor: &DevServerFlavor| Row {
        name: flavor.name_any(),
        is_default: flavor.spec.default,
        size: words::size(flavor),
        description: flavor.spec.description.clone(),
        fits: words::fits(flavor),
        message: flavor.status.as_ref().and_then(|s| s.message.clone()),
        costs: offer::costs(flavor),
    };
    let rows = cluster.flavors().await?.iter().map(row).collect();
    Ok(view::page(&Flavors {
        frame: Frame::new(&console, &session, "flavors"),
        rows,
    }))
}
