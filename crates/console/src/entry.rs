//! How a browser comes from the console to the host of an editor or of a port: a nonce there, a session here, a ticket back.
//!
//! ```text
//!  editor host: no cookie ──► sets nonce ──► console /enter?host=…&bind=SHA-256(nonce)
//!  console: session? may they? ──► ticket (encrypted; label, UID, user, bind; 30 s) ──► editor host /.devserver/enter
//!  editor host: nonce fits? ──► its own cookie, for this host alone
//! ```
//!
//! The console's cookie never leaves the console, and a ticket is of no use to a browser that did not ask for it.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, Uri, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    audit::Line,
    config::Config,
    console::Console,
    cookies,
    problem::Problem,
    router::Came,
    seal::{self, Sealer},
    security::local_path,
    session::Session,
    table::{Place, Role, Table},
};

/// Where a ticket is taken.
pub const PATH: &str = "/.devserver/enter";
/// Seconds that a ticket is good for.
const TICKET: i64 = 30;
/// Seconds that the way through the console may take, with a login.
const WAY: u64 = 900;
const TICKET_PURPOSE: &str = "devserver-ticket";

/// Whom the console lets into which editor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ticket {
    expires: i64,
    bind: String,
    path: String,
    entry: Entry,
}

/// Somebody who was let into an editor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// User name as Kubernetes knows it.
    pub user: String,
    /// The label of the host.
    pub label: String,
    /// UID of the DevServer: names are not identity.
    pub uid: String,
    /// When it ends, in seconds since 1970: with the session.
    pub expires: i64,
}

impl Entry {
    /// That of a request to this host, if it has one that still counts.
    pub fn of(headers: &HeaderMap, sealer: &Sealer, label: &str) -> Option<Self> {
        let cookie = cookies::read(headers, cookies::EDITOR)?;
        let entry: Self = sealer.open(cookies::EDITOR, cookie)?;
        (entry.label == label).then_some(entry)
    }

    /// Where it leads, if whoever holds it may still go there.
    pub fn place(&self, table: &Table, now: i64) -> Option<(Place, Role)> {
        let place = table.place(&self.label).filter(|_| now < self.expires)?;
        let role = table.may_enter(&self.user, place)?;
        let is_same = table.server(&place.id)?.uid == self.uid;
        is_same.then(|| (place.clone(), role))
    }
}

/// Which editor somebody wants to enter.
#[derive(Debug, Deserialize)]
pub struct Wish {
    host: String,
    bind: String,
    #[serde(default)]
    path: String,
}

fn address(config: &Config, label: &str, path: &str) -> String {
    format!("https://{label}.{}{path}", config.editor_domain)
}

/// Where the host of that label is.
pub fn host(config: &Config, label: &str) -> String {
    address(config, label, "/")
}

