//! One frame of the live view. Everything that came from the cluster is escaped here.

use devserver_api::DevServer;
use jiff::{Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row, Table, Wrap},
};

use super::{Connection, State, age, waits_for_restart};
use crate::{
    cmd::list::{expires, flavor, phase},
    escape,
    output::or_dash,
    why,
};

const HELP: &str = " q quit   j/k or arrows move   enter why   s sort   r reverse";
/// Least rows that the table keeps when the pane is open.
const LEAST: u16 = 4;

/// Heading, and how wide the column becomes at most; 0 takes what is left.
type Column = (&'static str, u16);
/// Longest name that is shown whole.
const NAME_MOST: u16 = 30;
const OWNER: &str = "OWNER";
/// Terminals with fewer columns have no room for the owner.
const NARROW: u16 = 100;
const COLUMNS: [Column; 8] = [
    ("NAME", NAME_MOST),
    (OWNER, 26),
    ("PHASE", 12),
    ("FLAVOR", 18),
    ("AGE", 8),
    ("EXPIRES", 8),
    ("RESTART", 7),
    ("MESSAGE", 0),
];

/// Draws the state. Only the rows that are seen cost anything, so a thousand are as quick as ten.
pub fn draw(state: &mut State, frame: &mut Frame<'_>, now: Timestamp, zone: &TimeZone) {
    let pane = if state.is_open {
        frame.area().height / 2
    } else {
        0
    };
    let [title, table, detail, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(LEAST),
        Constraint::Length(pane),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(heading(state), title);
    rows(state, frame, table, now);
    if let Some(server) = state.chosen().filter(|_| state.is_open) {
        frame.render_widget(reasons(server, now, zone), detail);
    }
    frame.render_widget(
        Line::from(HELP).style(Style::new().add_modifier(Modifier::DIM)),
        help,
    );
}

fn heading(state: &State) -> Line<'static> {
    let count = state.order.len();
    let how = match &state.connection {
        Connection::Loading => "   loading…".to_owned(),
        Connection::Live => String::new(),
        Connection::Lost(why) => format!("   connection lost, trying again: {}", escape::line(why)),
    };
    let direction = if state.is_reversed { ", reversed" } else { "" };
    let plural = if count == 1 { "" } else { "s" };
    let text = format!(
        "{count} DevServer{plural} in {}   by {}{direction}{how}",
        escape::line(&state.look.title),
        state.sort.word()
    );
    let style = Style::new().add_modifier(Modifier::BOLD);
    let is_lost = matches!(state.connection, Connection::Lost(_));
    Line::from(text).style(if is_lost {
        colored(state, style, Color::Red)
    } else {
        style
    })
}

fn rows(state: &mut State, frame: &mut Frame<'_>, area: Rect, now: Timestamp) {
    // One line is the heading's.
    let visible = usize::from(area.height.saturating_sub(1));
    state.scroll(visible);
    let at = state.at().saturating_sub(state.top);
    let (columns, lines) = columns(state, area.width, visible, now);
    let widths: Vec<Constraint> = columns
        .iter()
        .enumerate()
        .map(|(place, (heading, most))| {
            let cells = lines.iter().filter_map(|line| line.get(place));
            let widest = cells.map(Span::width).max().unwrap_or(0);
            let width = u16::try_from(widest.max(heading.len())).unwrap_or(*most);
            if *most == 0 {
                Constraint::Fill(1)
            } else {
                Constraint::Length(width.min(*most))
            }
        })
        .collect();
    let headings = columns.iter().map(|(heading, _)| *heading);
    let rows: Vec<Row<'_>> = lines
        .into_iter()
        .enumerate()
        .map(|(place, line)| {
            let row = Row::new(line);
            if place == at {
                row.style(Style::new().add_modifier(Modifier::REVERSED))
            } else {
                row
            }
        })
        .collect();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let table = Table::new(rows, widths)
        .header(Row::new(headings).style(bold))
        .column_spacing(2);
    frame.render_widget(table, area);
}

/// What is shown of each row in a window of that many rows and columns.
fn columns(
    state: &State,
    width: u16,
    visible: usize,
    now: Timestamp,
) -> (Vec<Column>, Vec<Vec<Span<'static>>>) {
    let mut columns = COLUMNS.to_vec();
    if state.look.has_namespace {
        columns.insert(0, ("NAMESPACE", NAME_MOST));
    }
    let lines = state
        .window(visible)
        .map(|server| cells(state, server, now));
    let mut lines: Vec<Vec<Span<'_>>> = lines.collect();
    // On a narrow terminal the owner is most often oneself.
    if width < NARROW
        && let Some(owner) = columns.iter().position(|(heading, _)| *heading == OWNER)
    {
        columns.remove(owner);
        for line in &mut lines {
            line.remove(owner);
        }
    }
    (columns, lines)
}

fn cells(state: &State, server: &DevServer, now: Timestamp) -> Vec<Span<'static>> {
    let status = server.status.as_ref();
    let phase = phase(server);
    let style = match phase {
        "Running" => colored(state, Style::new(), Color::Green),
        "Pending" | "Provisioning" => colored(state, Style::new(), Color::Yellow),
        "Failed" => colored(state, Style::new(), Color::Red),
        _ => Style::new().add_modifier(Modifier::DIM),
    };
    let plain = |text: &str| Span::raw(escape::line(text).into_owned());
    let restart = if waits_for_restart(server) {
        "waits"
    } else {
        "-"
    };
    let expires = status.map_or_else(
        || "-".to_owned(),
        |s| expires(s.expiration_time.as_ref(), now),
    );
    let mut cells = vec![
        plain(&server.name_any()),
        plain(&or_dash(server.spec.owner.as_deref())),
        Span::styled(phase, style),
        plain(&or_dash(flavor(server))),
        plain(&age(server, now)),
        plain(&expires),
        plain(restart),
        plain(&or_dash(status.and_then(|s| s.message.as_deref()))),
    ];
    if state.look.has_namespace {
        cells.insert(0, plain(&server.namespace().unwrap_or_default()));
    }
    cells
}

/// Why it is as it is, from the object alone.
fn reasons(server: &DevServer, now: Timestamp, zone: &TimeZone) -> Paragraph<'static> {
    let mut lines = Vec::new();
    for line in why::why(server, None, &[], now) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let text = |text: &str| escape::line(text).into_owned();
        lines.push(Line::from(vec![
            Span::styled(text(&line.rule), bold),
            Span::raw(format!(": {}", text(&line.signal))),
        ]));
        let when = line
            .when
            .map(|when| format!(", {}", crate::cmd::events::clock(when, zone)))
            .unwrap_or_default();
        lines.push(Line::from(format!("  next: {}{when}", text(&line.next))));
        lines.extend(
            line.remedy
                .map(|remedy| Line::from(format!("  do:   {}", text(&remedy)))),
        );
    }
    let title = format!(" {} ", escape::line(&server.name_any()));
    Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .block(Block::new().borders(Borders::TOP).title(title))
}

fn colored(state: &State, style: Style, color: Color) -> Style {
    if state.look.has_colors {
        style.fg(color)
    } else {
        style
    }
}
