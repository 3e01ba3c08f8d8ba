//! `<server>` and `<server>.<namespace>`: what a client may ask to be taken to.

use std::fmt;

use devserver_api::names::ServerName;

/// Longest name of a namespace (RFC 1123 label).
const NAMESPACE_MAX: usize = 63;

/// A DevServer: namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId {
    /// Namespace.
    pub namespace: String,
    /// Name in it.
    pub name: String,
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.namespace)
    }
}

/// What a client named; without a namespace it means one of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the DevServer.
    pub server: ServerName,
    /// Namespace, if the client said one.
    pub namespace: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}.{namespace}", self.server),
            None => self.server.fmt(f),
        }
    }
}

impl Target {
    /// Reads the host of a `direct-tcpip` request. `None` for anything that is not exactly a name: an address, a name of the
    /// DNS, an empty part, a capital letter. Nothing is trimmed, folded or decoded, and nothing is ever looked up in the DNS.
    pub fn parse(text: &str) -> Option<Self> {
        let (server, namespace) = match text.split_once('.') {
            Some((server, namespace)) => (server, Some(namespace)),
            None => (text, None),
        };
        if namespace.is_some_and(|word| !is_namespace(word)) {
            return None;
        }
        Some(Self {
            server: ServerName::parse(server).ok()?,
            namespace: namespace.map(str::to_owned),
        })
    }
}

/// Whether the word is a DNS label of RFC 1123, the rule for namespaces.
fn is_namespace(word: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=NAMESPACE_MAX).contains(&word.len())
        && word.bytes().all(inner)
        && !word.starts_with('-')
        && !word.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_and_a_namespace_are_read() {
        let target = Target::parse("box.dev-alice").unwrap();
        assert_eq!(target.server.as_str(), "box");
        assert_eq!(target.namespace.as_deref(), Some("dev-alice"));
        assert_eq!(Target::parse("box").unwrap().namespace, None);
    }

    #[test]
    fn c8_addresses_and_names_of_the_dns_are_no_targets() {
        for text in [
            "10.0.0.1",
            "127.0.0.1",
            "localhost.",
            "::1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "0",
            "2130706433",
            "0x7f000001",
            "box.dev-alice.svc",
            "box.dev-alice.svc.cluster.local",
            "evil.example.com",
            "box.",
            ".dev-alice",
            ".",
            "",
            "box..dev",
            "Box",
            "box ",
            " box",
            "box\0",
            "box%00",
            "../box",
            "box/../x",
            "bоx",
            "box.dev-alice\n",
            "-oProxyCommand=id",
        ] {
            assert_eq!(Target::parse(text), None, "{text:?}");
        }
        assert_eq!(Target::parse(&"a".repeat(53)), None);
        assert_eq!(Target::parse(&format!("a.{}", "b".repeat(64))), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(text in "\\PC{0,80}|[-a-z0-9.]{0,130}") {
            if let Some(target) = Target::parse(&text) {
                prop_assert_eq!(target.to_string(), text);
            }
        }

        #[test]
        fn no_address_is_a_target(v4 in any::<std::net::Ipv4Addr>(), v6 in any::<std::net::Ipv6Addr>()) {
            prop_assert_eq!(Target::parse(&v4.to_string()), None);
            prop_assert_eq!(Target::parse(&v6.to_string()), None);
        }
    }
}
