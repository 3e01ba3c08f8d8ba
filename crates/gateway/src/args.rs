//! Command line. Every flag can be given as an environment variable, too.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use devserver_api::cidr::Cidr;
use devserver_process::logs::LogFormat;

use crate::host_keys::Place;

/// The devserver gateway: one ssh port through which people reach their environments.
#[derive(Debug, Parser)]
#[command(name = "devserver-gateway", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve ssh until SIGTERM.
    Run(Box<Options>),
}

/// How to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address of the ssh port.
    #[arg(long, env = "DEVSERVER_GATEWAY_SSH", default_value = "[::]:2222")]
    pub ssh: SocketAddr,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "DEVSERVER_GATEWAY_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Look at DevServers of this namespace only. Absent: at all.
    #[arg(long, env = "DEVSERVER_GATEWAY_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Keys and who is trusted.
    #[command(flatten)]
    pub keys: Keys,
    /// Bounds.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Networks whose connections begin with a PROXY header (version 1 or 2), such as those of a load balancer. Repeatable.
    /// Connections from anywhere else must not have one.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_PROXY_PROTOCOL_FROM",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub proxy_protocol_from: Vec<Cidr>,
    /// Networks that pods have their addresses in. Given, no other address is ever dialled. Repeatable.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_POD_CIDRS",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub pod_cidrs: Vec<Cidr>,
    /// Let a connection start an environment that a policy suspended, and let owners start theirs with `ssh gateway wake NAME`.
    #[arg(long, env = "DEVSERVER_GATEWAY_WAKE", default_value_t = false, action = clap::ArgAction::Set)]
    pub wake: bool,
    /// Seconds after SIGTERM in which new connections are still taken, because load balancers learn of the end late.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_DRAIN_DELAY",
        default_value_t = 5,
        value_name = "SECONDS"
    )]
    pub drain_delay: u64,
    /// Seconds after that in which open sessions may go on; then they are told and ended.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_DRAIN_TIMEOUT",
        default_value_t = 3600,
        value_name = "SECONDS"
    )]
    pub drain_timeout: u64,
    /// File for the audit, appended to. Absent: standard output.
    #[arg(long, env = "DEVSERVER_GATEWAY_AUDIT_FILE")]
    pub audit_file: Option<PathBuf>,
    /// Form of the log lines, which go to standard error.
    #[arg(long, env = "DEVSERVER_GATEWAY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// Keys and who is trusted.
#[derive(Clone, Debug, clap::Args)]
pub struct Keys {
    /// Folder of this host's private keys, such as a mounted Secret; there must be one of type ed25519.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_HOST_KEYS",
        default_value = "/etc/devserver-gateway/host-keys"
    )]
    pub host_keys: PathBuf,
    /// Secret of this host's private keys instead, `NAMESPACE/NAME`. Made with one of type ed25519 when there is none; the
    /// public halves are told in the ConfigMap `devserver-gateway` beside it.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_HOST_KEY_SECRET",
        value_name = "NAMESPACE/NAME",
        conflicts_with = "host_keys"
    )]
    pub host_key_secret: Option<Place>,
    /// Secret of the gateway's user authority, `NAMESPACE/NAME`. Given, direct mode is on: `ssh <user>+<server>@gateway` ends
    /// here and goes on by a certificate of this authority. Made with a key of type ed25519 when there is none.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_DIRECT_AUTHORITY_SECRET",
        value_name = "NAMESPACE/NAME",
        requires = "host_key_secret"
    )]
    pub direct_authority_secret: Option<Place>,
    /// File with lines `<user> <type> <base64> [comment]`: further keys of users. Read again when it changes.
    #[arg(long, env = "DEVSERVER_GATEWAY_AUTHORIZED_KEYS_FILE")]
    pub authorized_keys_file: Option<PathBuf>,
    /// File with public keys of authorities whose OpenSSH user certificates count. Read again when it changes.
    #[arg(long, env = "DEVSERVER_GATEWAY_TRUSTED_USER_CA_KEYS")]
    pub trusted_user_ca_keys: Option<PathBuf>,
    /// File with public keys or fingerprints (`SHA256:…`) that count no more. Read again when it changes.
    #[arg(long, env = "DEVSERVER_GATEWAY_REVOKED_KEYS")]
    pub revoked_keys: Option<PathBuf>,
}

/// Bounds: what one source, one user and everybody together may take.
#[derive(Clone, Debug, clap::Args)]
pub struct Bounds {
    /// Seconds to log in.
    #[arg(long, env = "DEVSERVER_GATEWAY_LOGIN_GRACE", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600), value_name = "SECONDS")]
    pub login_grace: u64,
    /// Keys that a client may try in vain per connection.
    #[arg(long, env = "DEVSERVER_GATEWAY_MAX_AUTH_TRIES", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub max_auth_tries: u64,
    /// Connections.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_MAX_CONNECTIONS",
        default_value_t = 10_000
    )]
    pub max_connections: u32,
    /// Connections whose user is not known yet.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_MAX_UNAUTHENTICATED",
        default_value_t = 1_000
    )]
    pub max_unauthenticated: u32,
    /// Connections whose user is not known yet, from one source (an IPv4 address or an IPv6 /64).
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_MAX_UNAUTHENTICATED_PER_SOURCE",
        default_value_t = 100
    )]
    pub max_unauthenticated_per_source: u32,
    /// Connections of one user.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_MAX_CONNECTIONS_PER_USER",
        default_value_t = 100
    )]
    pub max_connections_per_user: u32,
    /// Channels of one connection.
    #[arg(long, env = "DEVSERVER_GATEWAY_MAX_CHANNELS", default_value_t = 100)]
    pub max_channels: u32,
    /// New connections per second from one source; 0: no bound.
    #[arg(long, env = "DEVSERVER_GATEWAY_SOURCE_RATE", default_value_t = 100)]
    pub source_rate: u32,
    /// New connections at once from one source, before the rate counts.
    #[arg(long, env = "DEVSERVER_GATEWAY_SOURCE_BURST", default_value_t = 300)]
    pub source_burst: u32,
    /// Seconds of penalty (5 for a failed login, 10 for one not finished, 20 for what is not ssh) from which a source is
    /// refused until they have run off; 0: never.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_PENALTY_THRESHOLD",
        default_value_t = 30,
        value_name = "SECONDS"
    )]
    pub penalty_threshold: u32,
    /// Networks that are never refused for a rate or a penalty, such as that of an office behind one address. Repeatable.
    #[arg(
        long,
        env = "DEVSERVER_GATEWAY_PENALTY_EXEMPT",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub penalty_exempt: Vec<Cidr>,
    /// MiB of memory above which nobody new is let in. Absent: 80 % of what the container may have.
    #[arg(long, env = "DEVSERVER_GATEWAY_MAX_MEMORY", value_name = "MIB")]
    pub max_memory: Option<u64>,
    /// Seconds after which a client that is silent is asked whether it is still there; it is gone when it does not answer
    /// for as long again. An idle session that answers is never cut.
    #[arg(long, env = "DEVSERVER_GATEWAY_KEEPALIVE", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), value_name = "SECONDS")]
    pub keepalive: u64,
}
