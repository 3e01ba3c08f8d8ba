//! The way to an environment's editor and to its declared ports: who asks is checked at each request, and for what stays open
//! again and again.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use axum_reverse_proxy::{
    ProxyError, ProxyPolicy, TunnelGuard, XForwardedFor, proxy_request_on_stream,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    audit::Line,
    config,
    console::{Connection, Console},
    entry::{self, Entry},
    forwarded,
    pages::view,
    problem::Problem,
    router::Came,
    table::{Away, Place, Target},
    websocket,
};

/// Longest wait for a pod to take a connection.
const DIAL: Duration = Duration::from_secs(5);
/// Longest wait for the first word of an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a pod may say nothing before it is asked whether it is there, how often it is asked, and how often in vain.
const QUIET: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_secs(10);
const ASKED_AT_MOST: u32 = 3;
/// What is served of ours at editors' hosts.
const ASSETS: &str = "/.devserver/assets/";

/// Answers a request to the host of an editor or of a port.
pub async fn serve(
    console: Arc<Console>,
    label: String,
    came: Came,
    request: Request<Body>,
) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    if let Some(name) = path.strip_prefix(ASSETS) {
        return view::asset(name);
    }
    if path == entry::PATH {
        return entry::take(&console, &label, request.uri(), headers);
    }
    let host = format!("{label}.{}", console.config.editor_domain);
    let entry = Entry::of(headers, &console.sealer, &label);
    let now = console.now();
    let entered = entry.and_then(|e| {
        console
            .ask(|t| e.place(t, now))
            .map(|(place, _)| (e, place))
    });
    let Some((entry, place)) = entered else {
        return stranger(&console, &label, &request);
    };
    if !is_same_origin(headers, &host) {
        console.metrics.asked("origin");
        let line = Line::new("editor_refuse", came.source, "origin").user(&entry.user);
        console.audit.tell(line.place(&place)).await;
        return (StatusCode::FORBIDDEN, "not from this page\n").into_response();
    }
    let Some(connection) = console.connect(&entry.user) else {
        console.metrics.asked("connections");
        return Problem::too_many().into_response();
    };
    forward(
        console,
        Visit {
            entry,
            place,
            host,
            came,
            connection,
        },
        request,
    )
    .await
}

/// One request of somebody who may.
pub struct Visit {
    /// By what they may.
    pub entry: Entry,
    /// Where to.
    pub place: Place,
    /// The host that was asked.
    pub host: String,
    /// Where they come from.
    pub came: Came,
    /// What they have open.
    pub connection: Connection,
}

/// Whoever has no entry: a person is sent to the console, a program is told no.
fn stranger(console: &Console, label: &str, request: &Request<Body>) -> Response {
    console.metrics.asked("stranger");
    if is_visit(request.method(), request.headers()) && !forwarded::is_upgrade(request.headers()) {
        return entry::ask(&console.config, label, request.uri());
    }
    let status = if forwarded::is_upgrade(request.headers()) {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::UNAUTHORIZED
    };
    (status, "open this from the console\n").into_response()
}

/// Whether somebody looks at a page, and no script asks for a part of one.
fn is_visit(method: &Method, headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let navigates = said("sec-fetch-mode").map_or_else(
        || said("accept").is_some_and(|accept| accept.contains("text/html")),
        |mode| mode == "navigate",
    );
    *method == Method::GET && navigates
}

/// Editors of all environments are one site to browsers, so cookies alone do not tell whose page asks.
fn is_same_origin(headers: &HeaderMap, host: &str) -> bool {
    if forwarded::is_upgrade(headers) {
        return forwarded::may_upgrade(headers, host);
    }
    let said = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let own = format!("https://{host}");
    let origin_fits = said("origin").is_none_or(|origin| origin == own);
    let from_here = match said("sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        Some(_) => {
            said("sec-fetch-mode") == Some("navigate") && said("sec-fetch-dest") == Some("document")
        }
    };
    origin_fits && from_here
}

