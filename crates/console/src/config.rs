//! The configuration file: read once, checked as a whole, refused with the name of the field and what to write instead.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use devserver_api::{address, cidr::Cidr, duration, signpost::Signpost};
use http::HeaderName;
use serde::Deserialize;
use url::Url;

use crate::{
    ledger::Settings as UsageSettings,
    signpost::{self, Devctl},
};

/// Why the console does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("failed to read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// It is not the YAML that is expected.
    #[error("failed to understand the configuration")]
    Parse(#[source] serde_saphyr::Error),
    /// A field is missing or wrong.
    #[error("{0}: {1}")]
    Field(&'static str, String),
}

/// The file as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    console_url: String,
    editor_domain: String,
    oidc: Option<Oidc>,
    forward_auth: Option<ForwardAuthDocument>,
    #[serde(default)]
    username_prefix: String,
    #[serde(default)]
    admin_groups: Vec<String>,
    allowed_groups: Option<Vec<String>>,
    session_key_file: PathBuf,
    session_lifetime: Option<String>,
    tls: Option<Tls>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    #[serde(default, rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
    #[serde(default)]
    allow_shared_ports: bool,
    #[serde(default)]
    limits: Limits,
    devctl: Option<Devctl>,
    usage: Option<UsageSettings>,
}

/// The identity provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// Its address, as in its tokens.
    pub issuer: String,
    /// How it knows this console.
    pub client_id: String,
    /// File with the secret that goes with it.
    pub client_secret_file: PathBuf,
    /// What is asked for besides `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Claim with the user name, such as `email` or `preferred_username`.
    pub username_claim: String,
    /// Take an `email` that the provider has not verified. Only for providers that never say so.
    #[serde(default)]
    pub allow_unverified_email: bool,
    /// Claim with the list of groups.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// File with the authorities that vouch for the provider's certificate, where that is none of the public ones.
    pub ca_file: Option<PathBuf>,
}

fn default_scopes() -> Vec<String> {
    ["profile", "email", "groups"].map(str::to_owned).to_vec()
}

fn default_groups_claim() -> String {
    "groups".to_owned()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ForwardAuthDocument {
    user_header: String,
    groups_header: Option<String>,
}

/// Headers by which a trusted proxy says who asks.
#[derive(Clone, Debug)]
pub struct ForwardAuth {
    /// Header with the user name.
    pub user: HeaderName,
    /// Header with the groups, separated by commas.
    pub groups: Option<HeaderName>,
}

/// Certificate of this port.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The chain, for the console's host and for `*.` the editor domain. Read again when it changes.
    pub certificate_file: PathBuf,
    /// The private key.
    pub private_key_file: PathBuf,
}

/// What one source may do.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Logins a minute.
    pub logins_per_minute: u32,
    /// Changes a minute.
    pub writes_per_minute: u32,
    /// Editor connections of one user at a time.
    pub editor_connections_per_user: u32,
    /// Largest upload into an editor, in MiB.
    pub upload_mebibytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            logins_per_minute: 30,
            writes_per_minute: 60,
            editor_connections_per_user: 200,
            upload_mebibytes: 1024,
        }
    }
}

/// By whom people are known.
#[derive(Clone, Debug)]
pub enum Provider {
    /// An identity provider.
    Oidc(Box<Oidc>),
    /// A proxy in front.
    ForwardAuth(ForwardAuth),
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Origin of the pages: `https://console.example.com`.
    pub console: Url,
    /// Its host, with the port where that is not 443.
    pub console_host: String,
    /// Editors are at `<label>.<this>`; with the port where the console's is not 443.
    pub editor_domain: String,
    /// By whom people are known.
    pub provider: Provider,
    /// Put before each user name, as the API server's own `--oidc-username-prefix`.
    pub username_prefix: String,
    /// Groups of the provider whose members administrate.
    pub admin_groups: Vec<String>,
    /// Groups of the provider of which one is needed. Absent: none.
    pub allowed_groups: Option<Vec<String>>,
    /// What sessions are encrypted with.
    pub session_key: Vec<u8>,
    /// How long a session lives, in seconds.
    pub session_lifetime: u64,
    /// Certificate; absent: plain http behind an ingress.
    pub tls: Option<Tls>,
    /// Networks whose `X-Forwarded-*` and identity headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Networks that pods have their addresses in. Given, no other address is dialled.
    pub pod_networks: Vec<Cidr>,
    /// Whether `share: Authenticated` opens a port to everybody who is logged in.
    pub allow_shared_ports: bool,
    /// Bounds.
    pub limits: Limits,
    /// What `devctl login` is told; absent: nothing.
    pub signpost: Option<Signpost>,
    /// Where usage and costs are asked for; absent: there is no page of them.
    pub usage: Option<UsageSettings>,
}

const DEFAULT_LIFETIME: u64 = 8 * 3600;
const LONGEST_LIFETIME: u64 = 7 * 24 * 3600;
/// Bytes of the session key: 32 to encrypt and 32 that a later version may sign with.
pub const KEY_BYTES: usize = 64;

