//! The name of a host: `<label>.<editor domain>`. Made from a server, and a port of it, and found in the table; never taken apart.

use sha2::{Digest, Sha256};

use crate::table::ServerId;

/// Longest label of the DNS.
const LONGEST: usize = 63;
/// Hexadecimal digits by which servers differ whose plain label would not do.
const DIGITS: usize = 16;

/// The label of a server.
///
/// `<server>--<namespace>` where that fits and nothing else could mean the same; else the beginning of the name and digits.
/// The two forms never meet: the first has exactly one `--`, the second none.
pub fn of(id: &ServerId) -> String {
    let plain = format!("{}--{}", id.name, id.namespace);
    let is_clear = plain.matches("--").count() == 1
        && !id.name.ends_with('-')
        // `xn--` and its like mean something to browsers (RFC 5891).
        && plain.get(2..4) != Some("--");
    if plain.len() <= LONGEST && is_clear {
        return plain;
    }
    short(id, LONGEST)
}

/// The beginning of the name and digits, within so many letters.
fn short(id: &ServerId, longest: usize) -> String {
    let digest = Sha256::digest(format!("{}/{}", id.namespace, id.name));
    let digits: String = format!("{digest:x}").chars().take(DIGITS).collect();
    let mut start = String::new();
    for letter in id.name.chars().take(longest - DIGITS - 1) {
        if letter != '-' || !start.ends_with('-') {
            start.push(letter);
        }
    }
    format!("{}-{digits}", start.trim_end_matches('-'))
}

/// The label of a further port of a server: `<port>--<server>--<namespace>`, or the other form behind the port.
///
/// Names of servers begin with a letter, so it is none of [`of`]; and what two ports have in common is never a whole label.
pub fn of_port(port: u16, id: &ServerId) -> String {
    let front = format!("{port}--");
    let mut label = of(id);
    if front.len() + label.len() > LONGEST {
        label = short(id, LONGEST - front.len());
    }
    front + &label
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn id(name: &str, namespace: &str) -> ServerId {
        ServerId {
            name: name.into(),
            namespace: namespace.into(),
        }
    }

    #[test]
    fn the_plain_form_is_for_what_is_plain() {
        assert_eq!(of(&id("box", "dev-alice")), "box--dev-alice");
        assert_eq!(
            of_port(3000, &id("box", "dev-alice")),
            "3000--box--dev-alice"
        );
        let long = of_port(65_535, &id(&"a".repeat(52), "dev-alice"));
        assert!(long.starts_with("65535--aaa") && long.len() == 63, "{long}");
        // Fits by itself, and not behind a port.
        let close = id(&"a".repeat(50), "dev-alice");
        assert!(of(&close).contains("--") && of_port(3000, &close).len() <= 63);
        for (name, namespace) in [
            ("a--b", "c"),
            ("a", "b--c"),
            ("xn", "pretty"),
            (&"a".repeat(52), "dev-alice2"),
        ] {
            let label = of(&id(name, namespace));
            assert!(!label.contains("--") && label.len() <= 63, "{label}");
        }
        assert_ne!(of(&id("a--b", "c")), of(&id("a", "b--c")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn c13_two_servers_never_have_one_label(
            names in prop::collection::hash_set(("[a-z]([-a-z0-9]{0,50}[a-z0-9])?", "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?"), 1..60),
        ) {
            let mut seen = HashMap::new();
            for (name, namespace) in names {
                let id = id(&name, &namespace);
                let label = of(&id);
                prop_assert!(label.len() <= 63 && !label.ends_with('-') && label.starts_with(|c: char| c.is_ascii_lowercase()));
                let mut all = vec![label];
                all.extend([1, 80, 3000, 8080, 65_535].map(|port| of_port(port, &id)));
                for label in all {
                    prop_assert!(label.len() <= 63 && !label.ends_with('-'), "{}", label);
                    prop_assert!(seen.insert(label.clone(), id.clone()).is_none(), "{} is there twice", label);
                }
            }
        }
    }
}