async fn forward(console: Arc<Console>, visit: Visit, mut request: Request<Body>) -> Response {
    let is_visit = is_visit(request.method(), request.headers());
    let networks = &console.config.pod_networks;
    let located = console.ask(|table| table.locate(&visit.place, networks));
    let address = match located {
        Ok(address) => address,
        Err(away) => return absent(&console, &visit.place, away, is_visit),
    };
    // An editor that does not answer is starting; what a user starts at a port, nobody knows.
    let silent = match visit.place.port {
        Target::Editor => Away::Starting,
        Target::Port(_) => Away::Silent,
    };
    let Some(stream) = dial(&console, address).await else {
        return absent(&console, &visit.place, silent, is_visit);
    };
    // The pod may have gone while it was dialled, and its address may be another's.
    if console.ask(|table| table.locate(&visit.place, networks)) != Ok(address) {
        return absent(&console, &visit.place, Away::Starting, is_visit);
    }
    let wants_upgrade = forwarded::is_upgrade(request.headers());
    clean(&console.config, &visit, request.headers_mut());
    if wants_upgrade {
        let place = visit.place.clone();
        let Some(mut response) = websocket::serve(&console, visit, request, stream).await else {
            return absent(&console, &place, silent, false);
        };
        console.metrics.asked("ok");
        forwarded::response(response.headers_mut());
        return response;
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let Ok(target) = format!("http://{}{path}", visit.host).parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    request
        .extensions_mut()
        .insert(TunnelGuard::new(visit.connection));
    let most = console
        .config
        .limits
        .upload_mebibytes
        .saturating_mul(1024 * 1024);
    let policy = ProxyPolicy::new()
        .with_x_forwarded_for(XForwardedFor::Preserve)
        .with_upstream_timeout(ANSWER)
        .with_max_request_body_bytes(most);
    let Ok(mut response) = proxy_request_on_stream(target, request, stream, &policy).await;
    if response.extensions().get::<ProxyError>().is_some() {
        return absent(&console, &visit.place, silent, is_visit);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    console.metrics.asked("ok");
    forwarded::response(response.headers_mut());
    response
}

/// What the environment may know of who asks.
fn clean(config: &config::Config, visit: &Visit, headers: &mut HeaderMap) {
    let (identity, is_proxied): (Vec<_>, _) = match &config.provider {
        config::Provider::ForwardAuth(names) => {
            let names = std::iter::once(names.user.clone()).chain(names.groups.clone());
            (names.collect(), true)
        }
        config::Provider::Oidc(_) => (Vec::new(), false),
    };
    // The console takes no such header, so it is one of the page's own, for what it talks to. A proxy in front may add one
    // that is good elsewhere.
    let own = matches!(visit.place.port, Target::Port(_)) && !is_proxied;
    let kept = headers.get(header::AUTHORIZATION).filter(|_| own).cloned();
    forwarded::request(headers, &visit.host, &identity);
    if let Some(kept) = kept {
        headers.insert(header::AUTHORIZATION, kept);
    }
}

async fn dial(console: &Console, address: SocketAddr) -> Option<TcpStream> {
    let begun = Instant::now();
    let stream = timeout(DIAL, TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    // Without it keys that are typed wait for each other.
    stream.set_nodelay(true).ok()?;
    let keepalive = TcpKeepalive::new()
        .with_time(QUIET)
        .with_interval(ASK_AGAIN)
        .with_retries(ASKED_AT_MOST);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive).ok()?;
    console.metrics.dialled(begun.elapsed());
    Some(stream)
}

/// Where there is nothing to answer.
fn absent(console: &Console, place: &Place, away: Away, is_visit: bool) -> Response {
    let id = &place.id;
    let (reason, status) = match away {
        Away::Suspended => ("suspended", StatusCode::SERVICE_UNAVAILABLE),
        Away::Starting => ("starting", StatusCode::SERVICE_UNAVAILABLE),
        Away::Ends => ("ends", StatusCode::GONE),
        Away::Failed => ("failed", StatusCode::SERVICE_UNAVAILABLE),
        Away::NoEditor => ("no_editor", StatusCode::NOT_FOUND),
        Away::NoPort => ("no_port", StatusCode::NOT_FOUND),
        Away::Silent => ("silent", StatusCode::SERVICE_UNAVAILABLE),
        Away::Address => ("address", StatusCode::BAD_GATEWAY),
    };
    console.metrics.asked(reason);
    if !is_visit {
        let mut response = (status, format!("{reason}\n")).into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        return response;
    }
    let path = format!("/environments/{}/{}", id.namespace, id.name);
    let mut response = view::away(place, away, &console.config.console_address(&path));
    *response.status_mut() = status;
    crate::security::seal_answer(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(n, v): &(&'static str, &'static str)| {
            (
                http::HeaderName::from_static(n),
                HeaderValue::from_static(v),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn c14_a_page_of_another_environment_asks_nothing_of_this_one() {
        let host = "box--dev-alice.e.example.com";
        let may = |pairs: &[(&'static str, &'static str)]| is_same_origin(&headers(pairs), host);
        assert!(may(&[]));
        assert!(may(&[
            ("origin", "https://box--dev-alice.e.example.com"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(may(&[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document")
        ]));
        assert!(!may(&[(
            "origin",
            "https://evil--dev-mallory.e.example.com"
        )]));
        assert!(!may(&[("origin", "null")]));
        assert!(!may(&[
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "no-cors")
        ]));
        assert!(!may(&[
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe")
        ]));
        assert!(!may(&[
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document")
        ]));
    }
}
