//! Templates and what is served beside them. Whatever comes from outside is escaped by the templates.

use askama::Template;
use axum::{
    extract::Path,
    response::{Html, IntoResponse, Response},
};
use http::{StatusCode, header};

use crate::{
    console::Console,
    problem::Problem,
    session::Session,
    table::{Away, Place, ServerId, Target},
};

use super::words::State;

const STYLE: &str = include_str!("../../static/console.css");
const SCRIPT: &str = include_str!("../../static/console.js");
const ICON: &str = include_str!("../../static/icon.svg");

/// What all pages of somebody who is logged in have in common.
#[derive(Clone, Debug)]
pub struct Frame {
    /// User name.
    pub user: String,
    /// Whether the pages for administrators are offered.
    pub is_admin: bool,
    /// Whether there is a page of usage and costs.
    pub has_usage: bool,
    /// What forms send back.
    pub csrf: String,
    /// Which entry of the menu this is.
    pub section: &'static str,
}

impl Frame {
    /// For this session and this entry of the menu.
    pub fn new(console: &Console, session: &Session, section: &'static str) -> Self {
        Self {
            user: session.user.clone(),
            is_admin: session.is_admin,
            has_usage: console.ledger.is_some(),
            csrf: session.csrf.clone(),
            section,
        }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    problem: &'a Problem,
}

#[derive(Template)]
#[template(path = "farewell.html")]
struct Farewell;

#[derive(Template)]
#[template(path = "away.html")]
struct AwayPage<'a> {
    id: &'a ServerId,
    port: Option<u16>,
    title: &'static str,
    text: &'static str,
    state: State,
    reloads: bool,
    console: &'a str,
}

/// The page of a template.
pub fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        // Writing to a String cannot fail, and templates do nothing else.
        Err(error) => {
            tracing::error!(%error, "failed to fill in a template");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The page of a problem.
pub fn problem(problem: &Problem) -> Response {
    page(&ProblemPage { problem })
}

/// The page after the end of a session.
pub fn farewell() -> Response {
    page(&Farewell)
}

/// The page of an editor or a port that does not answer.
pub fn away(place: &Place, away: Away, console: &str) -> Response {
    let port = match place.port {
        Target::Editor => None,
        Target::Port(number) => Some(number),
    };
    let (title, text, state, reloads) = words_of(away, port.is_some());
    page(&AwayPage {
        id: &place.id,
        port,
        title,
        text,
        state,
        reloads,
        console,
    })
}

fn words_of(away: Away, is_port: bool) -> (&'static str, &'static str, State, bool) {
    let is = |word, tone| State { word, tone };
    match away {
        Away::Suspended => (
            "This environment is stopped",
            "Its home is kept. Start it in the console; this page does not start it by itself.",
            is("Stopped", "idle"),
            false,
        ),
        Away::Starting if is_port => (
            "This environment is starting",
            "This page looks again every two seconds.",
            is("Starting", "busy"),
            true,
        ),
        Away::Silent => (
            "Nothing answers at this port",
            "Start your program in the environment. It must listen at all addresses (0.0.0.0), not at 127.0.0.1 alone. This page looks again every two seconds.",
            is("Running", "good"),
            true,
        ),
        Away::NoPort => (
            "This port is not shown",
            "It is none of the ports that the environment declares, or a program of the platform listens there.",
            is("Refused", "bad"),
            false,
        ),
        Away::Starting => (
            "The editor is starting",
            "This page looks again every two seconds and opens the editor as soon as it answers.",
            is("Starting", "busy"),
            true,
        ),
        Away::Ends => (
            "This environment is being deleted",
            "Its home stays unless its settings say otherwise.",
            is("Being deleted", "idle"),
            false,
        ),
        Away::Failed => (
            "This environment could not start",
            "The console says why and what to do.",
            is("Failed", "bad"),
            false,
        ),
        Away::NoEditor => (
            "This environment has no editor",
            "It was made without one. Reach it by ssh, or make one with an editor.",
            is("Running", "good"),
            false,
        ),
        Away::Address => (
            "This environment cannot be reached",
            "Its address is none that may be reached from here. Tell an administrator.",
            is("Refused", "bad"),
            false,
        ),
    }
}

/// A file that pages need, by its name.
pub fn asset(name: &str) -> Response {
    let (kind, text) = match name {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let fresh = "public, max-age=300, must-revalidate";
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, fresh),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ],
        text,
    )
        .into_response()
}

/// The same as a page of the console.
pub async fn serve_asset(Path(name): Path<String>) -> Response {
    asset(&name)
}
