//! What goes to standard output: text, tables, objects. Nothing else prints there.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Cell, Color, Table, presets};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::{
    escape,
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Form of the output of commands that show objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `devserver.devserver.io/NAME`, one in each line.
    Name,
}

/// Prints text that is already safe.
pub fn print(text: &str) -> Outcome {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader (such as `head`) has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Failure::io("failed to write to standard output", &e)),
        Ok(()) => Ok(()),
    }
}

/// Prints bytes as they are. `false` when nobody reads them any more.
pub fn raw(bytes: &[u8]) -> Outcome<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::io("failed to write to standard output", &e)),
        Ok(()) => Ok(true),
    }
}

/// Prints lines that may hold text of others.
pub fn say(text: &str) -> Outcome {
    print(&format!("{}\n", escape::lines(text)))
}

/// Tells something beside the result; on standard error, so that pipes stay clean.
pub fn note(text: &str) {
    let mut err = anstream::stderr().lock();
    // Nothing can be done when even standard error is closed.
    let _ = writeln!(err, "{}", escape::lines(text));
}

/// One object or list as JSON or YAML.
pub fn structured<T: Serialize>(value: &T, format: Format) -> Outcome<String> {
    let failed = |e: &dyn std::fmt::Display| {
        Failure::new(Exit::Error, "failed to write the object").because(e)
    };
    let mut value = serde_json::to_value(value).map_err(|e| failed(&e))?;
    drop_managed_fields(&mut value);
    let json = || {
        serde_json::to_string_pretty(&value)
            .map(|t| escape::json(&t) + "\n")
            .map_err(|e| failed(&e))
    };
    if format == Format::Json {
        return json();
    }
    let yaml = serde_saphyr::to_string(&value).map_err(|e| failed(&e))?;
    // JSON is YAML too, and unlike some styles of YAML it can say any character by its number.
    if yaml.chars().any(|c| c != '\n' && escape::is_unsafe(c)) {
        json()
    } else {
        Ok(yaml)
    }
}

/// One of several that come one after another: YAML needs a mark between them.
pub fn document<T: Serialize>(value: &T, format: Format) -> Outcome<String> {
    let mark = if format == Format::Yaml { "---\n" } else { "" };
    Ok(format!("{mark}{}", structured(value, format)?))
}

/// Columns that the text takes on a terminal.
pub fn columns_of(text: &str) -> usize {
    text.width()
}

/// As much of the text as fits into so many columns.
pub fn cut(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, letter) in text.char_indices() {
        used += letter.width().unwrap_or(0);
        if used > room {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// Columns of the terminal.
pub fn width() -> Option<usize> {
    let (columns, _) = crossterm::terminal::size().ok()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Bookkeeping of the API server that hides what people look for; kubectl leaves it out too.
fn drop_managed_fields(value: &mut serde_json::Value) {
    if let Some(metadata) = value
        .pointer_mut("/metadata")
        .and_then(serde_json::Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
    for item in value
        .pointer_mut("/items")
        .and_then(serde_json::Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        drop_managed_fields(item);
    }
}

/// A `v1` List, which is what kubectl prints for several objects.
pub fn list<T: Serialize>(items: &[T]) -> serde_json::Value {
    let items: Vec<_> = items
        .iter()
        .map(|i| serde_json::to_value(i).unwrap_or_default())
        .collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Columns without borders, as kubectl has them.
pub struct Columns {
    table: Table,
    is_colored: bool,
}

impl Columns {
    /// Begins with the headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(headings.iter().map(|h| Cell::new(*h)));
        let is_colored = io::stdout().is_terminal()
            && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        if is_colored {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        Self { table, is_colored }
    }

    /// Adds a row; every cell is escaped here.
    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        let is_colored = self.is_colored;
        self.table.add_row(cells.iter().map(|text| {
            let text = escape::line(text.as_ref()).into_owned();
            match color(&text).filter(|_| is_colored) {
                Some(color) => Cell::new(text).fg(color),
                None => Cell::new(text),
            }
        }));
    }

    /// The finished text.
    pub fn finish(&self) -> String {
        self.table
            .lines()
            .map(|l| l.trim_end().to_owned() + "\n")
            .collect()
    }
}

/// Words that deserve to be seen: phases of a DevServer and what flavors say.
fn color(word: &str) -> Option<Color> {
    match word {
        "Running" | "Yes" => Some(Color::Green),
        "Provisioning" | "Pending" | "AUTOSCALED" => Some(Color::Yellow),
        "Failed" | "No" => Some(Color::Red),
        "Suspended" | "Terminating" => Some(Color::DarkGrey),
        _ => None,
    }
}

/// `-` for nothing.
pub fn or_dash(text: Option<&str>) -> String {
    text.filter(|t| !t.is_empty()).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_no_borders_and_no_escape_codes() {
        let mut columns = Columns::new(&["NAME", "PHASE"]);
        columns.row(&["my-dev-server", "Running"]);
        columns.row(&["x", "\x1b[2J"]);
        assert_eq!(
            columns.finish(),
            "NAME            PHASE\nmy-dev-server   Running\nx               \\x1b[2J\n"
        );
    }

    #[test]
    fn managed_fields_are_left_out_of_objects_and_lists() {
        let object = serde_json::json!({"metadata": {"name": "a", "managedFields": [{}]}});
        for value in [object.clone(), list(&[object])] {
            let text = structured(&value, Format::Json).unwrap();
            assert!(
                text.contains("name") && !text.contains("managedFields"),
                "{text}"
            );
        }
    }

    #[test]
    fn yaml_and_json_of_hostile_text_are_safe_and_keep_the_value() {
        let value = serde_json::json!({"message": "a\x1b[31m\u{9b}\u{202e}b"});
        for format in [Format::Json, Format::Yaml] {
            let text = structured(&value, format).unwrap();
            assert!(
                text.chars().all(|c| c == '\n' || !escape::is_unsafe(c)),
                "{text}"
            );
            let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(back, value);
        }
    }
}
