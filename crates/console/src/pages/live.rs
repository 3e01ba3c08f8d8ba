//! Tells an open page that something of its user's has changed, by server-sent events. What it is, the page asks itself.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};

use crate::{console::Console, metrics::Counted, problem::Problem, session::Session};

/// Shortest time between two words, so that a storm of changes is one.
const CALM: Duration = Duration::from_millis(500);
/// Below what proxies wait for.
const PING: Duration = Duration::from_secs(20);

/// One word at each change, until the session ends.
pub async fn stream(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let connection = console
        .connect(&session.user)
        .ok_or_else(Problem::too_many)?;
    let counted = Counted::new(&console.metrics.listeners);
    let last = fingerprint(&console, &session);
    let begin = (console, session, last, (connection, counted));
    let events = stream::unfold(begin, |(console, session, last, held)| async move {
        let next = changed(&console, &session, &last).await?;
        let event = Ok(Event::default().event("changed").data("-"));
        Some((event, (console, session, next, held)))
    });
    let keep = KeepAlive::new().interval(PING);
    Ok(Sse::new(events.boxed()).keep_alive(keep))
}

/// What the user's pages depend on.
type Fingerprint = Vec<(String, String, bool)>;

fn fingerprint(console: &Console, session: &Session) -> Fingerprint {
    console.ask(|table| {
        let servers = table.servers_of(&session.user).into_iter();
        servers
            .map(|(id, (server, _))| {
                (
                    id.to_string(),
                    format!("{} {}", server.uid, server.version),
                    table.has_editor(id),
                )
            })
            .collect()
    })
}

async fn changed(console: &Console, session: &Session, last: &Fingerprint) -> Option<Fingerprint> {
    let mut table = console.changes();
    loop {
        let left = u64::try_from(session.expires - console.now()).ok()?;
        tokio::select! {
            () = console.ending.cancelled() => return None,
            () = tokio::time::sleep(Duration::from_secs(left)) => return None,
            told = table.changed() => told.ok()?,
        }
        let now = fingerprint(console, session);
        if now != *last {
            tokio::time::sleep(CALM).await;
            return Some(fingerprint(console, session));
        }
    }
}
