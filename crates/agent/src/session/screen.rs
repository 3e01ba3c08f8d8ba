//! What is on the screen of a session, for whoever comes back to it.
//!
//! The program's own output is not kept: to play it again would also ask again what the program asked the terminal, and the
//! answers would be typed into it.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::frame::Size;

/// Lines above the screen that are kept.
const SCROLLBACK: usize = 2000;
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// The screen as a terminal would show it.
pub struct Screen(vt100::Parser);

fn parser((rows, columns): Size) -> vt100::Parser {
    let at_least_one = |n: u16, usual: u16| {
        NonZeroU16::new(n)
            .or(NonZeroU16::new(usual))
            .unwrap_or(NonZeroU16::MIN)
    };
    vt100::Parser::new(
        at_least_one(rows, ROWS),
        at_least_one(columns, COLUMNS),
        SCROLLBACK,
    )
}

impl Screen {
    /// Empty.
    pub fn new(size: Size) -> Self {
        Self(parser(size))
    }

    /// Takes what the program prints. A screen that cannot be followed any more begins anew; the session goes on.
    pub fn take(&mut self, bytes: &[u8]) {
        self.guarded(|parser| parser.process(bytes));
    }

    /// The window has another size.
    pub fn resize(&mut self, (rows, columns): Size) {
        if let (Some(rows), Some(columns)) = (NonZeroU16::new(rows), NonZeroU16::new(columns)) {
            self.guarded(|parser| parser.set_size(rows, columns));
        }
    }

    fn guarded(&mut self, change: impl FnOnce(&mut vt100::Parser)) {
        let parser_before = &mut self.0;
        if catch_unwind(AssertUnwindSafe(|| change(parser_before))).is_err() {
            let (rows, columns) = self.size();
            self.0 = parser((rows, columns));
        }
    }

    /// Rows and columns.
    pub fn size(&self) -> Size {
        let (rows, columns) = self.0.screen().size();
        (rows.get(), columns.get())
    }

    /// What makes another terminal look the same: the lines above, then the screen, then the modes.
    pub fn restored(&mut self) -> Vec<u8> {
        let (rows, columns) = self.size();
        let is_alternate = self.0.screen().alternate_screen();
        let mut text = String::new();
        if is_alternate {
            // A full-screen program: the lines above belong to what was before it.
            text.push_str("\x1b[?1049h");
        } else {
            self.lines_above(rows, columns, &mut text);
        }
        text.push_str(&self.0.screen().state_formatted());
        text.into_bytes()
    }

    fn lines_above(&mut self, rows: u16, columns: u16, text: &mut String) {
        let screen = self.0.screen_mut();
        let mut above = screen.scrollback_len();
        if above == 0 {
            return;
        }
        while above > 0 {
            screen.set_scrollback(above);
            let taken = above.min(usize::from(rows));
            for line in screen.rows(0, columns).take(taken) {
                text.push_str(line.trim_end());
                text.push_str("\r\n");
            }
            above -= taken;
        }
        screen.set_scrollback(0);
        // Out of the way of the screen, which is drawn from its first line.
        text.push_str(&"\r\n".repeat(usize::from(rows)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], size: Size) -> String {
        let mut terminal = Screen::new(size);
        terminal.take(bytes);
        terminal.0.screen().contents()
    }

    #[test]
    fn another_terminal_shows_the_same() {
        let mut screen = Screen::new((5, 20));
        screen.take(b"one\r\n\x1b[31mtwo\x1b[0m\x1b[4;3Hthree");
        let again = screen.restored();
        assert_eq!(shown(&again, (5, 20)), screen.0.screen().contents());
        assert!(!again.windows(3).any(|w| w == b"\x1b[c"));
    }

    #[test]
    fn what_the_program_asked_the_terminal_is_not_asked_again() {
        let mut screen = Screen::new((5, 20));
        screen.take(b"a\x1b[c\x1b[6n\x1b]11;?\x07b");
        let again = String::from_utf8(screen.restored()).unwrap();
        for question in ["\x1b[c", "\x1b[6n", "\x1b]11;?"] {
            assert!(!again.contains(question), "{again:?}");
        }
        assert!(again.contains("ab"), "{again:?}");
    }

    #[test]
    fn lines_that_scrolled_away_are_there_again_and_a_full_screen_program_has_none() {
        let mut screen = Screen::new((3, 20));
        for n in 0..50 {
            screen.take(format!("line {n}\r\n").as_bytes());
        }
        let again = String::from_utf8(screen.restored()).unwrap();
        assert!(
            again.contains("line 0\r\n") && again.contains("line 47\r\n"),
            "{again:?}"
        );
        screen.take(b"\x1b[?1049h\x1b[Hfull");
        let full = String::from_utf8(screen.restored()).unwrap();
        assert!(
            full.starts_with("\x1b[?1049h") && !full.contains("line 0"),
            "{full:?}"
        );
    }

    #[test]
    fn no_output_and_no_size_ends_the_screen() {
        let mut screen = Screen::new((0, 0));
        for size in [(1, 1), (0, 5), (500, 500), (2, 3)] {
            screen.resize(size);
            screen.take("環境\x1b[999;999H\x1b[2J\x1b[5M\x1b[3L\x1b[1;1r\n\n\t\x08x".as_bytes());
            screen.restored();
        }
    }
}
