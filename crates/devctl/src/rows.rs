//! Rows that come one after another: a table that is not known as a whole when its first line is printed.

use std::{fmt::Write as _, io::IsTerminal as _};

use crate::{escape, output};

/// Between two columns.
const GAP: usize = 3;

/// Remembers how wide each column was, so that later rows stand below earlier ones.
pub struct Rows {
    headings: Option<Vec<String>>,
    widths: Vec<usize>,
    /// Columns of the terminal; absent, where nobody looks.
    room: Option<usize>,
}

impl Rows {
    /// Begins with the headings, which are printed before the first row.
    pub fn new(headings: &[&str]) -> Self {
        let room = std::io::stdout()
            .is_terminal()
            .then(output::width)
            .flatten();
        Self::within(headings, room)
    }

    /// The same for a terminal of so many columns; text is cut there and nowhere else.
    pub fn within(headings: &[&str], room: Option<usize>) -> Self {
        let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
        Self {
            widths: vec![0; headings.len()],
            headings: Some(headings),
            room,
        }
    }

    /// The text of these rows. Every cell is escaped here.
    pub fn text(&mut self, rows: Vec<Vec<String>>) -> String {
        let escaped = rows.into_iter().map(|row| {
            let cells = row.iter().map(|cell| escape::line(cell).into_owned());
            cells.collect::<Vec<_>>()
        });
        let lines: Vec<Vec<String>> = self.headings.take().into_iter().chain(escaped).collect();
        for (at, width) in self.widths.iter_mut().enumerate() {
            let cells = lines.iter().filter_map(|line| line.get(at));
            *width = (*width).max(cells.map(|c| output::columns_of(c)).max().unwrap_or(0));
        }
        let mut text = String::new();
        for line in &lines {
            let mut whole = String::new();
            for (cell, width) in line.iter().zip(&self.widths) {
                let fill = (width + GAP).saturating_sub(output::columns_of(cell));
                // Writing to a String cannot fail.
                let _ = write!(whole, "{cell}{:fill$}", "");
            }
            let whole = whole.trim_end();
            let shown = self.room.map_or(whole, |room| output::cut(whole, room));
            text.push_str(shown);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    #[test]
    fn later_rows_stand_below_earlier_ones() {
        let mut rows = Rows::within(&["A", "B"], None);
        assert_eq!(rows.text(vec![row(&["long", "x"])]), "A      B\nlong   x\n");
        assert_eq!(rows.text(vec![row(&["s", "y"])]), "s      y\n");
    }

    #[test]
    fn wide_letters_take_two_columns_and_a_narrow_terminal_cuts() {
        let mut rows = Rows::within(&["A", "B"], Some(8));
        assert_eq!(
            rows.text(vec![row(&["環境", "message"])]),
            "A      B\n環境   m\n"
        );
    }
}
