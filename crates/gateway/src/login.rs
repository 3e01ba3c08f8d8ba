//! The ssh user name at the gateway: who somebody says they are.

use crate::target::Target;

/// Longest name of a user: what `spec.owner` may have.
const USER_MAX: usize = 253;

/// A user name that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user, as in `spec.owner` of a DevServer or `spec.username` of a DevServerUser.
    pub user: String,
    /// The server in `<user>+<server>`: somebody wants to be taken there without a jump.
    pub direct: Option<Target>,
}

impl Login {
    /// Reads the name. Compared byte by byte afterwards: nothing is folded, trimmed or decoded, so that a look-alike, another
    /// case or `%00` is another user, which is to say nobody.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, direct) = match text.split_once('+') {
            Some((user, server)) => (user, Some(Target::parse(server)?)),
            None => (text, None),
        };
        is_user(user).then(|| Self {
            user: user.to_owned(),
            direct,
        })
    }
}

/// Whether the word may be the name of a user here: letters, digits, `.`, `_`, `-`, `@` and the `:` of service accounts, a letter
/// or digit first.
pub fn is_user(word: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b':');
    word.len() <= USER_MAX
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_and_an_address_of_one_are_read() {
        assert_eq!(Login::parse("alice").unwrap().user, "alice");
        let login = Login::parse("alice@example.com+box.dev-alice").unwrap();
        assert_eq!(login.user, "alice@example.com");
        assert_eq!(login.direct.unwrap().server.as_str(), "box");
    }

    #[test]
    fn c7_what_is_no_name_is_nobody() {
        for text in [
            "",
            "+",
            "+box",
            "alice+",
            "alice+../x",
            "alice+box+box",
            "alice+10.0.0.1",
            "alice%00",
            "alice\0",
            "аlice",
            "alice ",
            " alice",
            "-oProxyCommand=id",
            "alice\n",
            "$(id)",
            "alice;id",
            "alice/bob",
        ] {
            assert_eq!(Login::parse(text), None, "{text:?}");
        }
        assert_eq!(Login::parse(&"a".repeat(254)), None);
        assert_ne!(
            Login::parse("Alice").unwrap(),
            Login::parse("alice").unwrap()
        );
    }

    proptest! {
        #[test]
        fn every_name_read_is_made_of_harmless_characters(text in "\\PC{0,300}|[a-z0-9+.@_-]{0,300}|.{0,300}") {
            if let Some(login) = Login::parse(&text) {
                prop_assert!(login.user.bytes().all(|b| b.is_ascii_graphic() && b != b'+'));
                prop_assert!(text.starts_with(&login.user));
            }
        }
    }
}
