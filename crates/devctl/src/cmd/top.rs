//! `devctl top`: the terminal and the watch around the live view.

use std::{io::IsTerminal as _, time::Duration};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt as _;
use jiff::{Timestamp, tz::TimeZone};
use kube::runtime::{WatchStreamExt as _, watcher};

use crate::{
    args::{Global, Top},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::Session,
    top::{self, Action, Look, State},
    watching,
};

/// Time between two frames at most: ages move on, and many changes at once become one frame.
const TICK: Duration = Duration::from_millis(250);
/// Rows of a page, about.
const PAGE: isize = 20;

/// Shows it until `q`.
pub async fn run(global: &Global, args: &Top) -> Outcome<Exit> {
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        return Err(Failure::usage("devctl top needs a terminal")
            .remedy("elsewhere, use `devctl list --watch`"));
    }
    let session = Session::connect(global).await?;
    let has_colors =
        anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let place = &session.place;
    let title = if args.all_namespaces {
        format!("all namespaces of context '{}'", place.context)
    } else {
        format!(
            "namespace '{}' of context '{}'",
            place.namespace, place.context
        )
    };
    let mut state = State::new(Look {
        title,
        has_namespace: args.all_namespaces,
        has_colors,
    });
    // It puts the terminal back also when the program panics.
    let mut terminal = ratatui::try_init().map_err(|e| {
        Failure::io("failed to take the terminal", &e).remedy("use `devctl list --watch`")
    })?;
    let shown = show(&session, args, &mut state, &mut terminal).await;
    ratatui::restore();
    shown.map(|()| Exit::Ok)
}

async fn show(
    session: &Session,
    args: &Top,
    state: &mut State,
    terminal: &mut ratatui::DefaultTerminal,
) -> Outcome {
    let api = if args.all_namespaces {
        session.all_servers()
    } else {
        session.servers()
    };
    let mut changes = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let zone = TimeZone::system();
    let mut draw = |state: &mut State| {
        let drawn = terminal.draw(|frame| top::draw(state, frame, Timestamp::now(), &zone));
        drawn
            .map(drop)
            .map_err(|e| Failure::io("failed to draw", &e))
    };
    loop {
        tokio::select! {
            _ = ticks.tick() => draw(state)?,
            change = changes.next() => match change {
                Some(Ok(event)) => state.take(event),
                Some(Err(error)) => {
                    watching::refused("failed to watch DevServers", &error)?;
                    state.connection = top::Connection::Lost(error.to_string());
                }
                None => return Err(watching::ended("DevServers")),
            },
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) => {
                    let action = action(key);
                    if action.is_some_and(|action| !state.act(action)) {
                        return Ok(());
                    }
                    draw(state)?;
                }
                Some(Ok(_)) => draw(state)?,
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
        }
    }
}

/// What the key asks for.
fn action(key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c' | 'd') if is_control => Action::Quit,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Esc => Action::Back,
        KeyCode::Enter => Action::Toggle,
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Action::Move(PAGE),
        KeyCode::PageUp => Action::Move(-PAGE),
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('r') => Action::Reverse,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_the_help_names_do_what_it_says() {
        for (code, expected) in [
            (KeyCode::Char('q'), Action::Quit),
            (KeyCode::Char('j'), Action::Move(1)),
            (KeyCode::Up, Action::Move(-1)),
            (KeyCode::Enter, Action::Toggle),
            (KeyCode::Char('s'), Action::Sort),
            (KeyCode::Char('r'), Action::Reverse),
        ] {
            assert_eq!(action(KeyEvent::from(code)), Some(expected));
        }
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(
            action(interrupt),
            Some(Action::Quit),
            "raw mode sends no signal"
        );
        assert_eq!(action(KeyEvent::from(KeyCode::Char('x'))), None);
    }
}
