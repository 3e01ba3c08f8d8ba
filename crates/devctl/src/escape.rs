//! Makes text that others wrote safe to show on a terminal.
//!
//! A message of a cluster may hold escape codes that move the cursor, rename the window or hide what follows, and
//! characters that reorder a line (CVE-2021-42574). None of them reaches the terminal.

use std::{borrow::Cow, fmt::Write as _};

/// Whether a terminal would do something else with it than show it.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: line ends are escaped too.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_unsafe(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x100 => drop(write!(safe, "\\x{:02x}", u32::from(c))),
            c => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(safe)
}

/// Several lines: each is escaped, the line ends stay.
pub fn lines(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// One line of a log, with its end: tabs stay, and colors where they are wanted; whatever else a terminal would obey is
/// shown.
pub fn log_line(text: &str, has_colors: bool) -> String {
    let body = text.trim_end_matches(['\r', '\n']);
    let end = if text.ends_with('\n') { "\n" } else { "" };
    let mut safe = String::with_capacity(text.len() + 8);
    let mut is_colored = false;
    let mut rest = body;
    while let Some(letter) = rest.chars().next() {
        let color = color(rest);
        let taken = color.map_or(letter.len_utf8(), str::len);
        let (piece, others) = rest.split_at(taken);
        match color {
            Some(code) if has_colors => {
                safe.push_str(code);
                is_colored = true;
            }
            Some(_) => {}
            None if letter == '\t' => safe.push('\t'),
            None => safe.push_str(&line(piece)),
        }
        rest = others;
    }
    if is_colored {
        // What one line leaves on must not color the prompt.
        safe.push_str("\x1b[0m");
    }
    safe + end
}

/// The code for a color at the beginning of the text (ECMA-48, SGR).
fn color(text: &str) -> Option<&str> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    let is_color = end <= 32 && numbers.get(end..)?.starts_with('m');
    is_color.then(|| text.get(..end + 3)).flatten()
}

/// JSON: the value stays the same, because what is unsafe can only stand inside a string there.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_unsafe(c) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d11_escape_codes_are_shown_not_obeyed() {
        assert_eq!(line("a\x1b[31mred\x07\r\nb"), "a\\x1b[31mred\\x07\\x0d\\nb");
        assert_eq!(line("\u{9b}31m"), "\\x9b31m");
        assert_eq!(line("\u{202e}txt.exe"), "\\u{202e}txt.exe");
    }

    #[test]
    fn plain_text_in_any_language_stays() {
        assert_eq!(line("größer 環境 🙂"), "größer 環境 🙂");
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(lines("a\nb\x1b"), "a\nb\\x1b");
    }

    #[test]
    fn d11_a_log_keeps_tabs_and_colors_and_obeys_nothing_else() {
        let hostile = "\ta\x1b[1;31mred\x1b[0m\x1b]0;owned\x07\x1b[2J\x1b[999m\r\n";
        assert_eq!(
            log_line(hostile, true),
            "\ta\x1b[1;31mred\x1b[0m\\x1b]0;owned\\x07\\x1b[2J\x1b[999m\x1b[0m\n"
        );
        assert_eq!(
            log_line(hostile, false),
            "\tared\\x1b]0;owned\\x07\\x1b[2J\n"
        );
        assert_eq!(log_line("no end", true), "no end");
        assert_eq!(log_line("cut \x1b[3", true), "cut \\x1b[3");
        assert_eq!(log_line("größer 環境\n", true), "größer 環境\n");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a": "x\u{9b}y\u{202e}\u{7f}\u{e0001}"});
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !is_unsafe(c)));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
