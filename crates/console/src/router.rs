//! From a connection to an answer: whose host it is, where it comes from, who is logged in.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{Method, StatusCode};
use tower::ServiceExt as _;

use crate::{
    console::Console,
    editor, entry,
    hosts::{self, Host, Wrong},
    login, pages,
    problem::Problem,
    security,
    session::Session,
    signpost,
};

/// Longest form.
const LONGEST: usize = 64 * 1024;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The client, as far as it is known.
    pub source: IpAddr,
}

/// Everything, for all hosts.
pub fn router(console: Arc<Console>) -> Router {
    let pages = console_pages(Arc::clone(&console));
    Router::new()
        .fallback(entrance)
        .layer(Extension(pages))
        .with_state(console)
}

#[derive(Clone)]
struct Pages(Router);

fn console_pages(console: Arc<Console>) -> Pages {
    let private = Router::new()
        .route("/", get(pages::list::show))
        .route("/live", get(pages::live::stream))
        .route("/new", get(pages::create::form).post(pages::create::create))
        .route("/environments/{namespace}/{name}", get(pages::show::show))
        .route(
            "/environments/{namespace}/{name}/{action}",
            get(pages::show::confirm).post(pages::actions::act),
        )
        .route("/flavors", get(pages::flavors::show))
        .route("/trash", get(pages::trash::show))
        .route("/trash/{namespace}/{name}", post(pages::trash::undelete))
        .route("/usage", get(pages::usage::show))
        .route("/usage/{form}", get(pages::usage::file))
        .route("/admin/environments", get(pages::admin::environments))
        .route("/admin/users", get(pages::admin::users))
        .route("/enter", get(entry::grant))
        .route("/logout", post(leave))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&console),
            logged_in,
        ));
    let router = private
        .route("/login", get(login::begin))
        .route("/callback", get(login::back))
        .route(devserver_api::signpost::PATH, get(signpost::show))
        .route("/assets/{name}", get(pages::view::serve_asset))
        .fallback(|| async { Problem::not_found() })
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(console);
    Pages(router)
}

async fn leave(
    state: State<Arc<Console>>,
    came: Extension<Came>,
    session: Extension<Session>,
    _: pages::form::Form,
) -> Response {
    login::logout(state, came, session).await
}

/// Which host is meant, and by whom.
async fn entrance(
    State(console): State<Arc<Console>>,
    Extension(pages): Extension<Pages>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let begun = Instant::now();
    let config = &console.config;
    let peer = peer.ip().to_canonical();
    let came = Came {
        peer,
        source: hosts::source(config, peer, request.headers()),
    };
    let host = hosts::host(config, request.uri(), request.headers());
    let plain = hosts::came_plain(config, peer, request.headers());
    let (kind, response) = match host {
        Err(Wrong::Unclear) => ("none", StatusCode::BAD_REQUEST.into_response()),
        Err(Wrong::Foreign) => ("none", StatusCode::MISDIRECTED_REQUEST.into_response()),
        // Cookies are for TLS alone, so nothing would work.
        Ok(Host::Console) if plain => (
            "console",
            Redirect::permanent(&config.console_address("/")).into_response(),
        ),
        Ok(Host::Console) => {
            request.extensions_mut().insert(came);
            ("console", console_answer(pages, request).await)
        }
        Ok(Host::Editor(label)) => (
            "editor",
            editor::serve(Arc::clone(&console), label, came, request).await,
        ),
    };
    console
        .metrics
        .answered(kind, response.status().as_u16(), begun.elapsed());
    response
}

async fn console_answer(pages: Pages, request: Request<Body>) -> Response {
    // A router cannot fail.
    let Ok(mut response) = pages.0.oneshot(request).await;
    security::seal_answer(response.headers_mut());
    response
}

/// Whoever is logged in goes on; others log in first.
async fn logged_in(
    State(console): State<Arc<Console>>,
    Extension(came): Extension<Came>,
    mut request: Request,
    next: Next,
) -> Response {
    let session = Session::of(request.headers(), &console.sealer, console.now());
    let session = session.filter(|s| login::is_still(&console, &came, request.headers(), s));
    if let Some(session) = session {
        request.extensions_mut().insert(session);
        return next.run(request).await;
    }
    let is_look =
        matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() != "/live";
    if !is_look {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "session",
            "You are not logged in any more",
            "Your session has ended. Load the page again to log in; nothing was changed.",
        )
        .into_response();
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("next", path)
        .finish();
    Redirect::to(&format!("/login?{query}")).into_response()
}
