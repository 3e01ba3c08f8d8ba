//! Websockets between browsers and environments: whoever has one is looked at again and again, as long as it is open.
//!
//! ```text
//! handshake ─► both ends ─► relay: frames as they come, pings between, a last word with a code
//!                              ▲ cut: the right to it has ended, or this replica ends
//! ```

mod frames;
mod handshake;
mod relay;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{Request, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

use self::{
    handshake::Answer,
    relay::{Ended, Pace, Why},
};
use crate::{
    audit::Line,
    console::{Connection, Console},
    editor::Visit,
    entry::Entry,
    metrics::Counted,
};

/// Longest wait for the pod's word, and for the two ends after it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the right to an open websocket is looked at; with the watch's delay, the time in which it is cut.
const RECHECK: Duration = Duration::from_secs(5);

/// Opens a websocket of somebody who may. `None`: the pod does not answer.
pub async fn serve(
    console: &Arc<Console>,
    visit: Visit,
    request: Request<Body>,
    stream: TcpStream,
) -> Option<Response> {
    let Visit {
        entry,
        place,
        came,
        connection,
        ..
    } = visit;
    let connection = Arc::new(connection);
    let answer = handshake::ask(request, stream, PATIENCE, Arc::clone(&connection)).await;
    let (response, browser, pod) = match answer {
        Answer::Open {
            response,
            browser,
            pod,
        } => (response, browser, pod),
        Answer::No(response) => return Some(response),
        Answer::Bad => return Some((StatusCode::BAD_REQUEST, "no websocket\n").into_response()),
        Answer::Away => return None,
    };
    let line = |event| {
        Line::new(event, came.source, "ok")
            .user(&entry.user)
            .place(&place)
    };
    console.audit.tell_later(line("editor_open"));
    let open = Open {
        close: Some(line("editor_close")),
        console: Arc::clone(console),
        since: Instant::now(),
        _counted: Counted::new(&console.metrics.websockets),
        _connection: connection,
    };
    tokio::spawn(open.hold(entry, browser, pod));
    Some(response)
}

/// A websocket while it is open.
struct Open {
    console: Arc<Console>,
    close: Option<Line>,
    since: Instant,
    _counted: Counted,
    _connection: Arc<Connection>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(line) = self.close.take() {
            self.console
                .audit
                .tell_later(line.lasted(self.since.elapsed()));
        }
    }
}

impl Open {
    async fn hold(mut self, entry: Entry, browser: OnUpgrade, pod: OnUpgrade) {
        let both = timeout(PATIENCE, async { tokio::try_join!(browser, pod) }).await;
        let Ok(Ok((browser, pod))) = both else {
            return;
        };
        let console = Arc::clone(&self.console);
        let cut = async {
            tokio::select! {
                () = console.ending.cancelled() => Why::Ending,
                () = lost(&console, &entry) => Why::Revoked,
            }
        };
        let pace = Pace::default();
        let ended = relay::relay(TokioIo::new(browser), TokioIo::new(pod), pace, cut).await;
        let outcome = match ended {
            Ended::Closed => "ok",
            Ended::Cut(Why::Revoked) => "revoked",
            Ended::Cut(Why::Ending) => "ending",
            Ended::Silent => "silent",
            Ended::Broken => "broken",
        };
        if ended != Ended::Closed {
            console.metrics.asked(outcome);
        }
        self.close = self.close.take().map(|line| line.outcome(outcome));
    }
}

/// Ends when the entry counts no more.
async fn lost(console: &Console, entry: &Entry) {
    let mut tick = interval(RECHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = console.now();
        if console.ask(|table| entry.place(table, now)).is_none() {
            return;
        }
    }
}
