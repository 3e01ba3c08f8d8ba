//! The one clock of the process: what the API server said last, and what this machine says.
//!
//! The API server's time is the `Date` of its newest answer. Each look begins with a read, so it is never older than
//! that. How the two are weighed against each other is `devserver_core::due::Clocks`' to say.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use devserver_core::Clocks;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use kube::{Client, Config, client::ClientBuilder};
use tower::util::MapResponseLayer;

use crate::error::CALL_TIMEOUT;

/// Names a file with a number of seconds that is added to this machine's time; for tests. A clock that is wrong alone
/// deletes nothing, so that this gives nobody more than a deletion that comes later.
const OFFSET_FILE: &str = "DEVSERVER_CLOCK_OFFSET_FILE";

/// The one clock of the process.
pub struct Clock {
    begun: Instant,
    heard: Mutex<Option<(Timestamp, Instant)>>,
    offset_file: Option<PathBuf>,
}

impl Clock {
    /// A clock that has heard nothing from the API server yet.
    pub fn new() -> Arc<Self> {
        let offset_file = std::env::var_os(OFFSET_FILE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        if let Some(path) = &offset_file {
            tracing::warn!(file = %path.display(), "the clock is shifted, as {OFFSET_FILE} says");
        }
        Arc::new(Self {
            begun: Instant::now(),
            heard: Mutex::default(),
            offset_file,
        })
    }

    /// A client whose answers tell this clock the time.
    pub fn client(self: &Arc<Self>, config: Config) -> Result<Client, kube::Error> {
        let clock = Arc::clone(self);
        let listen = MapResponseLayer::new(move |response: http::Response<_>| {
            let date = response.headers().get(http::header::DATE);
            if let Some(date) = date.and_then(|value| value.to_str().ok()) {
                clock.hear(date);
            }
            response
        });
        Ok(ClientBuilder::try_from(config)?.with_layer(&listen).build())
    }

    /// Both clocks, now.
    pub fn read(&self) -> Clocks {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let server = heard.and_then(|(date, at)| {
            let since = SignedDuration::try_from(at.elapsed()).ok()?;
            // Older than that is no answer to a read that has just been made.
            let fresh = at.elapsed() <= CALL_TIMEOUT;
            fresh.then(|| date.checked_add(since).ok()).flatten()
        });
        let own = Timestamp::now();
        Clocks {
            server,
            own: own.checked_add(self.offset()).unwrap_or(own),
        }
    }

    /// Time since the process began, which no change of the clock makes shorter.
    pub fn steady(&self) -> Duration {
        let offset = Duration::try_from(self.offset()).unwrap_or_default();
        self.begun.elapsed().saturating_add(offset)
    }

    /// `Date` as HTTP writes it (RFC 9110, section 5.6.7), which mail (RFC 2822) reads too.
    fn hear(&self, date: &str) {
        if let Ok(date) = DateTimeParser::new().parse_timestamp(date) {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            *heard = Some((date, Instant::now()));
        }
    }

    fn offset(&self) -> SignedDuration {
        let seconds = self
            .offset_file
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok())
            .and_then(|text| text.trim().parse().ok());
        SignedDuration::from_secs(seconds.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_what_the_api_server_said() {
        let clock = Clock::new();
        assert_eq!(clock.read().server, None, "nothing is heard yet");
        clock.hear("Sun, 06 Nov 1994 08:49:37 GMT");
        let said: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        let ahead = clock.read().server.unwrap().duration_since(said);
        assert!(
            ahead >= SignedDuration::ZERO && ahead < SignedDuration::from_secs(60),
            "{ahead}"
        );
        clock.hear("yesterday");
        assert!(clock.read().server.is_some(), "nonsense changes nothing");
    }
}
