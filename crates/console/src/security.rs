//! What protects the console's pages in browsers: headers of each answer, and the proof that a form is ours.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{config::Config, seal, session::Session};

/// A year, and for hosts below as well.
pub const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
/// Nothing but what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Headers of each answer of the console itself.
pub fn seal_answer(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Whether a change comes from a page of ours: by its origin, and by the word that only our pages know.
pub fn is_ours(config: &Config, headers: &HeaderMap, session: &Session, word: &str) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok());
    let own = format!("https://{}", config.console_host);
    // Browsers that send no Origin with a form tell the relation of the two sites.
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    let from_here = match (origin, site) {
        (Some(origin), _) if origin != own => false,
        (_, Some(site)) => site == "same-origin",
        (Some(_), None) => true,
        (None, None) => false,
    };
    from_here && seal::is_same(word, &session.csrf)
}

/// An address within the console, or its first page: never another host, however it is written.
pub fn local_path(text: &str) -> &str {
    let mut letters = text.chars();
    let starts = letters.next() == Some('/') && !matches!(letters.next(), Some('/' | '\\'));
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if starts && is_plain { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn f10_no_path_leads_to_another_host() {
        for good in ["/", "/environments/dev-alice/box", "/enter?host=a&path=%2F"] {
            assert_eq!(local_path(good), good);
        }
        for evil in [
            "//evil",
            "/\\evil",
            "\\evil",
            "https://evil",
            "evil",
            "",
            "/\t/evil",
            "/a\r\nSet-Cookie: x",
            "/\u{2f}/evil",
            "javascript:alert(1)",
            "/a\\..\\b",
        ] {
            let taken = local_path(evil);
            assert!(taken == "/" || !taken.starts_with("//"), "{evil:?} {taken}");
        }
        assert_eq!(local_path("//evil"), "/");
        assert_eq!(local_path("/\\evil"), "/");
    }

    #[test]
    fn f10_a_change_needs_our_origin_and_our_word() {
        let text = "consoleUrl: https://c.example.com\neditorDomain: e.example.com\nsessionKeyFile: /k\n\
                    oidc: {issuer: 'https://i', clientId: c, clientSecretFile: /s, usernameClaim: email}";
        let config = Config::parse(text, |_| Ok(vec![0; 64])).unwrap();
        let session = Session::begin(
            Identity {
                user: "a".into(),
                is_admin: false,
            },
            0,
            60,
        );
        let ask = |origin: Option<&'static str>, site: Option<&'static str>, word: &str| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            is_ours(&config, &headers, &session, word)
        };
        let (own, word) = (Some("https://c.example.com"), session.csrf.as_str());
        assert!(ask(own, Some("same-origin"), word));
        assert!(ask(own, None, word));
        assert!(ask(None, Some("same-origin"), word));
        assert!(!ask(own, Some("same-origin"), "guess"));
        assert!(!ask(own, Some("same-origin"), ""));
        assert!(!ask(None, None, word));
        assert!(!ask(own, Some("same-site"), word));
        assert!(!ask(Some("null"), Some("same-origin"), word));
        assert!(!ask(
            Some("https://box.e.example.com"),
            Some("same-site"),
            word
        ));
    }
}
