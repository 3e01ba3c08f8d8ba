//! What the server needs to know, apart from where it comes from.

use std::time::Duration;

use devserver_api::cidr::Cidr;

use crate::{args::Options, penalty::Rules};

/// Bounds and rules of the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time to log in.
    pub login_grace: Duration,
    /// How long every refused attempt to log in takes, whatever the reason; well above what looking at it takes.
    pub rejection_time: Duration,
    /// Keys that a client may try in vain per connection.
    pub max_auth_tries: usize,
    /// Connections.
    pub max_connections: usize,
    /// Connections whose user is not known yet.
    pub max_unauthenticated: usize,
    /// The same, from one source.
    pub max_unauthenticated_per_source: usize,
    /// Connections of one user.
    pub max_connections_per_user: usize,
    /// Channels of one connection.
    pub max_channels: usize,
    /// Rate and penalties of sources.
    pub rules: Rules,
    /// Networks that have neither.
    pub exempt: Vec<Cidr>,
    /// Networks whose connections begin with a PROXY header.
    pub proxies: Vec<Cidr>,
    /// Networks of pods; empty: any that can be one.
    pub pod_networks: Vec<Cidr>,
    /// Bytes of memory above which nobody new is let in.
    pub max_memory: Option<u64>,
    /// Silence after which a client is asked whether it is there.
    pub keepalive: Duration,
    /// Longest time to reach a pod.
    pub dial_timeout: Duration,
    /// Longest time from a wish for a channel to its answer, waiting for a start included.
    pub open_timeout: Duration,
    /// Longest time `wake` waits for an environment.
    pub wake_timeout: Duration,
    /// Whether connections may wake what a policy suspended.
    pub wake: bool,
    /// How long new connections are taken after the end was announced.
    pub drain_delay: Duration,
    /// How long open sessions may go on after that.
    pub drain_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            login_grace: Duration::from_secs(30),
            rejection_time: Duration::from_millis(200),
            max_auth_tries: 6,
            max_connections: 10_000,
            max_unauthenticated: 1_000,
            max_unauthenticated_per_source: 100,
            max_connections_per_user: 100,
            max_channels: 100,
            rules: Rules::default(),
            exempt: Vec::new(),
            proxies: Vec::new(),
            pod_networks: Vec::new(),
            max_memory: None,
            keepalive: Duration::from_secs(30),
            dial_timeout: Duration::from_secs(5),
            open_timeout: Duration::from_millis(9_500),
            wake_timeout: Duration::from_secs(300),
            wake: false,
            drain_delay: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(3600),
        }
    }
}

/// Part of the time to drain over which the ends of sessions are spread, so that not all clients come back at once.
const SPREAD: u32 = 20;
/// Most time they are spread over.
const LONGEST_SPREAD: Duration = Duration::from_secs(60);

impl Settings {
    /// Time at the end of the time to drain over which the ends of sessions are spread.
    pub fn spread(&self) -> Duration {
        (self.drain_timeout / SPREAD).min(LONGEST_SPREAD)
    }
}

impl From<&Options> for Settings {
    fn from(options: &Options) -> Self {
        let bounds = &options.bounds;
        let many = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            login_grace: Duration::from_secs(bounds.login_grace),
            max_auth_tries: usize::try_from(bounds.max_auth_tries).unwrap_or(6),
            max_connections: many(bounds.max_connections),
            max_unauthenticated: many(bounds.max_unauthenticated),
            max_unauthenticated_per_source: many(bounds.max_unauthenticated_per_source),
            max_connections_per_user: many(bounds.max_connections_per_user),
            max_channels: many(bounds.max_channels),
            rules: Rules {
                threshold: f64::from(bounds.penalty_threshold),
                rate: f64::from(bounds.source_rate),
                burst: f64::from(bounds.source_burst),
                ..Rules::default()
            },
            exempt: bounds.penalty_exempt.clone(),
            proxies: options.proxy_protocol_from.clone(),
            pod_networks: options.pod_cidrs.clone(),
            max_memory: bounds.max_memory.map(|mib| mib << 20),
            keepalive: Duration::from_secs(bounds.keepalive),
            wake: options.wake,
            drain_delay: Duration::from_secs(options.drain_delay),
            drain_timeout: Duration::from_secs(options.drain_timeout),
            ..Self::default()
        }
    }
}
