//! The known_hosts file of one DevServer, from the public keys its status publishes.

use devserver_api::ssh_key::{KeyError, PublicKey};

/// Why there is nothing to know the host by. There is no fallback: without keys there is no connection.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHostKeys {
    /// None published.
    #[error("the DevServer has not published its host keys")]
    Missing,
    /// One that is not a key.
    #[error("a published host key {0}")]
    Damaged(#[source] KeyError),
}

/// One line for each key, all under the alias.
pub fn render(alias: &str, keys: &[String]) -> Result<String, NoHostKeys> {
    if keys.is_empty() {
        return Err(NoHostKeys::Missing);
    }
    let mut text = String::new();
    for key in keys {
        let line = PublicKey::parse(key).map_err(NoHostKeys::Damaged)?.line();
        // Type and key only: a comment is somebody's text and of no use here.
        let words: Vec<&str> = line.split(' ').take(2).collect();
        text.push_str(alias);
        text.push(' ');
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";

    #[test]
    fn each_key_gets_a_line_under_the_alias() {
        let text = render("devserver-1", &[format!("{KEY} root@x\n")]).unwrap();
        assert_eq!(text, format!("devserver-1 {KEY}\n"));
    }

    #[test]
    fn without_keys_there_is_no_file() {
        assert_eq!(render("a", &[]), Err(NoHostKeys::Missing));
    }

    #[test]
    fn d10_markers_and_second_lines_are_refused() {
        for bad in [
            format!("@cert-authority * {KEY}"),
            format!("* {KEY}"),
            format!("{KEY}\n* {KEY}"),
            "ssh-ed25519 AAAA".to_owned(),
        ] {
            assert!(
                matches!(
                    render("a", std::slice::from_ref(&bad)),
                    Err(NoHostKeys::Damaged(_))
                ),
                "{bad}"
            );
        }
    }
}
