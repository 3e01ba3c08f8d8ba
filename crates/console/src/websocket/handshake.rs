//! The beginning of a websocket (RFC 6455, 4): what the browser offers goes to the pod, and the pod's choice back.

use std::time::Duration;

use axum::body::Body;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tungstenite::handshake::derive_accept_key;

/// The one extension that leaves control frames as they are, so that ours fit between.
const DEFLATE: &str = "permessage-deflate";
/// What speaks of one connection and not of the request (RFC 9110, 7.6.1).
const OF_ONE_HOP: [HeaderName; 5] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const OF_ONE_HOP_TOO: [&str; 4] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
];

/// What became of asking.
pub enum Answer {
    /// The pod is willing: the answer for the browser, and the two ends once it has it.
    Open {
        response: Response<Body>,
        browser: OnUpgrade,
        pod: OnUpgrade,
    },
    /// It is not; this is what it says.
    No(Response<Body>),
    /// What the browser wants is no websocket.
    Bad,
    /// There is no answer, or none that fits the question.
    Away,
}

/// What the browser has offered.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    key: HeaderValue,
    protocols: Vec<String>,
    deflates: bool,
}

/// Asks the pod at the other end of the stream. `kept` lives as long as an answer that opens nothing.
pub async fn ask<K: Send + 'static>(
    mut request: Request<Body>,
    stream: TcpStream,
    patience: Duration,
    kept: K,
) -> Answer {
    let offer = (request.method() == Method::GET)
        .then(|| offer(request.headers_mut()))
        .flatten();
    let Some(offer) = offer else {
        return Answer::Bad;
    };
    let browser = hyper::upgrade::on(&mut request);
    let path = request.uri().path_and_query().cloned();
    let mut asked = Request::new(Body::empty());
    *asked.version_mut() = Version::HTTP_11;
    *asked.uri_mut() = path.map(Into::into).unwrap_or_default();
    *asked.headers_mut() = std::mem::take(request.headers_mut());
    let Ok(Some(mut answer)) = timeout(patience, exchange(asked, stream)).await else {
        return Answer::Away;
    };
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        without_hop(answer.headers_mut());
        // The body keeps what the connection counts for.
        let body = |body: hyper::body::Incoming| {
            Body::new(body.map_frame(move |frame| {
                let _ = &kept;
                frame
            }))
        };
        return Answer::No(answer.map(body));
    }
    if !fits(&offer, answer.headers()) {
        return Answer::Away;
    }
    let pod = hyper::upgrade::on(&mut answer);
    without_hop(answer.headers_mut());
    say_upgrade(answer.headers_mut());
    Answer::Open {
        response: answer.map(|_| Body::empty()),
        browser,
        pod,
    }
}

async fn exchange(
    request: Request<Body>,
    stream: TcpStream,
) -> Option<Response<hyper::body::Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    // Ends with the answer's body, or hands the stream over.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.ok()
}

fn say_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let texts = headers.get_all(name).into_iter();
    texts
        .filter_map(|text| text.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn says(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    words(headers, name).any(|word| word.eq_ignore_ascii_case(wanted))
}

/// The one value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn is_deflate(extension: &str) -> bool {
    let name = extension.split(';').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(DEFLATE)
}

fn without_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = words(headers, &CONNECTION)
        .filter_map(|word| HeaderName::try_from(word).ok())
        .collect();
    for name in named.iter().chain(&OF_ONE_HOP) {
        headers.remove(name);
    }
    for name in OF_ONE_HOP_TOO {
        headers.remove(name);
    }
}

/// Takes what is offered out of a request and makes the request one for the pod; `None`: it is no websocket.
fn offer(headers: &mut HeaderMap) -> Option<Offer> {
    let is_upgrade = says(headers, &CONNECTION, "upgrade") && says(headers, &UPGRADE, "websocket");
    let version = only(headers, &SEC_WEBSOCKET_VERSION)?;
    if !is_upgrade || version != "13" {
        return None;
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY)?.clone();
    let protocols = words(headers, &SEC_WEBSOCKET_PROTOCOL)
        .map(str::to_owned)
        .collect();
    let kept: Vec<&str> = words(headers, &SEC_WEBSOCKET_EXTENSIONS)
        .filter(|extension| is_deflate(extension))
        .collect();
    let (deflates, kept) = (!kept.is_empty(), kept.join(", "));
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    if deflates {
        let kept = HeaderValue::try_from(kept).ok()?;
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, kept);
    }
    without_hop(headers);
    headers.remove(CONTENT_LENGTH);
    say_upgrade(headers);
    Some(Offer {
        key,
        protocols,
        deflates,
    })
}

