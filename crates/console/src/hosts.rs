//! What a request is for, by its host; and where it comes from. Pure.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header};

use crate::config::Config;

/// What a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// The console's own.
    Console,
    /// An editor's: the label in front of the editor domain.
    Editor(String),
}

/// Why a host is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// None, several, or another in the address than in the header: 400.
    Unclear,
    /// Somebody else's: 421.
    Foreign,
}

/// Which host is meant.
pub fn host(config: &Config, uri: &Uri, headers: &HeaderMap) -> Result<Host, Wrong> {
    let mut told = headers.get_all(header::HOST).iter();
    let (Some(first), None) = (told.next(), told.next()) else {
        return Err(Wrong::Unclear);
    };
    let name = first
        .to_str()
        .map_err(|_| Wrong::Unclear)?
        .to_ascii_lowercase();
    if uri
        .authority()
        .is_some_and(|a| !a.as_str().eq_ignore_ascii_case(&name))
    {
        return Err(Wrong::Unclear);
    }
    if name == config.console_host {
        return Ok(Host::Console);
    }
    let label = name
        .strip_suffix(&config.editor_domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .filter(|label| !label.is_empty() && !label.contains('.'));
    label
        .map(|label| Host::Editor(label.to_owned()))
        .ok_or(Wrong::Foreign)
}

/// The address of the client: that of the peer, unless a trusted proxy names another. Of several, the last that is not
/// itself a trusted proxy: whatever stands before it, the client may have written.
pub fn source(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    if !config.is_trusted(peer) {
        return peer;
    }
    let all = headers.get_all("x-forwarded-for");
    let named: Vec<&str> = all
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .collect();
    let mut best = peer;
    for text in named.iter().rev() {
        let Ok(address) = text.trim().parse::<IpAddr>() else {
            break;
        };
        best = address.to_canonical();
        if !config.is_trusted(best) {
            break;
        }
    }
    best
}

/// Whether a trusted proxy says that the client came without TLS.
pub fn came_plain(config: &Config, peer: IpAddr, headers: &HeaderMap) -> bool {
    let told = headers
        .get("x-forwarded-proto")
        .and_then(|v| v.to_str().ok());
    config.is_trusted(peer.to_canonical())
        && told.is_some_and(|proto| proto.eq_ignore_ascii_case("http"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn config() -> Config {
        let text = "consoleUrl: https://c.example.com\neditorDomain: e.example.com\nsessionKeyFile: /k\ntrustedProxies: [10.0.0.0/8]\n\
                    oidc: {issuer: 'https://i', clientId: c, clientSecretFile: /s, usernameClaim: email}";
        Config::parse(text, |_| Ok(vec![0; 64])).unwrap()
    }

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let name = http::HeaderName::from_static(name);
        values
            .iter()
            .map(|v| (name.clone(), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn f12_a_host_that_is_not_ours_is_refused() {
        let ask = |values: &[&'static str]| {
            host(&config(), &Uri::from_static("/"), &headers("host", values))
        };
        assert_eq!(ask(&["C.example.com"]), Ok(Host::Console));
        assert_eq!(
            ask(&["box--dev.e.example.com"]),
            Ok(Host::Editor("box--dev".into()))
        );
        for foreign in [
            "example.com",
            "e.example.com",
            ".e.example.com",
            "a.b.e.example.com",
            "xe.example.com",
            "c.example.com:444",
            "c.example.com.",
            "",
        ] {
            assert_eq!(ask(&[foreign]), Err(Wrong::Foreign), "{foreign}");
        }
        assert_eq!(ask(&[]), Err(Wrong::Unclear));
        assert_eq!(ask(&["c.example.com", "evil.example"]), Err(Wrong::Unclear));
        let other = Uri::from_static("http://evil.example/");
        assert_eq!(
            host(&config(), &other, &headers("host", &["c.example.com"])),
            Err(Wrong::Unclear)
        );
    }

    #[test]
    fn f12_forwarded_addresses_count_from_trusted_proxies_only() {
        let ask = |peer: &str, values: &[&'static str]| {
            source(
                &config(),
                peer.parse().unwrap(),
                &headers("x-forwarded-for", values),
            )
            .to_string()
        };
        assert_eq!(ask("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(ask("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            ask("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(ask("10.0.0.1", &["1.1.1.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(ask("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(ask("10.0.0.1", &[]), "10.0.0.1");
        assert!(came_plain(
            &config(),
            "10.0.0.1".parse().unwrap(),
            &headers("x-forwarded-proto", &["http"])
        ));
        assert!(!came_plain(
            &config(),
            "192.0.2.1".parse().unwrap(),
            &headers("x-forwarded-proto", &["http"])
        ));
    }
}
