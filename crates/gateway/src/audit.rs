//! The audit: one JSON object per line, apart from the logs. Who came, what they were let into, how long, how much.

use std::net::IpAddr;

use serde::Serialize;

use crate::escape::escape;

/// How somebody reaches an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By a channel through which the client's own ssh goes on.
    Jump,
    /// By a session that ends here.
    Direct,
}

impl Mode {
    /// The word in metrics and in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jump => "jump",
            Self::Direct => "direct",
        }
    }
}

/// One line. Absent fields are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// RFC 3339.
    time: String,
    /// `connect`, `auth_failure`, `auth`, `open`, `refuse`, `close`, `command`, `disconnect`.
    event: &'static str,
    /// Number of the connection since the gateway started.
    connection: u64,
    /// Address of the client; of whom a trusted load balancer named, if one did.
    source: String,
    /// Port of the client.
    source_port: u16,
    /// ssh user name, as the client wrote it (escaped).
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Fingerprints of the keys shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    /// How somebody reaches an environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    /// What was asked for, as the client wrote it (escaped).
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Port that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u32>,
    /// DevServer.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// UID of the DevServer.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    /// Address of its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Bytes from the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_up: Option<u64>,
    /// Bytes to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_down: Option<u64>,
    /// How long it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// Bounded word: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Line {
    /// Something happened on a connection.
    pub fn new(event: &'static str, connection: u64, source: IpAddr, source_port: u16) -> Self {
        Self {
            event,
            connection,
            source: source.to_string(),
            source_port,
            ..Self::default()
        }
    }

    /// Who they say they are.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(escape(user));
        self
    }

    /// Keys they showed.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = impl ToString>) -> Self {
        self.keys = keys.into_iter().map(|key| key.to_string()).collect();
        self
    }

    /// By which way.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// What they asked for.
    #[must_use]
    pub fn target(mut self, target: &str, port: Option<u32>) -> Self {
        self.target = Some(escape(target));
        self.port = port;
        self
    }

    /// Where it led.
    #[must_use]
    pub fn route(mut self, route: &crate::route::Route) -> Self {
        self.server = Some(route.id.to_string());
        self.uid = Some(route.uid.clone());
        self.address = Some(route.address.to_string());
        self
    }

    /// How much went through.
    #[must_use]
    pub fn bytes(mut self, up: u64, down: u64) -> Self {
        (self.bytes_up, self.bytes_down) = (Some(up), Some(down));
        self
    }

    /// How long it lasted.
    #[must_use]
    pub fn lasted(mut self, duration: std::time::Duration) -> Self {
        // Milliseconds: more would say nothing.
        self.seconds = Some((duration.as_secs_f64() * 1000.0).round() / 1000.0);
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
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
