//! Requests to a console or an identity provider: https alone, no redirects, short answers.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use devserver_api::signpost::{self, Signpost};
use futures::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Certificate, Url};

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest answer.
const LONGEST: usize = 1024 * 1024;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Nobody answered, or nobody who can be believed.
    #[error("{}", chain(.0))]
    Request(#[from] reqwest::Error),
    /// No request that can be sent.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// More than anybody has to say here.
    #[error("the answer is longer than a mebibyte")]
    Long,
}

/// The outermost text seldom says what happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// A client; with `authority` (PEM) nobody else is believed.
pub struct Web(reqwest::Client);

impl Web {
    /// A client that believes these certificates, or those of this machine.
    pub fn new(authority: Option<&[u8]>) -> Outcome<Self> {
        let failed = |e: reqwest::Error| {
            Failure::new(Exit::Error, "failed to prepare the connection").because(chain(&e))
        };
        let mut client = reqwest::Client::builder()
            .https_only(true)
            // Whoever led us elsewhere could lead us anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE);
        if let Some(pem) = authority {
            client = client.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(failed)?);
        }
        client.build().map(Self).map_err(failed)
    }

    async fn fetch(
        &self,
        request: reqwest::Request,
    ) -> Result<(u16, http::HeaderMap, Vec<u8>), WebError> {
        let mut response = self.0.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await? {
            if body.len() + part.len() > LONGEST {
                return Err(WebError::Long);
            }
            body.extend_from_slice(&part);
        }
        Ok((status, headers, body))
    }
}

impl<'c> AsyncHttpClient<'c> for Web {
    type Error = WebError;
    type Future = BoxFuture<'c, Result<HttpResponse, WebError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (status, headers, body) = self.fetch(request.try_into()?).await?;
            let mut builder = http::Response::builder().status(status);
            for (name, value) in &headers {
                builder = builder.header(name, value);
            }
            Ok(builder.body(body)?)
        })
    }
}

/// An authority as it stands in a kubeconfig.
pub fn authority(data: Option<&str>) -> Outcome<Option<Vec<u8>>> {
    let decode = |text| {
        STANDARD.decode(text).map_err(|e| {
            Failure::new(Exit::Error, "failed to read a certificate authority").because(e)
        })
    };
    data.map(decode).transpose()
}

/// The address of a console, as somebody typed it: https, a host, and nothing behind it.
pub fn console(text: &str) -> Outcome<Url> {
    let wrong = || {
        Failure::usage(format!("'{text}' is not the address of a console"))
            .remedy("it begins with https:// and has no path: https://console.example.com")
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_one = url.scheme() == "https" && url.host_str().is_some() && is_bare && is_plain;
    is_one.then_some(url).ok_or_else(wrong)
}

/// What the console says about where to go.
pub async fn signpost(console: &Url, authority: Option<&Path>) -> Outcome<Signpost> {
    let pem = match authority {
        None => None,
        Some(path) => Some(
            std::fs::read(path)
                .map_err(|e| Failure::io(format!("failed to read {}", path.display()), &e))?,
        ),
    };
    let what = || format!("failed to ask the console at {console}");
    let address = console
        .join(signpost::PATH)
        .map_err(|e| Failure::new(Exit::Error, what()).because(e))?;
    let request = reqwest::Request::new(reqwest::Method::GET, address);
    let (status, _, body) = Web::new(pem.as_deref())?
        .fetch(request)
        .await
        .map_err(|e| {
            Failure::new(Exit::Error, what()).because(e).remedy(
                "check the address; --certificate-authority FILE for a console whose certificate this machine does not know",
            )
        })?;
    if status == 404 {
        return Err(Failure::new(Exit::NotFound, "this console does not say how to log in from a command line").remedy(
            "ask an administrator to set console.devctl of the chart, or for a kubeconfig (`devctl admin user kubeconfig`)",
        ));
    }
    let found: Signpost = serde_json::from_slice(&body).map_err(|e| {
        Failure::new(Exit::Error, what()).because(format!(
            "it answers {status}, and not as a console does ({e})"
        ))
    })?;
    for (what, address) in [
        ("API server", &found.kubernetes.server),
        ("identity provider", &found.oidc.issuer),
    ] {
        if !Url::parse(address).is_ok_and(|url| url.scheme() == "https") {
            return Err(Failure::new(
                Exit::Error,
                format!("the console names '{address}' as its {what}"),
            )
            .because("only https is used"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_reached_by_https_and_nothing_else() {
        assert!(console("https://console.example.com").is_ok());
        assert!(console("https://console.example.com:8443/").is_ok());
        for wrong in [
            "console.example.com",
            "http://console.example.com",
            "https://console.example.com/path",
            "https://console.example.com?x=1",
            "https://user:secret@console.example.com",
            "file:///etc/passwd",
            "",
        ] {
            assert!(console(wrong).is_err(), "{wrong}");
        }
    }
}
