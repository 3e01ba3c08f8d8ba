//! What passes between a browser and an environment's editor, header by header. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::cookies;

/// What a client may not say to an environment: who it is and where it came from is ours to tell.
const NOT_IN: [&str; 7] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "proxy",
    "authorization",
];
/// The same for all that begin so.
const NOT_IN_PREFIX: [&str; 4] = [
    "x-forwarded-",
    "impersonate-",
    "x-remote-",
    "x-auth-request-",
];

/// Takes away from a request what is not for the environment, and says what is true. `identity`: headers by which a
/// proxy in front tells the console who asks.
pub fn request(headers: &mut HeaderMap, host: &str, identity: &[HeaderName]) {
    let is_ours = |name: &HeaderName| {
        NOT_IN.contains(&name.as_str())
            || NOT_IN_PREFIX
                .iter()
                .any(|start| name.as_str().starts_with(start))
            || identity.contains(name)
    };
    let gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_ours(name))
        .cloned()
        .collect();
    for name in gone {
        headers.remove(name);
    }
    let kept = cookies::without_ours(headers);
    headers.remove(header::COOKIE);
    if let Some(kept) = kept {
        headers.insert(header::COOKIE, kept);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert("x-forwarded-host", host);
    }
}

/// What would reach beyond the one origin, or speak for the connection between us and the client.
const NOT_OUT: [&str; 6] = [
    "strict-transport-security",
    "public-key-pins",
    "alt-svc",
    "report-to",
    "nel",
    "x-accel-redirect",
];

/// Takes away from an answer what would reach beyond the environment's own origin.
pub fn response(headers: &mut HeaderMap) {
    for name in NOT_OUT {
        headers.remove(name);
    }
    let cookies: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .cloned()
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies.into_iter().filter(cookies::may_be_set) {
        headers.append(header::SET_COOKIE, cookie);
    }
    // `*` and `"cookies"` take the cookies of every host below the registered domain, the console's among them.
    headers.remove("clear-site-data");
    // Nobody else may show it in a frame; the editor shows its own parts in frames.
    let frames = HeaderValue::from_static("frame-ancestors 'self'");
    headers.append(header::CONTENT_SECURITY_POLICY, frames);
    headers.insert(header::STRICT_TRANSPORT_SECURITY, crate::security::HSTS);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
}

/// Whether the request wants the connection for another protocol.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// Whether it is a websocket, and from a page of this very host.
pub fn may_upgrade(headers: &HeaderMap, host: &str) -> bool {
    let only = |name: HeaderName| {
        let mut all = headers.get_all(name).iter();
        let first = all.next().and_then(|v| v.to_str().ok());
        first.filter(|_| all.next().is_none())
    };
    let is_websocket = only(header::UPGRADE).is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    let own = format!("https://{host}");
    is_websocket && only(header::ORIGIN).is_some_and(|origin| origin.eq_ignore_ascii_case(&own))
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

    #[test]
    fn b6_nobody_tells_an_environment_who_they_are_or_where_from() {
        let mut headers = map(&[
            ("impersonate-user", "admin"),
            ("impersonate-extra-x", "1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "for=1.1.1.1"),
            ("x-corp-user", "admin"),
            ("authorization", "Bearer t"),
            ("cookie", "__Host-devserver-editor=s; a=1"),
            ("accept", "*/*"),
        ]);
        request(
            &mut headers,
            "box.e.example.com",
            &[HeaderName::from_static("x-corp-user")],
        );
        let expected = map(&[
            ("accept", "*/*"),
            ("cookie", "a=1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "box.e.example.com"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn f13_what_an_environment_answers_stays_in_its_origin() {
        let mut headers = map(&[
            (
                "set-cookie",
                "__Host-devserver-session=evil; Path=/; Secure",
            ),
            ("set-cookie", "theme=dark; Path=/"),
            ("set-cookie", "a=1; Domain=example.com"),
            ("clear-site-data", "\"*\""),
            ("strict-transport-security", "max-age=0; includeSubDomains"),
            ("location", "https://evil.example/"),
        ]);
        response(&mut headers);
        let set: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(set, ["theme=dark; Path=/"]);
        assert!(!headers.contains_key("clear-site-data"));
        assert_ne!(
            headers["strict-transport-security"],
            "max-age=0; includeSubDomains"
        );
        // A page of theirs may lead anywhere, as any page may.
        assert_eq!(headers["location"], "https://evil.example/");
    }

    #[test]
    fn f11_a_websocket_needs_the_origin_of_its_host() {
        let host = "box.e.example.com";
        let ask = |origin: Option<&'static str>, upgrade: &'static str| {
            let mut headers = map(&[("upgrade", upgrade)]);
            if let Some(origin) = origin {
                headers.insert("origin", HeaderValue::from_static(origin));
            }
            may_upgrade(&headers, host)
        };
        assert!(ask(Some("https://box.e.example.com"), "websocket"));
        for origin in [
            None,
            Some("null"),
            Some("http://box.e.example.com"),
            Some("https://evil.example"),
            Some("https://c.example.com"),
            Some("https://box.e.example.com.evil.example"),
            Some("https://box.e.example.com:444"),
        ] {
            assert!(!ask(origin, "websocket"), "{origin:?}");
        }
        assert!(!ask(Some("https://box.e.example.com"), "h2c"));
    }
}
