//! What `devctl login` asks a console: where the cluster is, and who knows its users. Made once, at the start; no secret is in it.

use std::path::{Path, PathBuf};

use axum::{Json, extract::State, response::IntoResponse, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use devserver_api::signpost::{KubernetesPlace, OidcPlace, Signpost};
use http::header;
use serde::Deserialize;
use std::sync::Arc;
use url::Url;

use crate::{
    config::{ConfigError, Oidc},
    console::Console,
    problem::Problem,
};

/// As it is written in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Devctl {
    /// How the identity provider knows devctl: a client without a secret, which may use the device flow.
    client_id: String,
    /// Address of the API server as people reach it.
    server: String,
    /// File with the authorities that vouch for the API server. Absent: the public ones do.
    certificate_authority_file: Option<PathBuf>,
}

/// The sign to put up.
pub fn make(
    devctl: &Devctl,
    oidc: &Oidc,
    read: impl Fn(&Path) -> Result<Vec<u8>, ConfigError>,
) -> Result<Signpost, ConfigError> {
    let field = |name, why: &str| ConfigError::Field(name, why.to_owned());
    if devctl.client_id.is_empty() || devctl.client_id == oidc.client_id {
        return Err(field(
            "devctl.clientId",
            "must be a client of its own at the identity provider, without a secret; the console's has one",
        ));
    }
    let server = Url::parse(&devctl.server).ok();
    if server.is_none_or(|url| url.scheme() != "https" || url.host_str().is_none()) {
        return Err(field(
            "devctl.server",
            "must be the https address of the API server, such as https://api.example.com:6443",
        ));
    }
    let authority = |path: &Option<PathBuf>| -> Result<Option<String>, ConfigError> {
        let Some(path) = path else { return Ok(None) };
        let pem = read(path)?;
        if !pem.starts_with(b"-----BEGIN CERTIFICATE-----") {
            return Err(field(
                "devctl.certificateAuthorityFile",
                "must be a file with certificates (PEM)",
            ));
        }
        Ok(Some(STANDARD.encode(pem)))
    };
    // What gives a new token, so that nobody logs in each hour.
    let mut scopes = oidc.scopes.clone();
    if !scopes.iter().any(|scope| scope == "offline_access") {
        scopes.push("offline_access".to_owned());
    }
    Ok(Signpost {
        kubernetes: KubernetesPlace {
            server: devctl.server.clone(),
            certificate_authority_data: authority(&devctl.certificate_authority_file)?,
        },
        oidc: OidcPlace {
            issuer: oidc.issuer.clone(),
            client_id: devctl.client_id.clone(),
            scopes,
            certificate_authority_data: authority(&oidc.ca_file)?,
        },
    })
}

/// Shows it to everybody.
pub async fn show(State(console): State<Arc<Console>>) -> Result<Response, Problem> {
    let sign = console
        .config
        .signpost
        .clone()
        .ok_or_else(Problem::not_found)?;
    let fresh = [(header::CACHE_CONTROL, "public, max-age=60")];
    Ok((fresh, Json(sign)).into_response())
}
