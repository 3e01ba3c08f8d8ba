//! Login and logout.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::{
    audit::Line,
    config,
    console::Console,
    cookies,
    identity::{Identity, Refused},
    oidc::{OidcError, Pending, Provider, Told},
    problem::Problem,
    router::Came,
    seal,
    security::local_path,
    session::Session,
};

/// Seconds that a login may take at the provider.
const PATIENCE: i64 = 600;

/// Where to go after the login.
#[derive(Debug, Deserialize)]
pub struct Begin {
    #[serde(default)]
    next: String,
}

/// What comes back from the provider.
#[derive(Debug, Deserialize)]
pub struct Back {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Begins a login.
pub async fn begin(
    State(console): State<Arc<Console>>,
    Extension(came): Extension<Came>,
    Query(query): Query<Begin>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !console.may(&console.logins, came.source) {
        console.metrics.logged_in("rate");
        return Err(Problem::too_many());
    }
    let next = local_path(&query.next).to_owned();
    let Some(provider) = &console.provider else {
        return forwarded(&console, &came, &headers, &next).await;
    };
    let now = console.now();
    let (address, pending) = match provider.begin(next, now).await {
        Ok(begun) => begun,
        Err(error) => return Err(failed(&console, &came, &error).await),
    };
    let sealed = console.sealer.seal(cookies::LOGIN, &pending);
    let cookie =
        sealed.and_then(|text| cookies::set(cookies::LOGIN, &text, PATIENCE.unsigned_abs()));
    let mut response = Redirect::to(&address).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Ends a login that the provider has answered.
pub async fn back(
    State(console): State<Arc<Console>>,
    Extension(came): Extension<Came>,
    Query(query): Query<Back>,
    headers: HeaderMap,
) -> Response {
    let ended = end(&console, &came, query, &headers).await;
    let mut response = ended.unwrap_or_else(IntoResponse::into_response);
    // Whatever came of it, this login is over.
    if let Some(cookie) = cookies::clear(cookies::LOGIN) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn end(
    console: &Console,
    came: &Came,
    query: Back,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if !console.may(&console.logins, came.source) {
        console.metrics.logged_in("rate");
        return Err(Problem::too_many());
    }
    let provider = console.provider.as_ref().ok_or_else(Problem::not_found)?;
    let pending: Option<Pending> = cookies::read(headers, cookies::LOGIN)
        .and_then(|text| console.sealer.open(cookies::LOGIN, text));
    let state = query.state.as_deref().unwrap_or_default();
    let now = console.now();
    let pending = pending.filter(|p| seal::is_same(&p.state, state) && now - p.issued <= PATIENCE);
    let Some(pending) = pending.filter(|_| is_of(provider, query.iss.as_deref())) else {
        return Err(refuse(console, came, "state", None).await);
    };
    let Some(code) = query.code.filter(|_| query.error.is_none()) else {
        return Err(refuse(console, came, "provider", None).await);
    };
    let told = match provider.finish(code, &pending).await {
        Ok(told) => told,
        Err(error) => return Err(failed(console, came, &error).await),
    };
    admit(console, came, &told, local_path(&pending.next)).await
}

fn is_of(provider: &Provider, issuer: Option<&str>) -> bool {
    issuer.is_none_or(|issuer| provider.is_issuer(issuer))
}

/// By the headers of a trusted proxy.
async fn forwarded(
    console: &Console,
    came: &Came,
    headers: &HeaderMap,
    next: &str,
) -> Result<Response, Problem> {
    let Some(told) = told_by_proxy(console, came, headers) else {
        return Err(refuse(console, came, "proxy", None).await);
    };
    admit(console, came, &told, next).await
}

/// Who asks, as a trusted proxy says; nothing from anybody else.
pub fn told_by_proxy(console: &Console, came: &Came, headers: &HeaderMap) -> Option<Told> {
    let config::Provider::ForwardAuth(names) = &console.config.provider else {
        return None;
    };
    if !console.config.is_trusted(came.peer) {
        return None;
    }
    let mut all = headers.get_all(&names.user).iter();
    let name = all.next()?.to_str().ok()?.to_owned();
    // Two of them: the client may have written one.
    if all.next().is_some() {
        return None;
    }
    let groups = names
        .groups
        .as_ref()
        .and_then(|name| headers.get(name)?.to_str().ok());
    let groups = groups
        .unwrap_or_default()
        .split(',')
        .map(|g| g.trim().to_owned());
    Some(Told {
        name,
        groups: groups.filter(|g| !g.is_empty()).collect(),
    })
}

/// Whether the proxy still says the same person as at the login.
pub fn is_still(console: &Console, came: &Came, headers: &HeaderMap, session: &Session) -> bool {
    if matches!(console.config.provider, config::Provider::Oidc(_)) {
        return true;
    }
    let told = told_by_proxy(console, came, headers);
    let identity =
        told.and_then(|told| Identity::judge(&console.config, &told.name, &told.groups).ok());
    identity.is_some_and(|i| i.user == session.user && i.is_admin == session.is_admin)
}

async fn admit(
    console: &Console,
    came: &Came,
    told: &Told,
    next: &str,
) -> Result<Response, Problem> {
    let identity = match Identity::judge(&console.config, &told.name, &told.groups) {
        Ok(identity) => identity,
        Err(refused) => return Err(not_allowed(console, came, told, refused).await),
    };
    let session = Session::begin(identity, console.now(), console.config.session_lifetime);
    let line = Line::new("login", came.source, "ok").user(&session.user);
    console.audit.tell(line).await;
    console.metrics.logged_in("ok");
    let mut response = Redirect::to(next).into_response();
    if let Some(cookie) = session.cookie(&console.sealer) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn not_allowed(console: &Console, came: &Came, told: &Told, refused: Refused) -> Problem {
    let problem = refuse(console, came, refused.reason(), Some(&told.name)).await;
    Problem {
        text: format!("{refused}. Ask an administrator."),
        ..problem
    }
}

async fn refuse(
    console: &Console,
    came: &Came,
    reason: &'static str,
    user: Option<&str>,
) -> Problem {
    let mut line = Line::new("login_failure", came.source, reason);
    if let Some(user) = user {
        line = line.user(user);
    }
    console.audit.tell(line).await;
    console.metrics.logged_in(reason);
    Problem::new(
        StatusCode::FORBIDDEN,
        reason,
        "You could not be logged in",
        "The login took too long, was begun in another browser, or was refused by the identity provider. Begin again.",
    )
}

async fn failed(console: &Console, came: &Came, error: &OidcError) -> Problem {
    tracing::warn!(%error, "failed to log somebody in");
    let (reason, is_away) = match error {
        OidcError::Away(_) => ("provider_away", true),
        OidcError::Refused(_) => ("provider", false),
        OidcError::Token(_) => ("token", false),
        OidcError::Claim(_) => ("claim", false),
    };
    let problem = refuse(console, came, reason, None).await;
    if is_away {
        Problem::provider_away()
    } else {
        problem
    }
}

/// Ends the session of this browser.
pub async fn logout(
    State(console): State<Arc<Console>>,
    Extension(came): Extension<Came>,
    Extension(session): Extension<Session>,
) -> Response {
    let line = Line::new("logout", came.source, "ok").user(&session.user);
    console.audit.tell(line).await;
    let mut response = crate::pages::view::farewell();
    if let Some(cookie) = cookies::clear(cookies::SESSION) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