/// Whether the pod has answered this question, and chosen of what was offered.
fn fits(offer: &Offer, answer: &HeaderMap) -> bool {
    let is_upgrade = says(answer, &CONNECTION, "upgrade") && says(answer, &UPGRADE, "websocket");
    let accept = derive_accept_key(offer.key.as_bytes());
    let is_ours = only(answer, &SEC_WEBSOCKET_ACCEPT).is_some_and(|a| *a == accept.as_str());
    let chosen: Vec<&str> = words(answer, &SEC_WEBSOCKET_PROTOCOL).collect();
    let may_choose = chosen.len() <= 1
        && chosen
            .iter()
            .all(|chosen| offer.protocols.iter().any(|offered| offered == chosen));
    let mut extensions = words(answer, &SEC_WEBSOCKET_EXTENSIONS);
    is_upgrade && is_ours && may_choose && extensions.all(|e| offer.deflates && is_deflate(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(n, v): &(&'static str, &'static str)| {
            (HeaderName::from_static(n), HeaderValue::from_static(v))
        };
        pairs.iter().map(pair).collect()
    }

    const ASKS: [(&str, &str); 7] = [
        ("connection", "keep-alive, Upgrade, x-secret"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "vite-hmr, chat"),
        (
            "sec-websocket-extensions",
            "x-mux, permessage-deflate; client_max_window_bits",
        ),
        ("x-secret", "of this hop"),
    ];
    /// Of the example in RFC 6455, 1.3.
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn the_pod_is_asked_what_the_browser_asks_but_for_what_is_of_one_hop() {
        let mut headers = map(&ASKS);
        let offer = offer(&mut headers).unwrap();
        assert_eq!(offer.protocols, ["vite-hmr", "chat"]);
        let expected = map(&[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "vite-hmr, chat"),
            (
                "sec-websocket-extensions",
                "permessage-deflate; client_max_window_bits",
            ),
        ]);
        assert_eq!(headers, expected);
        for name in ["connection", "upgrade", "sec-websocket-key"] {
            let mut less = map(&ASKS);
            less.remove(name);
            assert_eq!(super::offer(&mut less), None, "{name}");
        }
        let mut two = map(&ASKS);
        two.append("sec-websocket-key", HeaderValue::from_static("another"));
        assert_eq!(super::offer(&mut two), None);
    }

    #[test]
    fn an_answer_to_another_question_or_with_what_was_not_offered_opens_nothing() {
        let offer = offer(&mut map(&ASKS)).unwrap();
        let good = [
            ("connection", "upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-accept", ACCEPT),
        ];
        let with = |name: &'static str, value: &'static str| {
            let mut headers = map(&good);
            headers.insert(name, HeaderValue::from_static(value));
            fits(&offer, &headers)
        };
        assert!(fits(&offer, &map(&good)));
        assert!(with("sec-websocket-protocol", "chat"));
        assert!(with("sec-websocket-extensions", "permessage-deflate"));
        for (name, value) in [
            ("sec-websocket-protocol", "other"),
            ("sec-websocket-protocol", "chat, vite-hmr"),
            ("sec-websocket-extensions", "x-mux"),
            ("sec-websocket-accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("upgrade", "h2c"),
        ] {
            assert!(!with(name, value), "{name}: {value}");
        }
        let plain = Offer {
            deflates: false,
            ..offer
        };
        let mut headers = map(&good);
        headers.insert(
            SEC_WEBSOCKET_EXTENSIONS,
            HeaderValue::from_static("permessage-deflate"),
        );
        assert!(!fits(&plain, &headers));
    }
}