impl Config {
    /// Reads and checks the file and those that it names.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|e| ConfigError::Read(path.to_owned(), e))?;
        Self::parse(&text, |file| {
            std::fs::read(file).map_err(|e| ConfigError::Read(file.to_owned(), e))
        })
    }

    /// The same with the files of `read`.
    pub fn parse(
        text: &str,
        read: impl Fn(&Path) -> Result<Vec<u8>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let document: Document = serde_saphyr::from_str(text).map_err(ConfigError::Parse)?;
        let console = console_url(&document.console_url)?;
        let host = console.host_str().unwrap_or_default().to_owned();
        let editor_domain = editor_domain(&document.editor_domain, &host)?;
        let port = console.port().map(|p| format!(":{p}")).unwrap_or_default();
        let session_key = read(&document.session_key_file)?;
        if session_key.len() < KEY_BYTES {
            return Err(field(
                "sessionKeyFile",
                format!(
                    "needs at least {KEY_BYTES} random bytes, such as from `openssl rand {KEY_BYTES}`"
                ),
            ));
        }
        let trusted_proxies = networks("trustedProxies", &document.trusted_proxies)?;
        let provider = provider(document.oidc, document.forward_auth, &trusted_proxies)?;
        let signpost = match (&document.devctl, &provider) {
            (None, _) => None,
            (Some(devctl), Provider::Oidc(oidc)) => Some(signpost::make(devctl, oidc, &read)?),
            (Some(_), Provider::ForwardAuth(_)) => {
                return Err(field(
                    "devctl",
                    "needs oidc; a proxy in front gives devctl no tokens",
                ));
            }
        };
        if let Some(usage) = &document.usage {
            usage.check()?;
        }
        Ok(Self {
            usage: document.usage,
            console_host: format!("{host}{port}"),
            editor_domain: format!("{editor_domain}{port}"),
            console,
            provider,
            username_prefix: username_prefix(document.username_prefix)?,
            admin_groups: document.admin_groups,
            allowed_groups: document.allowed_groups,
            session_key,
            session_lifetime: lifetime(document.session_lifetime.as_deref())?,
            tls: document.tls,
            trusted_proxies,
            pod_networks: networks("podCIDRs", &document.pod_cidrs)?,
            allow_shared_ports: document.allow_shared_ports,
            limits: document.limits,
            signpost,
        })
    }

    /// Whether what this address says of others is believed.
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let mut trusted = self.trusted_proxies.iter();
        trusted.any(|network| address::holds(*network, address))
    }

    /// An address of the console: `path` begins with `/`.
    pub fn console_address(&self, path: &str) -> String {
        format!("https://{}{path}", self.console_host)
    }
}

fn field(name: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError::Field(name, why.into())
}

fn console_url(text: &str) -> Result<Url, ConfigError> {
    let wrong = || {
        field(
            "consoleUrl",
            "must be an https address without a path, such as https://console.example.com",
        )
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_named = url.domain().is_some() && url.username().is_empty();
    (url.scheme() == "https" && is_bare && is_named)
        .then_some(url)
        .ok_or_else(wrong)
}

/// Pages of editors are written by whoever is in the environment, so nothing of the console may be below or above them.
fn editor_domain(text: &str, console: &str) -> Result<String, ConfigError> {
    let domain = text.to_ascii_lowercase();
    let is_name = domain.contains('.') && devserver_api::names::is_subdomain(&domain);
    if !is_name {
        return Err(field(
            "editorDomain",
            "must be a domain, such as editors.example.com",
        ));
    }
    let below = |inner: &str, outer: &str| inner.ends_with(&format!(".{outer}"));
    if domain == console || below(console, &domain) || below(&domain, console) {
        return Err(field(
            "editorDomain",
            format!(
                "must not be {console}, nor above or below it; use a name beside it, such as editors.example.com"
            ),
        ));
    }
    Ok(domain)
}

fn provider(
    oidc: Option<Oidc>,
    forward: Option<ForwardAuthDocument>,
    trusted: &[Cidr],
) -> Result<Provider, ConfigError> {
    match (oidc, forward) {
        (Some(oidc), None) => {
            for (name, value) in [
                ("oidc.issuer", &oidc.issuer),
                ("oidc.clientId", &oidc.client_id),
                ("oidc.usernameClaim", &oidc.username_claim),
            ] {
                if value.is_empty() {
                    return Err(field(name, "must not be empty"));
                }
            }
            Ok(Provider::Oidc(Box::new(oidc)))
        }
        (None, Some(forward)) => {
            if trusted.is_empty() {
                return Err(field(
                    "forwardAuth",
                    "needs trustedProxies, or everybody could say who they are",
                ));
            }
            if trusted.iter().any(|network| network.is_everything()) {
                return Err(field(
                    "trustedProxies",
                    "must not be all addresses with forwardAuth",
                ));
            }
            let header = |text: &str| {
                HeaderName::try_from(text)
                    .map_err(|_| field("forwardAuth", format!("`{text}` is no name of a header")))
            };
            Ok(Provider::ForwardAuth(ForwardAuth {
                user: header(&forward.user_header)?,
                groups: forward.groups_header.as_deref().map(header).transpose()?,
            }))
        }
        _ => Err(field(
            "oidc",
            "exactly one of oidc and forwardAuth is needed",
        )),
    }
}

fn username_prefix(prefix: String) -> Result<String, ConfigError> {
    if prefix.starts_with("system:") || "system:".starts_with(&prefix) && !prefix.is_empty() {
        return Err(field(
            "usernamePrefix",
            "must not begin with `system:`, which is Kubernetes' own",
        ));
    }
    Ok(prefix)
}

fn lifetime(text: Option<&str>) -> Result<u64, ConfigError> {
    let Some(text) = text else {
        return Ok(DEFAULT_LIFETIME);
    };
    let seconds = duration::parse_positive(text)
        .map_err(|e| field("sessionLifetime", format!("{e}, such as 8h")))?;
    (60..=LONGEST_LIFETIME)
        .contains(&seconds)
        .then_some(seconds)
        .ok_or_else(|| field("sessionLifetime", "must be between 1m and 168h"))
}

fn networks(name: &'static str, texts: &[String]) -> Result<Vec<Cidr>, ConfigError> {
    let parse = |text: &String| Cidr::parse(text).map_err(|e| field(name, format!("`{text}` {e}")));
    texts.iter().map(parse).collect()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
