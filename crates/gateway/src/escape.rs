//! Text that a stranger chose, made fit for one line of a log: bounded, and without anything that a terminal or a reader
//! of lines would take for more than text.

use std::fmt::Write;

/// Longest text kept, in characters of the escaped form; what is longer ends in `…`.
pub const LONGEST: usize = 256;

/// Printable ASCII as it is; everything else as `\u{…}`.
///
/// Letters of other alphabets are escaped, too: a look-alike of a name must not look like that name in an audit.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len().min(LONGEST));
    for character in text.chars() {
        if escaped.len() >= LONGEST {
            escaped.push('…');
            break;
        }
        match character {
            '\\' => escaped.push_str("\\\\"),
            ' '..='~' => escaped.push(character),
            // Writing to a String cannot fail.
            _ => drop(write!(escaped, "\\u{{{:x}}}", u32::from(character))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_look_alike_does_not_look_alike() {
        assert_eq!(escape("alice"), "alice");
        assert_eq!(escape("аlice"), "\\u{430}lice");
        assert_eq!(escape("a\u{1b}[2J\n"), "a\\u{1b}[2J\\u{a}");
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_short_printable_line(text in "\\PC{0,600}|.{0,600}") {
            let escaped = escape(&text);
            prop_assert!(escaped.chars().count() <= LONGEST + 12);
            prop_assert!(escaped.chars().all(|c| (' '..='~').contains(&c) || c == '…'));
        }
    }
}
