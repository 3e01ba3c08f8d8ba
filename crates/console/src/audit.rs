//! The audit: one JSON object per line, apart from the logs. Who logged in, what they changed, which editor they opened.

use std::net::IpAddr;

use serde::Serialize;

use crate::table::{Place, ServerId, Target};

/// One line. Absent fields are left out. JSON escapes whatever somebody else has written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// RFC 3339.
    time: String,
    /// `login`, `login_failure`, `logout`, `write`, `editor_open`, `editor_close`, `editor_refuse`.
    event: &'static str,
    /// Address of the client; of whom a trusted proxy named, if one did.
    source: String,
    /// User name as Kubernetes knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// What was done: `create`, `suspend`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    /// DevServer, `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// Which declared port of it; absent: the editor, or nothing of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Bounded word: `ok`, or why not.
    outcome: &'static str,
    /// How long it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
}

impl Line {
    /// Something happened.
    pub fn new(event: &'static str, source: IpAddr, outcome: &'static str) -> Self {
        Self {
            event,
            source: source.to_string(),
            outcome,
            ..Self::default()
        }
    }

    /// By whom.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// What was done.
    #[must_use]
    pub fn action(mut self, action: &'static str) -> Self {
        self.action = Some(action);
        self
    }

    /// To which server.
    #[must_use]
    pub fn server(mut self, id: &ServerId) -> Self {
        self.server = Some(id.to_string());
        self
    }

    /// To which editor or port of a server.
    #[must_use]
    pub fn place(mut self, place: &Place) -> Self {
        self.port = match place.port {
            Target::Editor => None,
            Target::Port(number) => Some(number),
        };
        self.server(&place.id)
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(mut self, outcome: &'static str) -> Self {
        self.outcome = outcome;
        self
    }

    /// How long it lasted.
    #[must_use]
    pub fn lasted(mut self, duration: std::time::Duration) -> Self {
        self.seconds = Some(duration.as_secs());
        self
    }
}

impl devserver_process::audit::Line for Line {
    fn stamp(&mut self, time: String) {
        self.time = time;
    }
}

/// Where lines go.
pub type Audit = devserver_process::audit::Audit<Line>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_whatever_a_name_holds_it_stays_one_line_of_json() {
        let mut text = Vec::new();
        let line = Line::new("login", "192.0.2.1".parse().unwrap(), "ok")
            .user("a\"\n{\"event\":\"x\"}\u{1b}[2J");
        devserver_process::audit::write(&mut text, &line).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}'));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "login");
    }
}
