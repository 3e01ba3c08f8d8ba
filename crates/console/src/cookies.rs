//! Our cookies: their names, how they are set and how they are read. All are `__Host-`: this origin's alone, over TLS alone.

use http::{HeaderMap, HeaderValue, header};

/// All our cookies begin with this; what others set under it is taken away.
pub const PREFIX: &str = "__Host-devserver";
/// The session, at the console.
pub const SESSION: &str = "__Host-devserver-session";
/// A login on its way to the provider and back, at the console.
pub const LOGIN: &str = "__Host-devserver-login";
/// An editor that was let in, at the editor's host.
pub const EDITOR: &str = "__Host-devserver-editor";
/// Ties a way through the console to the browser that began it, at the editor's host.
pub const NONCE: &str = "__Host-devserver-nonce";

/// The value of a cookie; nothing where it is there twice, because one of them is somebody else's.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = pairs(headers).filter(|(key, _)| *key == name);
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let texts = headers.get_all(header::COOKIE).into_iter();
    texts
        .filter_map(|text| text.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// Sets one for some seconds.
pub fn set(name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::try_from(text).ok()
}

/// Takes one away.
pub fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", 0)
}

/// The cookies of a request without ours: what an environment may see.
pub fn without_ours(headers: &HeaderMap) -> Option<HeaderValue> {
    let kept: Vec<String> = pairs(headers)
        .filter(|(name, _)| !is_ours(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (!kept.is_empty()).then(|| HeaderValue::try_from(kept.join("; ")).ok())?
}

/// Browsers compare the prefix without regard to case.
pub fn is_ours(name: &str) -> bool {
    let name = name.trim();
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Whether an environment may set this cookie: none of our names, and none for other hosts than its own.
pub fn may_be_set(cookie: &HeaderValue) -> bool {
    let Ok(text) = cookie.to_str() else {
        return false;
    };
    let mut parts = text.split(';');
    let first = parts.next().unwrap_or_default();
    // Without `=` browsers take the whole as the value of a cookie without a name, and send it back as it is.
    let Some((name, _)) = first.split_once('=') else {
        return false;
    };
    let has_domain = parts.any(|part| {
        let key = part.split('=').next().unwrap_or_default();
        key.trim().eq_ignore_ascii_case("domain")
    });
    !name.trim().is_empty() && !is_ours(name) && !has_domain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&'static str]) -> HeaderMap {
        let pairs = cookies
            .iter()
            .map(|c| (header::COOKIE, HeaderValue::from_static(c)));
        pairs.collect()
    }

    #[test]
    fn ours_never_reach_an_environment_and_theirs_do() {
        let sent = headers(&[
            "a=1; __Host-devserver-editor=x; b=2",
            "__HOST-DEVSERVER-nonce=y",
        ]);
        assert_eq!(without_ours(&sent).unwrap(), "a=1; b=2");
        assert_eq!(
            without_ours(&headers(&["__Host-devserver-session=s"])),
            None
        );
    }

    #[test]
    fn one_that_is_there_twice_is_not_believed() {
        assert_eq!(read(&headers(&["a=1; b=2"]), "b"), Some("2"));
        assert_eq!(read(&headers(&["a=1; a=2"]), "a"), None);
        assert_eq!(read(&headers(&["a=1", "a=2"]), "a"), None);
    }

    #[test]
    fn f13_an_environment_sets_no_cookie_of_ours_and_none_for_others() {
        for text in [
            "__Host-devserver-session=evil; Path=/; Secure",
            "__host-devserver-editor=evil",
            " __Host-devserver-editor=evil",
            "a=1; Domain=example.com",
            "a=1; path=/; dOmAiN = .example.com",
            "=__Host-devserver-session=evil",
            "novalue",
            "",
        ] {
            assert!(!may_be_set(&HeaderValue::from_str(text).unwrap()), "{text}");
        }
        for text in [
            "a=1",
            "code-server-session=x; Path=/; SameSite=Lax",
            "domain=1; Path=/",
        ] {
            assert!(may_be_set(&HeaderValue::from_str(text).unwrap()), "{text}");
        }
    }
}