fn bind(nonce: &str) -> String {
    format!("{:x}", Sha256::digest(nonce))
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// At the editor's host, without a cookie: to the console.
pub fn ask(config: &Config, label: &str, uri: &Uri) -> Response {
    let nonce = seal::secret();
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let query = query(&[("host", label), ("bind", &bind(&nonce)), ("path", path)]);
    let mut response =
        Redirect::to(&config.console_address(&format!("/enter?{query}"))).into_response();
    if let Some(cookie) = cookies::set(cookies::NONCE, &nonce, WAY) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// At the console: a ticket for who may enter. Administrators may not by being administrators.
pub async fn grant(
    State(console): State<Arc<Console>>,
    Extension(came): Extension<Came>,
    Extension(session): Extension<Session>,
    Query(wish): Query<Wish>,
) -> Result<Response, Problem> {
    let found = console.ask(|table| {
        let place = table.place(&wish.host)?;
        table.may_enter(&session.user, place)?;
        Some((place.clone(), table.server(&place.id)?.uid.clone()))
    });
    let Some((place, uid)) = found else {
        let line = Line::new("editor_refuse", came.source, "not_found").user(&session.user);
        console.audit.tell(line).await;
        console.metrics.asked("not_found");
        return Err(Problem::not_found());
    };
    let line = Line::new("editor_enter", came.source, "ok")
        .user(&session.user)
        .place(&place);
    console.audit.tell(line).await;
    let ticket = Ticket {
        expires: console.now() + TICKET,
        bind: wish.bind,
        path: local_path(&wish.path).to_owned(),
        entry: Entry {
            user: session.user,
            label: wish.host.clone(),
            uid,
            expires: session.expires,
        },
    };
    let sealed = console
        .sealer
        .seal(TICKET_PURPOSE, &ticket)
        .unwrap_or_default();
    let path = format!("{PATH}?{}", query(&[("ticket", &sealed)]));
    Ok(Redirect::to(&address(&console.config, &wish.host, &path)).into_response())
}

/// At the editor's host, with a ticket: its cookie, for the browser that asked.
pub fn take(console: &Console, label: &str, uri: &Uri, headers: &HeaderMap) -> Response {
    let text = uri.query().unwrap_or_default();
    let sealed = url::form_urlencoded::parse(text.as_bytes()).find(|(key, _)| key == "ticket");
    let ticket: Option<Ticket> =
        sealed.and_then(|(_, text)| console.sealer.open(TICKET_PURPOSE, &text));
    let nonce = cookies::read(headers, cookies::NONCE).unwrap_or_default();
    let now = console.now();
    let fits = |t: &Ticket| {
        t.entry.label == label && now < t.expires && seal::is_same(&bind(nonce), &t.bind)
    };
    let Some(ticket) = ticket.filter(fits) else {
        console.metrics.asked("ticket");
        // Too late, or another browser's: the way begins anew, at the console and with a click.
        return Problem::new(
            http::StatusCode::FORBIDDEN,
            "ticket",
            "This way in has expired",
            "Open the editor again from the console.",
        )
        .into_response();
    };
    let seconds = u64::try_from(ticket.entry.expires - now).unwrap_or_default();
    let mut response = Redirect::to(local_path(&ticket.path)).into_response();
    let sealed = console.sealer.seal(cookies::EDITOR, &ticket.entry);
    let entered = sealed.and_then(|text| cookies::set(cookies::EDITOR, &text, seconds));
    for cookie in [entered, cookies::clear(cookies::NONCE)]
        .into_iter()
        .flatten()
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Server, ServerId};

    #[test]
    fn c13_an_entry_counts_for_its_host_its_server_and_as_long_as_its_user_may() {
        let id = ServerId {
            namespace: "dev-alice".into(),
            name: "box".into(),
        };
        let server = Server {
            uid: "u1".into(),
            owner: Some("alice".into()),
            ..Server::default()
        };
        let mut table = Table::default();
        table.put_server(id.clone(), server.clone());
        let entry = Entry {
            user: "alice".into(),
            label: "box--dev-alice".into(),
            uid: "u1".into(),
            expires: 100,
        };
        assert!(entry.place(&table, 99).is_some());
        assert!(entry.place(&table, 100).is_none(), "the session has ended");
        for other in [
            Entry {
                user: "mallory".into(),
                ..entry.clone()
            },
            Entry {
                uid: "u0".into(),
                ..entry.clone()
            },
            Entry {
                label: "other--dev-alice".into(),
                ..entry.clone()
            },
        ] {
            assert!(other.place(&table, 1).is_none(), "{other:?}");
        }
        let sealer = Sealer::new(&[3; 64]).unwrap();
        let carried = sealer.seal(cookies::EDITOR, &entry).unwrap();
        let headers = |name: &str| {
            let value = http::HeaderValue::try_from(format!("{name}={carried}")).unwrap();
            HeaderMap::from_iter([(header::COOKIE, value)])
        };
        assert_eq!(
            Entry::of(&headers(cookies::EDITOR), &sealer, "box--dev-alice"),
            Some(entry)
        );
        assert_eq!(
            Entry::of(&headers(cookies::EDITOR), &sealer, "box--dev-bob"),
            None
        );
        assert_eq!(
            Session::of(&headers(cookies::SESSION), &sealer, 1),
            None,
            "b4: an entry is no session"
        );
    }
}
